"""Records check what they are given, and print without their pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from reelbeam.transforms.records import Clip, ClipSpan
from reelbeam.transforms.records.exact_numbers import parse_exact

SPAN = ClipSpan(3, Fraction(1, 3), Fraction(7, 3), Fraction(1), (0, 1), 2)


def test_a_span_reports_whole_milliseconds() -> None:
    assert (SPAN.start_ms, SPAN.end_ms, SPAN.num_frames) == (333, 2333, 2)


def test_a_clip_prints_its_shape_and_not_its_pixels() -> None:
    clip = Clip("a.mp4", 0, SPAN, np.zeros((2, 4, 6, 3), np.uint8))
    assert repr(clip) == "Clip(a.mp4#3, frames: uint8[2, 4, 6, 3])"


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)]
)
def test_a_clip_refuses_frames_that_are_not_rgb(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frames must be uint8 \[T, H, W, 3\]"):
        Clip("a.mp4", 0, SPAN, frames)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", Fraction(5)),
        ("-12.5", Fraction(-25, 2)),
        (".5e1", Fraction(5)),
        ("30000/1001", Fraction(30000, 1001)),
        ("5e-324", Fraction("5e-324")),
        (str(Fraction("29.97" + "0" * 37 + "1")), Fraction("29.97" + "0" * 37 + "1")),
    ],
)
def test_an_exact_number_is_parsed_exactly(text: str, number: Fraction) -> None:
    assert parse_exact(text) == number


@pytest.mark.parametrize("value", ["1e999999999", "1e9_9_9_9_9_9_9_9_9", "1e-9999", "1/1e9", "nan", "", "5\n", 5, None])
def test_a_number_of_too_many_digits_or_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a number such as 5, 12\.5 or 30000/1001"):
        parse_exact(value)


def test_a_ratio_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="^'1/0' divides by zero$"):
        parse_exact("1/0")
