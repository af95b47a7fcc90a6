"""Text for numbers in messages: nouns in the singular or plural, durations with a suitable unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_MINUTE, _HOUR = 60, 3600
_SYMBOLS = {"second": "s", "minute": "min", "hour": "h"}

_T = TypeVar("_T")


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun, whose plural ends in "s".

    >>> counted(1, "input"), counted(0, "video")
    ('1 input', '0 videos')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Returns a duration in seconds, minutes or hours.

    >>> [duration(seconds) for seconds in (0, 0.0071, 1, 39.4, 90, 3600, 900_000)]
    ['0 seconds', '0.0071 seconds', '1 second', '39 seconds', '1.5 minutes', '1 hour', '250 hours']
    """
    number, unit = _in_unit(seconds)
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"


def short_duration(seconds: float) -> str:
    """Returns a duration as text for a table cell.

    >>> [short_duration(seconds) for seconds in (0, 0.0004, 12.3, 90, 5400)]
    ['0 s', '< 0.001 s', '12 s', '1.5 min', '1.5 h']
    """
    number, unit = _in_unit(seconds)
    return f"{'< 0.001' if 0 < seconds < 0.001 else number} {_SYMBOLS[unit]}"


def _in_unit(seconds: float) -> tuple[str, str]:
    if round(seconds) < _MINUTE:
        return (f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}"), "second"
    value, unit = (seconds / _MINUTE, "minute") if round(seconds) < _HOUR else (seconds / _HOUR, "hour")
    return (f"{value:.0f}" if value >= 100 else f"{max(value, 1):.3g}"), unit


def first_and_more(items: Sequence[_T], most: int) -> tuple[Sequence[_T], str]:
    """Returns the first items of a list and a text about the number of others, or "" if there are none.

    >>> first_and_more("abcd", 3)
    ('abc', 'and 1 more')
    """
    return items[:most], f"and {len(items) - most} more" if len(items) > most else ""
