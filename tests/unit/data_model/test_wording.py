"""Words for numbers: one helper for nouns, one for lengths of time, which every message uses."""

from __future__ import annotations

import pathlib
import re

import pytest

from reelbeam.transforms.wording import counted, duration, first_and_more, short_duration

SOURCES = sorted(
    path
    for package in ("pipeline", "transforms")
    for path in pathlib.Path(__file__).parents[3].glob(f"{package}/**/*.py")
)
# "{n} videos" prints "1 videos".
_BARE_PLURAL = re.compile(
    r"\{(?!counted|duration)[^{}]*\} (inputs|videos|runs|clips|rows|requests|parts|hours|segments)\b"
)
_NO_COUNT = re.compile(r" runs Flink|of exactly |raise ValueError")
"""A verb; a number above one; a message of a bug."""


def test_a_noun_has_the_number_that_it_is_counted_with() -> None:
    assert [counted(number, "input") for number in (0, 1, 2)] == ["0 inputs", "1 input", "2 inputs"]


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (0, "0 seconds", "0 s"),
        (0.0001, "0.0001 seconds", "< 0.001 s"),
        (0.25, "0.25 seconds", "0.25 s"),
        (1, "1 second", "1 s"),
        (59.4, "59 seconds", "59 s"),
        (59.6, "1 minute", "1 min"),
        (60, "1 minute", "1 min"),
        (150, "2.5 minutes", "2.5 min"),
        (3600, "1 hour", "1 h"),
        (5400, "1.5 hours", "1.5 h"),
        (3_600_000, "1000 hours", "1000 h"),
    ],
)
def test_a_length_of_time_has_the_unit_that_suits_it(seconds: float, long: str, short: str) -> None:
    assert (duration(seconds), short_duration(seconds)) == (long, short)


def test_a_shortened_list_says_how_many_more_there_are() -> None:
    assert first_and_more([1, 2, 3], 2) == ([1, 2], "and 1 more")
    assert first_and_more([1, 2], 2) == ([1, 2], "")


def test_no_message_puts_a_bare_number_before_a_plural() -> None:
    lines = [(path.name, line.strip()) for path in SOURCES for line in path.read_text("utf-8").splitlines()]
    found = [(name, line) for name, line in lines if _BARE_PLURAL.search(line) and not _NO_COUNT.search(line)]
    assert found == []
