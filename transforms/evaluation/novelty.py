"""What separates videos of the classes from videos of none of them: score, entropy or log-sum-exp."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from reelbeam.transforms.evaluation.intervals import Counts, Floats, Mask, bootstrap, video_numbers
from reelbeam.transforms.evaluation.judged import Judged

Signal: TypeAlias = Literal["top score", "negative entropy", "log-sum-exp"]

MIN_VIDEOS_OF_A_KIND = 10


@dataclasses.dataclass(frozen=True)
class Separation:
    """How well a number separates the two kinds of items.

    Attributes:
      with_class, without_class: the numbers of items with that number.
      auroc: the area under the ROC curve: the chance that an item with a class has a higher number than one without.
        0.5: the number does not separate them. None if there are no items of a kind.
      low, high: its 95 % interval (bootstrap of videos); None for fewer than 20 videos, or for fewer than 10 with or
        without a class.
    """

    signal: Signal
    with_class: int
    without_class: int
    auroc: float | None
    low: float | None
    high: float | None


def separations(items: Sequence[Judged], seed: int = 0) -> tuple[Separation, ...]:
    """Returns the separation by each number that any item has; empty if no item is without a class.

    Args:
      items: videos, or clips. Items that failed are left out. The top score of an item without labels is 0.
      seed: of the bootstrap.
    """
    answered = [item for item in items if not item.is_failed]
    if all(item.truth for item in answered):
        return ()
    found = (_separation(answered, signal, seed) for signal in _NUMBERS)
    return tuple(each for each in found if each.with_class + each.without_class)


def _separation(answered: Sequence[Judged], signal: Signal, seed: int) -> Separation:
    values = np.array([_NUMBERS[signal](item) for item in answered], np.float64)  # None becomes NaN
    used = np.isfinite(values)
    has_class = np.array([bool(item.truth) for item in answered], bool)[used]
    videos = video_numbers([item for item, is_used in zip(answered, used.tolist(), strict=True) if is_used])
    num_with = int(has_class.sum())
    num_without = len(has_class) - num_with
    if not num_with or not num_without:
        return Separation(signal, num_with, num_without, None, None, None)
    num_videos = int(videos.max()) + 1
    area = _Area(values[used], has_class, videos)
    is_enough = min(len(np.unique(videos[has_class])), len(np.unique(videos[~has_class]))) >= MIN_VIDEOS_OF_A_KIND
    bounds = bootstrap(area.of, num_videos, seed) if is_enough else None
    value = area.of(np.ones(num_videos))
    return Separation(signal, num_with, num_without, value, *((bounds.low, bounds.high) if bounds else (None, None)))


class _Area:
    """The area under the ROC curve of samples of videos.

    Args:
      values: of the items.
      has_class: whether each item has a class.
      videos: the number of the video of each item.
    """

    def __init__(self, values: Floats, has_class: Mask, videos: Counts) -> None:
        order = np.argsort(values)
        ordered = values[order]
        self._videos = videos[order]
        self._has_class = has_class[order].astype(np.float64)
        self._first = np.searchsorted(ordered, ordered, "left")  # of the items with an equal value
        self._end = np.searchsorted(ordered, ordered, "right")

    def of(self, drawn: Floats) -> float:
        """Returns the area of a sample, which has each video `drawn` times; NaN if it has no item of a kind."""
        weights = drawn[self._videos]
        with_class = weights * self._has_class
        below = np.concatenate([[0.0], np.cumsum(weights - with_class)])
        pairs = with_class.sum() * below[-1]
        halves = below[self._first] + below[self._end]  # an equal value counts as half
        return float((with_class * halves).sum() / 2 / pairs) if pairs else float("nan")


def _top_score(item: Judged) -> float:
    return item.scores[0] if item.scores else 0.0


def _negative_entropy(item: Judged) -> float | None:
    return None if item.entropy is None else -item.entropy


def _log_sum_exp(item: Judged) -> float | None:
    return item.log_sum_exp


_NUMBERS: Mapping[Signal, Callable[[Judged], float | None]] = {
    "top score": _top_score,
    "negative entropy": _negative_entropy,
    "log-sum-exp": _log_sum_exp,
}
