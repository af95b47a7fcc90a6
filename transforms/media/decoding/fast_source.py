"""Decode the wanted frames with as little work as possible, with the same result as a full decode.

The pts of the packets determine which frames are wanted before anything is decoded. Then
- whole GOPs without a wanted frame are skipped: by reading over near ones, by seeking past others;
- the rest of a GOP after its last wanted frame is skipped, too;
- in between, the decoder leaves out disposable frames that are not wanted (`skip_frame` NONREF).

All of this is proven for each codec (`bitstream.py`) and checked while decoding. Every packet that is not left out must
give one frame, at its own pts and in order, from a decoder that conceals nothing and marks no frame as corrupt. If a
check fails, `FastPathError` is raised and the caller decodes in full. Damage in packets that are left out is not
noticed: it affects no wanted frame.
"""

from __future__ import annotations

import collections
import heapq
import itertools
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from typing import cast

import av.error
from av.video.frame import VideoFrame

from reelbeam.transforms.media.codecs.packet_order import PacketOrder, has_hole
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.container.error_text import error_text
from reelbeam.transforms.media.decoding.packet_plan import DecodeRange, FastPathError, plan_decode_ranges
from reelbeam.transforms.media.decoding.packet_ranges import PacketRange, last_random_access_point, split_at_gaps
from reelbeam.transforms.media.decoding.reader import PacketReader
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.records import MediaInfo


class FastSource:
    """Decodes the wanted frames of a stream and the frames that they refer to.

    Args:
      reader: the file.
      media: the result of the probe, with the stream's random access points.
      instants: the wanted instants, in ticks of the stream, ascending.

    Attributes:
      cause: FFmpeg's text for the first error; "" if there was none.
    """

    def __init__(self, reader: PacketReader, media: MediaInfo, instants: Sequence[int]) -> None:
        self.cause = ""
        self._reader = reader
        self._media = media
        self._instants = instants

    def is_damaged(self, pts: int) -> bool:
        """Returns False: damage raises FastPathError."""
        return False

    def end_of_last(self, pts: int) -> None:
        """Returns None: the last wanted frame is shown until the end of the request."""

    def frames(self) -> Generator[tuple[int, VideoFrame], None, None]:
        """Yields (time, frame) for each wanted frame, ascending; of two equal times the later frame counts.

        Raises:
          FastPathError: a check failed, see the module's docstring.
        """
        try:
            for instants in split_at_gaps(self._media, self._instants):
                yield from self._frames_of_range(instants)
        except av.error.FFmpegError as error:
            raise FastPathError(error_text(error)) from error

    def _frames_of_range(self, instants: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        key_pts = last_random_access_point(self._media, instants[0])
        if key_pts is None:
            raise FastPathError("no key frame is known before the first wanted instant")
        packet_range = self._read(key_pts, instants[-1])
        key_pts = packet_range.first_pts
        self._check_ends(packet_range, key_pts)
        self._check_holes(packet_range)
        ranges = plan_decode_ranges(packet_range.times, packet_range.shown, packet_range.start_points, instants)
        if packet_range.is_held:
            packets = iter(packet_range.packets)
        else:
            packets = self._reader.packets_from(key_pts)
        at = 0
        for decode_range in ranges:
            first = packet_range.first_packet_for(decode_range)
            for _ in range(first - at):
                if next(packets, None) is None:
                    raise FastPathError("the file became shorter meanwhile")
            same = _same_times(packets, packet_range.times[first : decode_range.last + 1])
            yield from self._frames_of_decode_range(decode_range, packet_range, same)
            at = decode_range.last + 1

    def _read(self, key_pts: int, last_instant: int) -> PacketRange:
        """Reads packets until no later packet can be shown at or before the last instant."""
        packet_range = PacketRange()
        rules = self._reader.rules
        order, display_order = PacketOrder(), rules.display_order()
        for packet in self._packets_towards(key_pts):
            data = memoryview(packet)
            if not order.accepts(packet) or not rules.supports_fast_path(data, packet.is_keyframe):
                raise FastPathError("packets and frames don't go together")
            if display_order is not None and not display_order.accepts(data, cast(int, packet.pts)):
                raise FastPathError("the times of frames contradict their order")
            is_start = packet.pts == key_pts and rules.is_random_access_point(data) and not packet_range.start_points
            is_start_point = packet.is_keyframe and (is_start or rules.is_idr(data))
            packet_range.add(packet, is_start_point, rules.is_shown(data))
            if order.is_past(last_instant):
                return packet_range
        packet_range.is_to_the_end = True
        return packet_range

    def _packets_towards(self, key_pts: int) -> Iterator[VideoPacket]:
        """Yields the packets from a listed key frame on, or from the one before it.

        Frames after a recovery point may cause the output of earlier frames. Decoders report an error if these are
        missing.
        """
        packets = self._reader.packets_from(key_pts)
        first = next(packets)
        earlier_pts = last_random_access_point(self._media, key_pts, margin=1)
        if earlier_pts is None or earlier_pts == key_pts or self._reader.rules.is_idr(memoryview(first)):
            return itertools.chain([first], packets)
        return self._reader.packets_from(earlier_pts)

    def _check_ends(self, packet_range: PacketRange, key_pts: int) -> None:
        """Checks that the file's start and end have not changed since planning, because clips extend to them."""
        media = self._media
        times = zip(packet_range.times, packet_range.shown, strict=True)
        if key_pts <= media.start_pts and media.start_pts != min((t for t, is_shown in times if is_shown), default=0):
            raise FastPathError("the file has changed: it starts at another time")
        if packet_range.is_to_the_end:
            container, stream = self._reader.container, self._reader.stream
            if timelines.missing_frames(packet_range.last_dts, container.format.name, stream):
                raise FastPathError("the file is truncated")
            last_pts, duration = packet_range.last_frame
            if media.num_frames > 1:
                length = Fraction(duration or Fraction(last_pts - media.start_pts, media.num_frames - 1))
                if media.duration_seconds != (last_pts + length - media.start_pts) * media.time_base:
                    raise FastPathError("the file has changed, or is broken off: it ends at another time")

    def _check_holes(self, packet_range: PacketRange) -> None:
        """Checks for lost packets, which decoders conceal silently, as they do for disposable frames left out.

        An MP4's index lists every packet, so no packet is lost: a missing frame was dropped by the camera.
        """
        has_index = "mp4" in self._reader.container.format.name.split(",")
        if self._reader.rules.can_skip and not has_index and has_hole(packet_range.times, packet_range.is_to_the_end):
            raise FastPathError("a packet seems to be missing")

    def _frames_of_decode_range(
        self, decode_range: DecodeRange, packet_range: PacketRange, packets: Iterator[VideoPacket]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Yields each wanted frame when all frames stored before it have been decoded without an error.

        A frame may refer to one that is shown later, and the decoder marks concealment only in that one.
        """
        num_missing = len(decode_range.wanted)
        held: collections.deque[tuple[int, int, VideoFrame]] = collections.deque()
        awaited: list[tuple[int, int]] = []
        latest = packet_range.times[decode_range.first]
        for time, position, frame in self._decode(decode_range, packet_range, packets, awaited):
            if time < latest:
                raise FastPathError(f"the frame of {time} came out behind that of {latest}")
            latest = time
            if position in decode_range.wanted:
                held.append((time, position, frame))
            while held and all(held[0][1] < other for _, other in awaited):
                time, _, frame = held.popleft()
                num_missing -= 1
                yield time, frame
            if num_missing == 0:
                return

    def _decode(
        self,
        decode_range: DecodeRange,
        packet_range: PacketRange,
        packets: Iterator[VideoPacket],
        awaited: list[tuple[int, int]],
    ) -> Iterator[tuple[int, int, VideoFrame]]:
        """Decodes a range with a fresh decoder; yields exactly the frames of the packets that are not left out.

        Frames that are stored after the first packet but shown before it (open GOP) may be missing, because their
        references may be missing. The same applies to packets before the range, which only prepare the decoder.

        Args:
          decode_range, packet_range, packets: the packets to decode.
          awaited: an empty heap; it holds the time and position of each packet whose frame is still expected.

        Yields:
          The time, the position of the packet, and the frame.
        """
        decoder, stream, rules = self._reader.decoder, self._reader.stream, self._reader.rules
        depth = decoder.reorder_depth
        decoder.flush_buffers()
        # Flushing may reset the reorder depth; the first frames would then be output too early.
        decoder.reorder_depth = max(depth, decoder.reorder_depth, rules.reorder_depth)
        first_time = packet_range.times[decode_range.first]
        skips: bool | None = None
        for position, packet in enumerate(packets, packet_range.first_packet_for(decode_range)):
            is_disposable = position not in decode_range.wanted and rules.is_disposable(memoryview(packet))
            if is_disposable is not skips:
                decoder.skip_frame = "NONREF" if is_disposable else "DEFAULT"
                skips = is_disposable
            time = packet_range.times[position]
            is_leading = position < decode_range.first or time < first_time
            if packet_range.shown[position] and not is_disposable and not is_leading:
                heapq.heappush(awaited, (time, position))
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                if not is_leading:
                    raise
                continue
            if frames:
                yield from _check(frames, awaited, first_time)
        yield from _check(stream.decode(None), awaited, first_time)
        if awaited:
            raise FastPathError(f"the frame of {awaited[0][0]} didn't come out")


def _check(
    frames: list[VideoFrame], awaited: list[tuple[int, int]], first_time: int
) -> list[tuple[int, int, VideoFrame]]:
    """Returns the frames with their times and positions, if they are the next frames of `awaited` and undamaged.

    All frames are checked at once: damage in a frame that is output together with a wanted one affects that one, too.
    """
    checked = []
    for frame in frames:
        if frame.pts is None or (frame.pts >= first_time and (not awaited or frame.pts != awaited[0][0])):
            expected = [time for time, _ in awaited[:1]]
            raise FastPathError(f"a frame of {frame.pts} came out where {expected} was expected")
        if frame.pts >= first_time:
            if frame.is_corrupt:
                raise FastPathError("a frame is corrupt")
            checked.append((*heapq.heappop(awaited), frame))
    return checked


def _same_times(packets: Iterator[VideoPacket], times: Sequence[int]) -> Iterator[VideoPacket]:
    """Yields one packet for each time; raises FastPathError if a packet's pts differs."""
    for time in times:
        packet = next(packets, None)
        if packet is None or packet.pts != time:
            raise FastPathError("reading twice gives different packets")
        yield packet
