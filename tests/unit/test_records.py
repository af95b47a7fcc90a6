"""Records check what they are given, and print without their pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from reelbeam.transforms.records import Clip, ClipSpan

SPAN = ClipSpan(3, Fraction(1, 3), Fraction(7, 3), Fraction(1), (0, 1), 2)


def test_a_span_tells_whole_milliseconds() -> None:
    assert (SPAN.start_ms, SPAN.end_ms, SPAN.num_frames) == (333, 2333, 2)


def test_a_clip_prints_its_shape_and_not_its_pixels() -> None:
    clip = Clip("a.mp4", 0, SPAN, np.zeros((2, 4, 6, 3), np.uint8))
    assert repr(clip) == "Clip(a.mp4#3, frames: uint8[2, 4, 6, 3])"


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)]
)
def test_a_clip_refuses_what_is_no_rgb(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frames must be uint8 \[T, H, W, 3\]"):
        Clip("a.mp4", 0, SPAN, frames)
