"""Decode every frame of a stream: the reference for the fast path, and the fallback if that is not proven.

A packet that the decoder rejects is skipped. Its frame, and all frames up to the next key frame, count as damaged.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction

import av.error
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.container.error_text import error_text
from reelbeam.transforms.media.timing.timeline import Timeline

# Players also repeat a frame over a few undecodable ones, for example where two recordings meet.
_MAX_STAND_IN_SECONDS = Fraction(1, 2)


class FullSource:
    """Decodes a stream in display order and records what went wrong.

    Args:
      packets: packets with data, in file order, from the start or from a random access point.
      stream: the stream, which decodes the packets.
      timeline: the times of these packets.

    Attributes:
      last_pts: the display time of the last decoded frame.
      cause: FFmpeg's text for the first error; "" if there was none.
    """

    def __init__(self, packets: Iterable[VideoPacket], stream: VideoStream, timeline: Timeline) -> None:
        self.last_pts = self._previous_pts = timeline.origin
        self.cause = timeline.read_error
        self._packets = packets
        self._stream = stream
        self._timeline = timeline
        self._rejected_positions: set[int] = set()
        self._damaged_positions: set[int] = set()
        codec = stream.codec_context
        rules = packet_rules(codec.codec.canonical_name, codec.extradata)
        self._always_shows, self._may_have_fields = rules.always_shows, rules.may_have_fields
        self._missing_positions: set[int] = set()
        self._awaited_positions: set[int] = set()  # packets that are marked as corrupt and whose frames are not out yet
        self._clean_from: int | None = 0

    @property
    def num_rejected(self) -> int:
        """The number of packets that the decoder rejected."""
        return len(self._rejected_positions)

    @property
    def num_missing(self) -> int:
        """The number of wanted frames that were not output although their packets were not rejected."""
        return len(self._missing_positions)

    def is_damaged(self, pts: int) -> bool:
        """Returns whether the frame at `pts` was rejected, may refer to a rejected frame, or was not output.

        A frame that was not output counts as damaged at once if its packet is marked as corrupt. If every packet has a
        picture, it counts as damaged when the previous frame has replaced it for too long.
        """
        position = self._timeline.position_at(pts)
        if position in self._damaged_positions or position in self._awaited_positions:
            return True
        shown_pts = self.last_pts if self.last_pts <= pts else self._previous_pts
        num_missing = position - self._timeline.position_at(shown_pts)
        if not self._always_shows or num_missing * self._timeline.mean_spacing_seconds <= _MAX_STAND_IN_SECONDS:
            return False
        self._missing_positions.add(position)
        return True

    def end_of_last(self, pts: int) -> int | Fraction:
        """Returns the end of the last frame, which is at `pts`."""
        position = self._timeline.position_at(pts) + 2
        frame_pts = self._timeline.frame_pts
        return frame_pts[position] if position < len(frame_pts) else self._timeline.end_pts

    def frames(self) -> Generator[tuple[int, VideoFrame], None, None]:
        """Yields (display time, frame) with ascending times; of two frames with equal times, the later one counts."""
        position = -1
        latest: int | None = None
        for frame in self._decoded_frames():
            if self._timeline.by_order or frame.pts is None:
                position = self._next_position(position)
                pts = self._timeline.frame_pts[position]
            else:
                pts = frame.pts
                position = self._timeline.position_at(pts)
            self._awaited_positions.discard(position)
            # If pts contradict the decoder's output order, frames that go back in time are dropped.
            if latest is None or pts >= latest:
                self._previous_pts = self.last_pts
                latest = self.last_pts = pts
                yield pts, frame

    def _next_position(self, position: int) -> int:
        """Returns the next position on the timeline whose packet was not rejected."""
        position += 1
        while position in self._rejected_positions:
            position += 1
        return min(position, len(self._timeline.frame_pts) - 1)

    def _decoded_frames(self) -> Iterator[VideoFrame]:
        try:
            for index, packet in enumerate(self._packets):
                if index in self._timeline.jumps:
                    yield from self._start_anew()
                pts = self._mended_time(index, packet)
                position = index if pts is None else self._timeline.position_at(pts)
                if packet.is_corrupt and self._may_have_fields:  # one field may be missing
                    self._awaited_positions.add(position)
                yield from self._decode(packet, position)
                self._note_damage(packet, position)
        except av.error.FFmpegError as error:
            # Reading failed; the decoder may still hold frames.
            self.cause = self.cause or error_text(error)
        yield from self._decode(None, None)

    def _start_anew(self) -> list[VideoFrame]:
        """Ends the current recording: the pictures of the next one must not refer to it."""
        frames = self._decode(None, None)
        decoder = self._stream.codec_context
        depth = decoder.reorder_depth
        decoder.flush_buffers()
        decoder.reorder_depth = max(depth, decoder.reorder_depth)
        return frames

    def _mended_time(self, index: int, packet: VideoPacket) -> int | None:
        """Returns the time of the packet at `index` and sets it as the packet's pts, which its frame inherits."""
        times = self._timeline.packet_times
        if times is not None and index < len(times) and not self._timeline.by_order:
            packet.pts = int(times[index])
        return packet.dts if packet.pts is None else packet.pts

    def _decode(self, packet: VideoPacket | None, position: int | None) -> list[VideoFrame]:
        try:
            return self._stream.decode(packet)
        except av.error.FFmpegError as error:
            self.cause = self.cause or error_text(error)
        if position is not None:
            self._rejected_positions.add(position)
        return []

    def _note_damage(self, packet: VideoPacket, position: int) -> None:
        """Tracks the frames that a rejected packet damages: all up to the next key frame.

        Frames that are stored after that key frame but shown before it (open GOP) may also refer to it. If times are
        assigned by order, the count is wrong from there on, and all later frames are damaged.
        """
        if position in self._rejected_positions:
            self._clean_from = None
        elif packet.is_keyframe and self._clean_from is None and not self._timeline.by_order:
            self._clean_from = position
        if self._clean_from is None or position < self._clean_from:
            self._damaged_positions.add(position)
