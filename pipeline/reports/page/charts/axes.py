"""Round numbers for axes."""

from __future__ import annotations

import math

_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def round_step(largest: float, most: int) -> float:
    """Returns the smallest step of 1, 2 or 5 times a power of ten with which at most `most` steps reach `largest`.

    >>> round_step(97, 5), round_step(0.3, 3)
    (20.0, 0.1)
    """
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest / most))
    return next((step * power for step in (1, 2, 5) if step * power * most >= largest * (1 - 1e-9)), 10 * power)


def time_ticks(start_ms: int, end_ms: int, most: int) -> list[int]:
    """Returns at most `most` + 1 round times in a part of a video, in milliseconds."""
    length = (end_ms - start_ms) / 1000
    step_seconds = next((step for step in _SECONDS if step * most >= length), math.ceil(length / most / 86400) * 86400)
    step = max(1, round(step_seconds * 1000))
    first = -(-start_ms // step) * step
    return list(range(first, end_ms + 1, step))
