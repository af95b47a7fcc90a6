"""Times on one steady clock, without a file: a frame every 40 ticks, jumps from 10,000 ticks on."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from reelbeam.transforms.media.timing.clock import NO_TIME, ClockRules, Reading, bridges, mend

_RULES = ClockRules(
    spacing=Fraction(40), min_spacing=Fraction(1), max_step=10_000, max_step_back=100, bridges_forward=True
)
_ = NO_TIME


def _mended(times: list[int], rules: ClockRules = _RULES) -> tuple[list[int], int]:
    mended, num_discontinuities, _taken = mend([Reading(np.array(times), np.arange(len(times)))], rules)
    return mended.tolist(), num_discontinuities


@pytest.mark.parametrize(
    ("times", "expected", "num_discontinuities"),
    [
        pytest.param([0, 40, 80, 120], [0, 40, 80, 120], 0, id="sound"),
        pytest.param([0, 40, 55, 200], [0, 40, 55, 200], 0, id="variable rate"),
        pytest.param([7, 47, _, _, 167], [7, 47, 87, 127, 167], 0, id="missing between"),
        pytest.param([_, _, 80, 120], [0, 40, 80, 120], 0, id="missing at the start"),
        pytest.param([0, 40, _, _], [0, 40, 80, 120], 0, id="missing at the end"),
        pytest.param([_, _, _], [0, 40, 80], 0, id="all missing"),
        pytest.param([0, 40, _, 5000, 5040], [0, 40, 80, 5000, 5040], 0, id="missing before a hole"),
        pytest.param([80, 120, 160, 0, 40, 80, 120, 160], [80, 120, 160, 200, 240, 280, 320, 360], 1, id="restarts"),
        pytest.param(
            [0, 40, 80, 120, 90_000, 90_040, 90_080, 90_120], [0, 40, 80, 120, 160, 200, 240, 280], 1, id="jumps ahead"
        ),
        pytest.param([0, 40, 90_000, 120, 160], [0, 40, 80, 120, 160], 1, id="one is wild"),
        pytest.param([90_000, 40, 80, 120], [0, 40, 80, 120], 1, id="the first is wild"),
        pytest.param([0, 40, 80, 90_000], [0, 40, 80, 120], 1, id="the last is wild"),
        pytest.param([0, 40, 5000, 120, 5080, 200, 240], [0, 40, 80, 120, 160, 200, 240], 2, id="every other is wild"),
        pytest.param([0, 40, 160, 120, 160], [0, 40, 80, 120, 160], 0, id="slightly wrong is no discontinuity"),
        pytest.param([5, 5, 5, 5], [5, 45, 85, 125], 0, id="constant"),
        pytest.param([0] * 25 + [1000] * 25, [40 * n for n in range(50)], 0, id="whole seconds"),
    ],
)
def test_times_in_display_order(times: list[int], expected: list[int], num_discontinuities: int) -> None:
    assert _mended(times) == (expected, num_discontinuities)


def test_a_hole_is_kept_where_the_clock_cannot_jump() -> None:
    rules = dataclasses.replace(_RULES, bridges_forward=False)
    times = [0, 40, 90_000, 90_040, 180_000, 180_040]
    assert _mended(times, rules) == (times, 0)
    assert _mended([0, 40, 80, 90_000, 160, 200], rules) == ([0, 40, 80, 120, 160, 200], 1)


def test_the_order_with_the_fewest_jumps_is_taken() -> None:
    times, shown = np.array([0, 120, 40, 80, 240, 160, 200]), np.array([0, 2, 3, 1, 5, 6, 4])
    mended, num_discontinuities, _taken = mend([Reading(times, np.arange(7)), Reading(times, shown)], _RULES)
    assert (mended.tolist(), num_discontinuities) == (times.tolist(), 0)


def test_bridges_of_decoding_times() -> None:
    shifts, num_jumps = bridges(np.array([0, 40, _, 120, 7, 47, 87, 127, 167]), _RULES)
    assert (shifts.tolist(), num_jumps) == ([0, 0, 0, 0, 153, 153, 153, 153, 153], 1)


def test_missing_frames_need_room() -> None:
    """A time that repeats after many frames without one is of another recording."""
    times = [0, *[_] * 12, 520, *[_] * 12, 0, *[_] * 12, 520, *[_] * 5]
    assert _mended(times) == ([40 * n for n in range(len(times))], 1)
