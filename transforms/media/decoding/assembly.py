"""Assemble clips from the frames of a source."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import av.error
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from reelbeam.transforms.media.container.error_text import error_text
from reelbeam.transforms.media.decoding.picture import PictureConverter
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.sampling.schedule import FrameSchedule, Slot
from reelbeam.transforms.records import ClipSpan

_Frames = npt.NDArray[np.uint8]
Allocate = Callable[[tuple[int, ...]], _Frames]


def allocate(shape: tuple[int, ...]) -> _Frames:
    """Returns memory for a clip, a uint8 array of that shape."""
    return np.empty(shape, np.uint8)


class FrameSource(Protocol):
    """The interface of frame sources.

    Attributes:
      cause: FFmpeg's text for the first error; "" if there was none.
    """

    cause: str

    def frames(self) -> Generator[tuple[int, VideoFrame], None, None]:
        """Yields (display time, frame) with ascending times; of two frames with equal times, the later one counts."""

    def is_damaged(self, pts: int) -> bool:
        """Returns whether the frame at `pts` was rejected, or may refer to a rejected frame."""

    def end_of_last(self, pts: int) -> int | Fraction | None:
        """Returns the end of the last frame, which is at `pts`; None: it is shown until the end of the request."""


class ClipAssembly:
    """Copies frames into the clips that want them, and holds the pixels of open clips only.

    Args:
      spans: the wanted clips.
      origin: the display time of the stream's first frame.
      time_base: the length of a tick in seconds.
      converter: converts frames to pictures.
      stats: gets the CPU time of the conversion.
      allocate: allocates memory for a clip.

    Attributes:
      schedule: the frames that the clips still need.
      first_pts: the display time of the first decoded frame; None before it.
      num_before_first: the number of clips that were lost because they end before that frame.
      num_damaged: the number of frames that the decoder flagged as damaged, wanted or not.
    """

    def __init__(
        self,
        spans: Sequence[ClipSpan],
        origin: int,
        time_base: Fraction,
        converter: PictureConverter,
        stats: DecodeStats,
        allocate: Allocate = allocate,
    ) -> None:
        self.schedule = FrameSchedule(spans, origin, time_base)
        self._spans = spans
        self._converter = converter
        self._stats = stats
        self._allocate = allocate
        self._open: dict[int, _Frames] = {}
        self._replaced: dict[int, set[int]] = {}
        self.first_pts: int | None = None
        self.num_before_first = 0
        self.num_damaged = 0

    def clips(self, source: FrameSource) -> Iterator[tuple[ClipSpan, _Frames]]:
        """Yields clips as they become complete; stops reading when no clip needs a frame.

        The span of a clip has its final `num_real_frames`, which excludes instants before the first decoded frame.
        """
        shown: tuple[int, VideoFrame] | None = None
        with contextlib.closing(source.frames()) as frames:
            for pts, frame in frames:
                self.num_damaged += frame.is_corrupt
                if shown is None:
                    self._start_at(pts)
                else:
                    yield from self._show(shown[1], pts, source)
                if self.schedule.is_done:
                    return
                shown = (pts, frame)
        if shown is not None:
            yield from self._show(shown[1], source.end_of_last(shown[0]), source)
        for slot in self.schedule.take_before(None):
            self._lose(slot.clip)

    def _start_at(self, first_pts: int) -> None:
        """Drops the clips that end before the first decoded frame."""
        self.first_pts = first_pts
        for clip in range(len(self._spans)):
            if self.schedule.last_instant(clip) < first_pts:
                self.num_before_first += 1
                self._lose(clip)

    def _show(
        self, frame: VideoFrame, until_pts: int | Fraction | None, source: FrameSource
    ) -> Iterator[tuple[ClipSpan, _Frames]]:
        """Copies a frame to all slots before `until_pts`; converts it only if there is a slot."""
        picture: _Frames | None = None
        for slot in self.schedule.take_before(until_pts):
            if frame.is_corrupt or self._is_damaged(slot, source):
                self._lose(slot.clip)
                continue
            if picture is None:
                try:
                    picture = self._convert(frame)
                except av.error.FFmpegError as error:
                    source.cause = source.cause or error_text(error)
                    self._lose(slot.clip)
                    continue
            if slot.clip not in self._open:
                self._open[slot.clip] = self._allocate((self._spans[slot.clip].num_decoded_frames, *picture.shape))
            self._open[slot.clip][slot.frame] = picture
            if self._is_before_first(slot):
                self._replaced.setdefault(slot.clip, set()).add(slot.frame)
            if self.schedule.fill(slot):
                yield self._as_filled(slot.clip), self._open.pop(slot.clip)

    def _convert(self, frame: VideoFrame) -> _Frames:
        """Returns the picture of a frame. FFmpeg scales in this thread, so its CPU time is that of scaling."""
        began = time.thread_time()
        try:
            return self._converter.convert(frame)
        finally:
            self._stats.scale_cpu_seconds += time.thread_time() - began

    def _is_before_first(self, slot: Slot) -> bool:
        return self.first_pts is not None and slot.instant < self.first_pts

    def _is_damaged(self, slot: Slot, source: FrameSource) -> bool:
        return not self._is_before_first(slot) and source.is_damaged(slot.instant)

    def _as_filled(self, clip: int) -> ClipSpan:
        """Returns the span of a complete clip with the number of its real frames."""
        span = self._spans[clip]
        frames = self._replaced.pop(clip, set())
        # An instant that the clip repeats counts once. Warm-up frames do not count.
        instants = {span.sample_steps[frame] for frame in frames if frame >= span.num_warm_up_frames}
        return dataclasses.replace(span, num_real_frames=span.num_real_frames - len(instants)) if instants else span

    def _lose(self, clip: int) -> None:
        self.schedule.lose(clip)
        self._open.pop(clip, None)
        self._replaced.pop(clip, None)
