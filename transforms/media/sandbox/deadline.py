"""How long a decoder process may keep its caller waiting."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence

from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.records import ClipSpan

_SECONDS_PER_VIDEO_SECOND = 5.0
_SECONDS_PER_SKIPPED_SECOND = 0.05
"""Of what lies before and between the clips, where decoding can start at key frames: no more than packets are read."""
_BYTES_PER_SECOND = 8 << 20
_CPU_FACTOR = 10
"""The clock of a request stands still while its caller is busy, and the decoder works ahead meanwhile."""
_FETCHED_BYTES_PER_SECOND = 1 << 20


class Budget:
    """The time that a request may take, in which only its owner's waiting counts: a slow model costs nothing."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def end(self) -> float:
        """Returns when the time is over, on its clock."""
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
    """Returns how long a request may take: the flag, plus time to read the file and to decode what is wanted of it.

    Args:
      limits: bear the flag.
      size_bytes: of the file.
      spans: the clips to decode; none for a probe.
      starts_anywhere: whether decoding can start at key frames; otherwise all that lies before a clip is decoded too.
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
    """Returns how much CPU time a process may use: far more than it needs to meet the deadline of its request.

    Only a process that nobody waits for any more gets there.
    """
    return math.ceil(_CPU_FACTOR * allowed_seconds(limits, size_bytes, spans, starts_anywhere))


def allowed_fetch_seconds(limits: DecoderLimits, size_bytes: int) -> float:
    """Returns how long a request may take to fetch what it reads of a remote file, on top of its own time."""
    return limits.fetch_seconds + size_bytes / _FETCHED_BYTES_PER_SECOND
