"""Describe a remote MP4 without fetching all of it: its index has the times of all frames.

Of the frames themselves, a probe needs the first ones and the key frames from which decoding may start. All others are
left out and read as zeros. Only the list of key frames then differs: it lacks those that were left out, and may have
one that follows such a key frame closely. A decode from any key frame gives the same frames.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from av.container import InputContainer
from av.video.stream import VideoStream

NUM_FIRST = 80
"""The probe may decode 64 packets until it has a picture."""

_CODECS = {"h264", "hevc", "av1"}
"""Their times do not depend on what is in their packets, and packets of zeros do not disturb the list of key frames."""

_MAX_SAMPLES = 1_000_000
"""Nine hours. Larger indexes take too much memory here."""

_KEYS_BEFORE = 6
"""More key frames than any decode goes back."""

_MARGIN_SECONDS = 2
"""The index has decoding times, which may differ by this much from display times."""


class Window(NamedTuple):
    """A part of a video, in seconds, that is to be decoded later."""

    start: float
    end: float


class Sample(NamedTuple):
    """A frame in the index: its place in the file, its decoding time, and whether it is a key frame."""

    start: int
    stop: int
    seconds: float
    is_key: bool


class LeftOut:
    """The parts of a file that are read as zeros and are not fetched: none, until `leave_out_frames` is called.

    Args:
      windows: the parts of the video to be decoded later.
    """

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows = tuple(windows)
        self._ranges: list[tuple[int, int]] = []

    def part(self, start: int, stop: int) -> tuple[int, bool]:
        """Returns where the first part of a byte range ends, and whether this part is left out."""
        after = bisect.bisect_right(self._ranges, (start, sys.maxsize))
        if after and start < self._ranges[after - 1][1]:
            return min(stop, self._ranges[after - 1][1]), True
        return (min(stop, self._ranges[after][0]) if after < len(self._ranges) else stop), False

    def leave_out_frames(self, container: InputContainer, stream: VideoStream) -> None:
        """Leaves out the frames of a file that was just opened, if it has an index, and a codec that permits that."""
        is_mp4 = "mp4" in container.format.name.split(",")
        has_codec = stream.codec_context.codec.canonical_name in _CODECS
        if not is_mp4 or not has_codec or not 0 < len(stream.index_entries) <= _MAX_SAMPLES:
            return
        time_base, first = stream.time_base or 0, stream.index_entries[0].timestamp
        samples = [
            Sample(each.pos, each.pos + each.size, float((each.timestamp - first) * time_base), each.is_keyframe)
            for each in stream.index_entries
        ]
        self._ranges = list(unneeded(samples, self._windows))


def unneeded(samples: Sequence[Sample], windows: Iterable[Window]) -> Iterator[tuple[int, int]]:
    """Yields the byte ranges that a probe need not read, ascending: between the frames that it needs.

    Args:
      samples: all frames, in decoding order.
      windows: the parts of the video to be decoded later.
    """
    keys = [index for index, sample in enumerate(samples) if sample.is_key]
    key_seconds = [samples[index].seconds for index in keys]
    needed = set(range(min(NUM_FIRST, len(samples))))
    for window in windows:
        first = bisect.bisect_right(key_seconds, window.start - _MARGIN_SECONDS) - _KEYS_BEFORE
        needed.update(keys[max(first, 0) : bisect.bisect_right(key_seconds, window.end + _MARGIN_SECONDS)])
    reached = min(sample.start for sample in samples)
    for start, stop in sorted(samples[index][:2] for index in needed):
        if start > reached:
            yield reached, start
        reached = max(reached, stop)
    end = max(sample.stop for sample in samples)
    if end > reached:
        yield reached, end
