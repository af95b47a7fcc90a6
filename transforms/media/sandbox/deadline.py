"""Time limits of a request to a decoder process."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.records import ClipSpan

_SECONDS_PER_VIDEO_SECOND = 5.0
_SECONDS_PER_SKIPPED_SECOND = 0.05
"""For video before and between the clips, if decoding can start at key frames: only packets are read there."""
_BYTES_PER_SECOND = 8 << 20
_CPU_FACTOR = 10
"""The clock of a request is paused while its caller is busy, but the decoder works ahead meanwhile."""
_FETCHED_BYTES_PER_SECOND = 1 << 20


class Budget:
    """The time limit of a request. Only the parent's waiting counts, so a slow model does not use it up."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def end(self) -> float:
        """Returns the deadline on its clock, in seconds."""
        return self._end

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the clock for the block."""
        start = self._clock()
        yield
        self._end += self._clock() - start


def allowed_seconds(
    limits: DecoderLimits, size_bytes: int, spans: Sequence[ClipSpan] = (), starts_anywhere: bool = True
) -> float:
    """Returns the time limit of a request: the flag's value, plus time to read the file and to decode the clips.

    Args:
      limits: the limits with the flag's value.
      size_bytes: the size of the file.
      spans: the clips to decode; empty for a probe.
      starts_anywhere: whether decoding can start at key frames. Otherwise everything before a clip is decoded too.

    Returns:
      Seconds.
    """
    seconds = limits.deadline_seconds + size_bytes / _BYTES_PER_SECOND
    wanted, end = 0.0, 0.0
    for span in sorted(spans, key=lambda span: span.first_seconds):
        wanted += max(0.0, float(span.end_seconds) - max(end, float(span.first_seconds)))
        end = max(end, float(span.end_seconds))
    if not starts_anywhere:
        wanted = end
    return seconds + _SECONDS_PER_VIDEO_SECOND * wanted + _SECONDS_PER_SKIPPED_SECOND * (end - wanted)


def allowed_cpu_seconds(
    limits: DecoderLimits, size_bytes: int, spans: Sequence[ClipSpan] = (), starts_anywhere: bool = True
) -> int:
    """Returns the limit of a process's CPU time in seconds, far more than the deadline of its request allows.

    It ends processes that were abandoned.
    """
    return math.ceil(_CPU_FACTOR * allowed_seconds(limits, size_bytes, spans, starts_anywhere))


def allowed_fetch_seconds(limits: DecoderLimits, size_bytes: int) -> float:
    """Returns the additional time limit for fetching a remote file during a request, in seconds."""
    return limits.fetch_seconds + size_bytes / _FETCHED_BYTES_PER_SECOND


def with_time_limit(
    limits: DecoderLimits,
    seconds: float,
    size_bytes: int,
    spans: Sequence[ClipSpan] = (),
    starts_anywhere: bool = True,
) -> DecoderLimits:
    """Returns limits with which a request takes at most `seconds`, whatever the file's size, and fetching likewise."""
    excess = max(allowed_seconds(limits, size_bytes, spans, starts_anywhere) - seconds, 0)
    fetch_excess = max(allowed_fetch_seconds(limits, size_bytes) - seconds, 0)
    return dataclasses.replace(
        limits,
        deadline_seconds=limits.deadline_seconds - excess,
        fetch_seconds=limits.fetch_seconds - fetch_excess,
    )
