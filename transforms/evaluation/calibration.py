"""Calibration: whether a score of 0.9 is right in 90 % of cases. Only of the top label, over all classes together."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from reelbeam.transforms.evaluation.intervals import Counts, Floats, wilson
from reelbeam.transforms.evaluation.judged import Judged

MIN_ITEMS = 50
"""Fewer items have no curve."""
MIN_CLASS_ITEMS = 20
SIMULATIONS = 1000


@dataclasses.dataclass(frozen=True)
class Bin:
    """Items with similar scores.

    Attributes:
      lowest_score, highest_score, mean_score: of the items.
      hits: the number of right ones.
      accuracy: hits / count.
      low, high: the 95 % interval of the accuracy (Wilson).
    """

    lowest_score: float
    highest_score: float
    mean_score: float
    count: int
    hits: int
    accuracy: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ClassBias:
    """A class whose scores are too high or too low.

    Attributes:
      count: the items whose top label is the class, at least 20.
      hits: the number of right ones.
      expected_hits: the sum of their scores.
      excess: hits - expected_hits; below 0: the scores are too high.
    """

    label: str
    count: int
    hits: int
    expected_hits: float
    excess: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How well scores and accuracy agree. Numbers that are not defined for so few items are None.

    Attributes:
      count: the items: one of each video, with a label, whose truth is a class of the model.
      accuracy, mean_score: of the items.
      bins: of about the same numbers of items, by score; empty for fewer than 50 items.
      expected_calibration_error: the mean of |accuracy - mean_score| over the bins, weighted by their items.
      error_floor: the 95 % quantile of that error for a perfectly calibrated model with these scores.
      squared_error: the mean of (accuracy - mean_score)^2 without the part that chance adds (Kumar 2019); it can be
        below 0.
      brier_score: the mean of (score - right)^2.
      log_loss: in nats.
      verdict: "not distinguishable": from perfect calibration, with so few items.
      classes: of at least 20 items, the largest excess first.
    """

    count: int
    accuracy: float | None
    mean_score: float | None
    bins: tuple[Bin, ...]
    expected_calibration_error: float | None
    error_floor: float | None
    squared_error: float | None
    brier_score: float | None
    log_loss: float | None
    verdict: Literal["scores too high", "scores too low", "miscalibrated", "not distinguishable", "too few items"]
    classes: tuple[ClassBias, ...]


class _Binned(NamedTuple):
    """The number of the bin of each item, and the size and the sum of scores of each bin."""

    numbers: Counts
    sizes: Counts
    sums: Floats

    def error(self, hits: Floats) -> float:
        """Returns the expected calibration error."""
        return float(np.abs(np.bincount(self.numbers, hits) - self.sums).sum() / len(self.numbers))


def calibration(items: Sequence[Judged], seed: int = 0) -> Calibration:
    """Returns the calibration of the top labels.

    Args:
      items: independent items, see `one_per_video`. Those without truth, without a label or without a finite score are
        left out, and those whose top label is neither right nor wrong.
      seed: of the simulation of the floor.
    """
    used = [item for item in items if item.truth and _has_decided_score(item)]
    scores = np.clip(np.array([item.scores[0] for item in used], np.float64), 0, 1)  # rounding can exceed 1
    hits = np.array([item.is_hit for item in used], np.float64)
    if not used:
        return Calibration(0, None, None, (), None, None, None, None, None, "too few items", ())
    has_curve = len(used) >= MIN_ITEMS
    binned = _bin(scores)
    error = binned.error(hits) if has_curve else None
    floor = _floor(scores, binned, seed) if has_curve else None
    bins = _bins(scores, hits, binned) if has_curve else ()
    return Calibration(
        count=len(used),
        accuracy=float(hits.mean()),
        mean_score=float(scores.mean()),
        bins=bins,
        expected_calibration_error=error,
        error_floor=floor,
        squared_error=_debiased_squared_error(hits, binned) if has_curve else None,
        brier_score=float(np.mean((scores - hits) ** 2)),
        log_loss=_log_loss(hits, scores),
        verdict=_verdict(error, floor, bins),
        classes=_classes(used, scores, hits),
    )


def _has_decided_score(item: Judged) -> bool:
    return bool(item.scores) and bool(np.isfinite(item.scores[0])) and not item.is_undecided


def _bin(scores: Floats) -> _Binned:
    """Divides items into 5 to 15 bins of about the same size. Items with the same score are in the same bin."""
    wanted = min(15, max(5, round(len(scores) ** (1 / 3))))
    _, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    bins = np.floor(middles * wanted / len(scores)).astype(np.int64)
    _, numbers = np.unique(bins[ranks], return_inverse=True)
    return _Binned(numbers, np.bincount(numbers), np.bincount(numbers, scores).astype(np.float64))


def _floor(scores: Floats, binned: _Binned, seed: int) -> float:
    random = np.random.default_rng(seed)
    errors = [binned.error((random.random(len(scores)) < scores).astype(np.float64)) for _ in range(SIMULATIONS)]
    return float(np.quantile(errors, 0.95))


def _debiased_squared_error(hits: Floats, binned: _Binned) -> float:
    accuracy = np.bincount(binned.numbers, hits) / binned.sizes
    chance = accuracy * (1 - accuracy) / np.maximum(binned.sizes - 1, 1)
    squares = (accuracy - binned.sums / binned.sizes) ** 2 - chance
    squares[binned.sizes < 2] = 0  # one item says nothing about chance
    return float(squares @ binned.sizes / len(hits))


def _log_loss(hits: Floats, scores: Floats) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(hits, scores, labels=[0, 1]))


def _bins(scores: Floats, hits: Floats, binned: _Binned) -> tuple[Bin, ...]:
    found = []
    for number, size in enumerate(binned.sizes.tolist()):
        own = binned.numbers == number
        right = int(hits[own].sum())
        bounds = wilson(right, size)
        low, high = float(scores[own].min()), float(scores[own].max())
        found.append(Bin(low, high, float(scores[own].mean()), size, right, right / size, bounds.low, bounds.high))
    return tuple(found)


def _verdict(
    error: float | None, floor: float | None, bins: Sequence[Bin]
) -> Literal["scores too high", "scores too low", "miscalibrated", "not distinguishable", "too few items"]:
    if error is None or floor is None:
        return "too few items"
    if error <= floor:
        return "not distinguishable"
    gaps = np.array([(each.mean_score - each.accuracy) * each.count for each in bins])
    if abs(gaps.sum()) < 0.8 * np.abs(gaps).sum():  # some bins are too high, others too low
        return "miscalibrated"
    return "scores too high" if gaps.sum() > 0 else "scores too low"


def _classes(used: Sequence[Judged], scores: Floats, hits: Floats) -> tuple[ClassBias, ...]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(used):
        places[item.labels[0]].append(place)
    found = []
    for label, own in places.items():
        if len(own) >= MIN_CLASS_ITEMS:
            right, expected = int(hits[own].sum()), float(scores[own].sum())
            found.append(ClassBias(label, len(own), right, expected, right - expected))
    return tuple(sorted(found, key=lambda each: (-abs(each.excess), each.label)))
