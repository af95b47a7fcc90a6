"""Clips out of a file: the plain version, which decodes every frame in this process.

Two things are kept apart: which frames are wanted (`schedule.py`, `timeline.py`) and where frames come from
(`_FrameSource` here), so that a source that decodes less can take its place.

A frame is shown from its own pts until the next frame's. Where the stream is damaged, a clip is given up
rather than filled with something else:
- A packet that the decoder rejects is skipped. Clips that want its frame, or one that may refer to it (up to
  the next key frame), or one that the decoder itself flags as damaged, are lost; all others go on.
- Frames before the first one that can be decoded (a recording cut in the middle of a GOP) are replaced by
  that one, but only in clips that reach it.
- The last frame stands until the next packet's time, and one packet without a picture is tolerated after it
  (VP8's hidden frames). Clips that want more are lost: the stream broke off.
Packets that yield no picture and no error ("not coded": nothing changed) leave the last picture in place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction

import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from transforms import errors
from transforms.media import container as containers
from transforms.media import timeline as timelines
from transforms.media.picture import Geometry, PictureConverter
from transforms.media.schedule import FrameSchedule, Slot
from transforms.media.timeline import Timeline, VideoPacket
from transforms.records import ClipSpan, MediaInfo

__all__ = ["Geometry", "decode_clips"]

_Frames = npt.NDArray[np.uint8]


def decode_clips(
    path: str | os.PathLike[str], media: MediaInfo, spans: Sequence[ClipSpan], geometry: Geometry
) -> Iterator[tuple[ClipSpan, _Frames]]:
    """Yields each clip as soon as it is whole; holds the frames of clips that are open at one time, no more.

    Args:
      path: a local file.
      media: what `probe` said of it; names the stream.
      spans: the wanted clips, instants within the video's duration.
      geometry: size of the pictures.

    Yields:
      (span, frames): frames is uint8 [T, size, size, 3], RGB, C-contiguous, and the caller's own.

    Raises:
      CorruptVideoError: after all whole clips, if any clip was lost. Lost are the spans that were not
        yielded.
      MediaError: as in `probe`, if the file changed since.
    """
    if not spans:
        return
    with containers.open_video(path, media.stream_index) as (container, stream):
        timeline = timelines.read_timeline(timelines.frame_packets(container, stream), container, stream)
    if timeline is None:
        raise errors.NoFramesError(f"{os.fspath(path)}: video stream {media.stream_index} has no frames any more")
    with containers.open_video(path, media.stream_index) as (container, stream):
        assembly = _Assembly(spans, timeline, PictureConverter(geometry, media.pixel_aspect_ratio))
        source = _FrameSource(container, stream, timeline)
        yield from assembly.clips(source)
    if assembly.schedule.num_lost:
        raise errors.CorruptVideoError(_loss_message(path, assembly, source))


def _loss_message(path: str | os.PathLike[str], assembly: _Assembly, source: _FrameSource) -> str:
    reached = float((source.last_tick - assembly.timeline.origin) * assembly.timeline.time_base)
    return (
        f"{os.fspath(path)}: {assembly.schedule.num_lost} of {assembly.num_clips} clips lost: decoded up to"
        f" {max(reached, 0):.3f} s of {float(assembly.timeline.duration_seconds):.3f} s,"
        f" {len(source.rejected_positions)} packets rejected"
        f" ({source.cause or 'FFmpeg reported no error'}); check that the file plays, or upload it again"
    )


class _FrameSource:
    """Decodes a whole stream, in display order, and remembers what went wrong.

    Attributes:
      rejected_positions: frames of the timeline whose packets the decoder refused.
      damaged_positions: these, and the frames that may be spoilt by them.
      last_tick: display time of the last frame that came out.
      cause: FFmpeg's words for the first error; "" if there was none.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, timeline: Timeline) -> None:
        self.rejected_positions: set[int] = set()
        self.damaged_positions: set[int] = set()
        self.last_tick = timeline.origin
        self.cause = timeline.read_error
        self._container = container
        self._stream = stream
        self._timeline = timeline
        self._clean_from: int | None = 0

    def frames(self) -> Generator[tuple[int, VideoFrame], None, None]:
        """Yields (display time, frame), times ascending; where two are equal the later frame counts."""
        position = -1
        latest: int | None = None
        for frame in self._decoded_frames():
            if self._timeline.by_order or frame.pts is None:
                position = self._next_position(position)
                tick = self._timeline.ticks[position]
            else:
                tick = frame.pts
                position = self._timeline.position_at(tick)
            # A clock that jumps back (joined recordings) would show the past again: such frames are left out.
            if latest is None or tick >= latest:
                latest = self.last_tick = tick
                yield tick, frame

    def _next_position(self, position: int) -> int:
        """Returns the next place on the timeline that a frame can have: its packet was not rejected."""
        position += 1
        while position in self.rejected_positions:
            position += 1
        return min(position, len(self._timeline.ticks) - 1)

    def _decoded_frames(self) -> Iterator[VideoFrame]:
        packets = timelines.frame_packets(self._container, self._stream)
        try:
            for index, packet in enumerate(packets):
                tick = packet.dts if packet.pts is None else packet.pts
                position = index if tick is None else self._timeline.position_at(tick)
                yield from self._decode(packet, position)
                self._note_damage(packet, position)
        except av.error.FFmpegError as error:
            # Reading broke off; the decoder may still hold frames.
            self.cause = self.cause or containers.words(error)
        yield from self._decode(None, None)

    def _decode(self, packet: VideoPacket | None, position: int | None) -> list[VideoFrame]:
        try:
            return self._stream.decode(packet)
        except av.error.FFmpegError as error:
            self.cause = self.cause or containers.words(error)
        if position is not None:
            self.rejected_positions.add(position)
        return []

    def _note_damage(self, packet: VideoPacket, position: int) -> None:
        """Follows what a rejected packet spoils: all that may refer to it, up to the next key frame.

        Frames that are stored after that key frame but shown before it (open GOP) may refer to it, too. Where
        frames are paired with times by order, the count is off from there on: the rest is lost.
        """
        if position in self.rejected_positions:
            self._clean_from = None
        elif packet.is_keyframe and self._clean_from is None and not self._timeline.by_order:
            self._clean_from = position
        if self._clean_from is None or position < self._clean_from:
            self.damaged_positions.add(position)


class _Assembly:
    """Fills clips with frames."""

    def __init__(self, spans: Sequence[ClipSpan], timeline: Timeline, converter: PictureConverter) -> None:
        self.timeline = timeline
        self.schedule = FrameSchedule(spans, timeline.origin, timeline.time_base)
        self.num_clips = len(spans)
        self._spans = spans
        self._converter = converter
        self._open: dict[int, _Frames] = {}
        self._first_tick = timeline.origin

    def clips(self, source: _FrameSource) -> Iterator[tuple[ClipSpan, _Frames]]:
        """Yields clips as they become whole; stops reading once no clip waits for anything."""
        shown: tuple[int, VideoFrame] | None = None
        with contextlib.closing(source.frames()) as frames:
            for tick, frame in frames:
                if shown is None:
                    self._start_at(tick)
                else:
                    yield from self._show(shown[1], tick, source)
                if self.schedule.is_done:
                    return
                shown = (tick, frame)
        if shown is not None:
            yield from self._show(shown[1], self._end_of_last(shown[0]), source)
        for slot in self.schedule.take_before(None):
            self._lose(slot.clip)

    def _start_at(self, first_tick: int) -> None:
        """Gives up the clips that end before the first frame that could be decoded: it is not theirs."""
        self._first_tick = first_tick
        for clip in range(self.num_clips):
            if self.schedule.last_tick(clip) < first_tick:
                self._lose(clip)

    def _show(
        self, frame: VideoFrame, until_tick: int | Fraction, source: _FrameSource
    ) -> Iterator[tuple[ClipSpan, _Frames]]:
        """Puts a frame where it is wanted before `until_tick`; converts it only if it is wanted at all."""
        picture: _Frames | None = None
        for slot in self.schedule.take_before(until_tick):
            if frame.is_corrupt or self._is_damaged(slot, source):
                self._lose(slot.clip)
                continue
            if picture is None:
                try:
                    picture = self._converter.convert(frame)
                except av.error.FFmpegError as error:
                    source.cause = source.cause or containers.words(error)
                    self._lose(slot.clip)
                    continue
            if slot.clip not in self._open:
                self._open[slot.clip] = np.empty((self._spans[slot.clip].num_frames, *picture.shape), np.uint8)
            self._open[slot.clip][slot.frame] = picture
            if self.schedule.fill(slot):
                yield self._spans[slot.clip], self._open.pop(slot.clip)

    def _is_damaged(self, slot: Slot, source: _FrameSource) -> bool:
        position = self.timeline.position_at(slot.tick)
        return slot.tick >= self._first_tick and position in source.damaged_positions

    def _end_of_last(self, tick: int) -> int | Fraction:
        """Returns until when the last frame stands."""
        position = self.timeline.position_at(tick) + 2
        ticks = self.timeline.ticks
        return ticks[position] if position < len(ticks) else self.timeline.end_tick

    def _lose(self, clip: int) -> None:
        self.schedule.lose(clip)
        self._open.pop(clip, None)
