"""Calibration: the numbers by hand and by scikit-learn, and a floor that a calibrated model stays below."""

from __future__ import annotations

import math

import numpy as np
import pytest
from judged_factory import judged, of_best, simulated
from scipy.stats import binom
from sklearn.metrics import brier_score_loss, log_loss

from reelbeam.transforms.evaluation.calibration import MIN_CLASS_ITEMS, calibration
from reelbeam.transforms.evaluation.intervals import wilson


@pytest.mark.parametrize("n", [60, 400])
def test_a_calibrated_model_is_below_the_floor_in_about_95_percent(n: int) -> None:
    random = np.random.default_rng(n)
    trials, above = 100, 0
    for trial in range(trials):
        scores = random.beta(2, 1, n)
        found = calibration(of_best(scores, random.random(n) < scores), trial)
        above += found.verdict != "not distinguishable"
    assert above <= binom.ppf(0.99, trials, 0.05)
    assert n < 400 or above > 0


def test_the_floor_is_not_0_and_falls_with_more_items() -> None:
    random = np.random.default_rng(0)
    floors = [calibration(of_best(scores, scores > 0.5)).error_floor for scores in map(random.random, (50, 500, 5000))]
    assert floors[0] is not None and floors[1] is not None and floors[2] is not None
    assert floors[0] > 0.1 > floors[1] > 0.04 > floors[2] > 0.01


@pytest.mark.parametrize(
    ("power", "verdict"), [(2.0, "scores too high"), (0.5, "scores too low"), (1.0, "not distinguishable")]
)
def test_scores_that_are_too_high_or_too_low_are_noticed(power: float, verdict: str) -> None:
    random = np.random.default_rng(3)
    scores = random.random(2000)
    found = calibration(of_best(scores, random.random(2000) < scores**power))
    assert found.verdict == verdict
    assert found.error_floor is not None and found.expected_calibration_error is not None
    assert (found.expected_calibration_error > found.error_floor) == (power != 1.0)


def test_scores_that_are_too_high_and_too_low_are_miscalibrated() -> None:
    random = np.random.default_rng(4)
    scores = random.random(3000)
    assert calibration(of_best(scores, random.random(3000) < 0.5)).verdict == "miscalibrated"


def test_all_numbers_by_hand() -> None:
    scores = np.repeat([0.2, 0.4, 0.6, 0.8, 1.0], 20)
    hits = np.concatenate([np.arange(20) < number for number in (4, 6, 16, 15, 19)])
    found = calibration(of_best(scores, hits))
    assert [(each.mean_score, each.count, each.hits) for each in found.bins] == [
        (pytest.approx(0.2), 20, 4),
        (pytest.approx(0.4), 20, 6),
        (pytest.approx(0.6), 20, 16),
        (pytest.approx(0.8), 20, 15),
        (pytest.approx(1.0), 20, 19),
    ]
    assert (found.bins[1].low, found.bins[1].high) == (wilson(6, 20).low, wilson(6, 20).high)
    gaps = np.array([0, 0.1, 0.2, 0.05, 0.05])
    accuracy = np.array([0.2, 0.3, 0.8, 0.75, 0.95])
    assert found.expected_calibration_error == pytest.approx(gaps.mean())
    assert found.squared_error == pytest.approx(float(np.mean(gaps**2 - accuracy * (1 - accuracy) / 19)))
    assert found.brier_score == pytest.approx(brier_score_loss(hits, scores))
    assert found.log_loss == pytest.approx(log_loss(hits, scores))
    assert (found.count, found.accuracy, found.mean_score) == (100, pytest.approx(0.6), pytest.approx(0.6))
    (biased,) = found.classes
    assert (biased.label, biased.count, biased.hits, biased.expected_hits) == ("a", 100, 60, pytest.approx(60))


def test_the_squared_error_of_a_calibrated_model_is_0_on_average() -> None:
    random = np.random.default_rng(5)
    found = []
    for _ in range(100):
        scores = random.random(300)
        error = calibration(of_best(scores, random.random(300) < scores)).squared_error
        assert error is not None
        found.append(error)
    assert min(found) < 0
    assert abs(np.mean(found)) < 0.003


def test_equal_scores_are_in_one_bin() -> None:
    random = np.random.default_rng(6)
    scores = np.round(random.random(1000), 1)
    bins = calibration(of_best(scores, random.random(1000) < scores)).bins
    assert all(before.highest_score < after.lowest_score for before, after in zip(bins, bins[1:], strict=False))
    assert sum(each.count for each in bins) == 1000
    (only,) = calibration(of_best(np.full(80, 0.7), np.arange(80) < 56)).bins
    assert (only.lowest_score, only.highest_score, only.count, only.accuracy) == (0.7, 0.7, 80, 0.7)


@pytest.mark.parametrize(("n", "wanted"), [(50, 5), (231, 6), (1000, 10), (10_000, 15)])
def test_bins_have_about_the_same_size(n: int, wanted: int) -> None:
    _, items = simulated(n, n, 5, 5)
    bins = calibration(items).bins
    assert len(bins) == wanted
    sizes = [each.count for each in bins]
    assert max(sizes) - min(sizes) <= 1


def test_few_items_have_no_curve() -> None:
    scores = np.linspace(0.1, 0.9, 49)
    found = calibration(of_best(scores, scores > 0.5))
    assert (found.bins, found.expected_calibration_error, found.error_floor, found.squared_error) == (
        (),
        None,
        None,
        None,
    )
    assert found.verdict == "too few items"
    assert found.brier_score == pytest.approx(brier_score_loss(scores > 0.5, scores))
    assert calibration(()).brier_score is None
    one = calibration((judged("1", "a", ("a", 0.8)),))
    assert (one.accuracy, one.brier_score) == (1.0, pytest.approx(0.04))


def test_scores_of_0_and_1_are_finite() -> None:
    scores = np.array([0.0, 1.0, 1.0 + 1e-7] * 30)
    found = calibration(of_best(scores, np.arange(90) % 2 > 0))
    assert found.log_loss is not None and math.isfinite(found.log_loss)
    assert found.verdict == "miscalibrated"


def test_items_without_truth_label_or_score_are_left_out() -> None:
    items = [
        judged("1", "", ("a", 0.8)),
        judged("2", "a"),
        judged("3", "a", failed=True),
        judged("4", "a", ("a", float("nan"))),
        judged("5", "a", ("a", 0.5)),
    ]
    assert calibration(items).count == 1


def test_only_classes_with_enough_items_have_an_excess() -> None:
    items = [judged(f"{n}", "a" if n % 2 else "b", ("a", 0.9)) for n in range(40)]
    items += [judged(f"b{n}", "b", ("b", 0.9)) for n in range(MIN_CLASS_ITEMS - 1)]
    (found,) = calibration(items).classes
    assert (found.label, found.hits, found.excess) == ("a", 20, pytest.approx(-16))
