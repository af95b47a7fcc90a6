"""The statistics of shares: exact where a formula is known, and simulated where a rate or a bias is documented."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawn_labels import NUM_LABELS, ZIPF, Distribution, drawn, moved

from reelbeam.transforms.output.comparison import shares

SPREAD = ZIPF * (1 + 0.3 * np.where(np.arange(NUM_LABELS) % 2, 1, -1))
SPREAD /= SPREAD.sum()
"""The distribution after about 0.15 of the videos moved, a few of each label."""


def variation(other: Distribution) -> float:
    return float(np.abs(other - ZIPF).sum() / 2)


def mean_moved(size: int, other: Distribution, repetitions: int = 20) -> float:
    random = np.random.default_rng(4)
    found = [shares.shift(drawn(random, size), drawn(random, size, other)).moved for _ in range(repetitions)]
    return float(np.mean(found))


@pytest.mark.parametrize("size", [40, 100, 300, 3000])
def test_sides_without_a_common_label_moved_completely(size: int) -> None:
    random = np.random.default_rng(1)
    after = {f"other {name}": count for name, count in drawn(random, size).items()}
    found = shares.shift(drawn(random, size), after)
    assert found.moved == pytest.approx(1) and found.observed_variation == pytest.approx(1)
    assert found.p_value == 1 / 1000 and 0.1 < found.chance_variation < 0.9


@pytest.mark.parametrize(("size", "most"), [(40, 0.2), (100, 0.15), (300, 0.1), (3000, 0.04)])
def test_the_estimate_for_many_moved_labels(size: int, most: float) -> None:
    """Small samples of 600 labels, all of which changed, seem to have fewer labels in common than they have."""
    true = variation(np.roll(ZIPF, 300))
    assert true - 0.04 < mean_moved(size, np.roll(ZIPF, 300)) < true + most


@pytest.mark.parametrize("share", [0.2, 0.4])
@pytest.mark.parametrize("size", [40, 100, 300, 3000])
def test_the_estimate_for_one_label_that_gained(share: float, size: int) -> None:
    true = variation(moved(share))
    assert mean_moved(size, moved(share)) == pytest.approx(true, abs=0.07 if size < 300 else 0.05)


@pytest.mark.parametrize(("size", "least"), [(100, 0.05), (300, 0.06), (3000, 0.1), (20_000, 0.12)])
def test_the_estimate_for_small_changes_of_all_labels_is_too_low(size: int, least: float) -> None:
    assert variation(SPREAD) == pytest.approx(0.15, abs=0.01)
    assert least < mean_moved(size, SPREAD) < 0.15


@pytest.mark.parametrize(("size", "most"), [(40, 0.09), (100, 0.07), (300, 0.05), (3000, 0.035), (20_000, 0.01)])
def test_the_estimate_without_drift_is_small(size: int, most: float) -> None:
    assert mean_moved(size, ZIPF) < most


def test_the_observed_and_the_chance_variation() -> None:
    found = shares.shift({"a": 60, "b": 40}, {"a": 40, "b": 60})
    assert found.observed_variation == pytest.approx(0.2)
    # Two samples of 100 videos: the mean of |difference| of a share of 0.5 is sqrt(2 / pi) / sqrt(200).
    assert found.chance_variation == pytest.approx(np.sqrt(2 / np.pi / 200), abs=0.005)
    assert shares.shift({}, {"a": 3}) == shares.NO_SHIFT


def test_fisher_is_the_exact_permutation_test() -> None:
    """Counts all assignments of 7 videos to sides of 3 and 4, where 4 videos have the label."""
    has_label = [True] * 4 + [False] * 3
    counts = [sum(has_label[place] for place in side) for side in itertools.combinations(range(7), 3)]
    for count in range(4):
        low, high = (sum(test(each) for each in counts) / len(counts) for test in (count.__ge__, count.__le__))
        found = shares.exact_p_values(np.array([count]), np.array([4 - count]), 3, 4)
        assert found[0] == pytest.approx(min(1, 2 * min(low, high)))


def test_intervals_are_those_of_the_literature() -> None:
    """The example of Newcombe 1998: 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339."""
    low, high = shares.newcombe_interval(np.array([48]), np.array([56]), 80, 70)
    assert (round(low[0], 4), round(high[0], 4)) == (0.0524, 0.3339)
    low, high = shares.newcombe_interval(np.array([0, 10]), np.array([20, 0]), 10, 20)
    assert low[0] > 0.5 and high[0] == 1 and low[1] == -1 and high[1] < -0.5
    low, high = shares.wilson_interval(np.array([2, 0, 10]), 10)
    assert (low[1], high[2]) == pytest.approx((0, 1)) and low[0] == pytest.approx(0.0567, abs=1e-4)


def test_divergence_is_that_of_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    before, after = {"a": 30, "b": 70, "c": 5}, {"a": 60, "b": 10}
    counts = np.array([[30, 70, 5]]), np.array([90, 80, 5])
    exact = jensenshannon([30, 70, 5], [60, 10, 0], base=2) ** 2
    assert shares._measures(*counts, 105)[2, 0] == pytest.approx(exact)
    assert 0 < exact - shares.shift(before, after).divergence_bits < 0.02
