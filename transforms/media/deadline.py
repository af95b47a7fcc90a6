"""How long a decoder process may keep its caller waiting."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from transforms.media.limits import DecoderLimits
from transforms.records import ClipSpan

_SECONDS_PER_VIDEO_SECOND = 5.0
_SECONDS_PER_SKIPPED_SECOND = 0.5
_BYTES_PER_SECOND = 8 << 20
_FETCH_SECONDS = 600.0
_FETCHED_BYTES_PER_SECOND = 1 << 20


class Budget:
    """The time that a request may take, in which only its owner's waiting counts: a slow model costs nothing."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def end(self) -> float:
        """Returns when the time is over, on the monotonic clock."""
        return self._end

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the clock for the block."""
        start = time.monotonic()
        yield
        self._end += time.monotonic() - start


def allowed_seconds(limits: DecoderLimits, size_bytes: int, spans: Sequence[ClipSpan]) -> float:
    """Returns how long a request may take: the flag, plus time to read the file and to decode the segment."""
    seconds = limits.deadline_seconds + size_bytes / _BYTES_PER_SECOND
    if spans:
        start = min(span.first_seconds for span in spans)
        length = max(span.end_seconds for span in spans) - start
        seconds += _SECONDS_PER_VIDEO_SECOND * float(length) + _SECONDS_PER_SKIPPED_SECOND * float(start)
    return seconds


def allowed_fetch_seconds(size_bytes: int) -> float:
    """Returns how long a request may take to fetch what it reads of a remote file, on top of its own time."""
    return _FETCH_SECONDS + size_bytes / _FETCHED_BYTES_PER_SECOND
