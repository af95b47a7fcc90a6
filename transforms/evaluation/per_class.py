"""Precision, recall and average precision of each class: one class against the rest.

An item with several right labels counts for each of them. What is not defined is None, never 0.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reelbeam.transforms.evaluation.intervals import Counts, Floats, Proportion, proportion, video_numbers
from reelbeam.transforms.evaluation.judged import Judged

MIN_FOR_INTERVAL = 5
"""A class with fewer items has counts and no interval."""


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """How right the labels of a class are.

    Attributes:
      support: the items whose truth has the class, failed ones included.
      predictions: the items whose top label is the class, without those for which it is neither right nor wrong.
      precision: of the predictions, the share that is right. An item without any of the classes counts as wrong.
      recall: of the support, the share whose top label is the class. An item that failed counts as missed.
      average_precision: of the items for which the class is right or wrong; None without support; see
        `PerClass.is_exact`.
    """

    label: str
    support: int
    predictions: int
    precision: Proportion
    recall: Proportion
    average_precision: float | None


@dataclasses.dataclass(frozen=True)
class PerClass:
    """All classes with truth or predictions, the most frequent first. After these, the others, if they are known.

    Attributes:
      num_with_truth: the number of classes with truth. The means are over these classes, where defined.
      num_predicted: of those, the number with predictions; `mean_precision` is over these.
      average_precision_name: "AP", or "AP (from top-5)".
      is_exact: whether the average precision is exact, because the output keeps the scores of all classes. Otherwise it
        is a lower bound: a right label whose score is not stored adds nothing, and a score of another item that is not
        stored counts as the lowest stored one of that item.
    """

    classes: tuple[ClassResult, ...]
    num_with_truth: int
    num_predicted: int
    mean_precision: float | None
    mean_recall: float | None
    mean_average_precision: float | None
    average_precision_name: str
    is_exact: bool


def per_class(items: Sequence[Judged], num_stored: int, num_classes: int | None, seed: int = 0) -> PerClass:
    """Returns the results of all classes with truth or predictions.

    Args:
      items: videos, or clips.
      num_stored: the number of labels that the output keeps for each item.
      num_classes: the number of classes of the model; None if it is not known.
      seed: of the bootstrap.
    """
    videos = video_numbers(items)
    truth, said = defaultdict(list), defaultdict(list)
    for place, item in enumerate(items):
        for label in item.truth:
            truth[label].append(place)
        if item.labels and not item.is_undecided:
            said[item.labels[0]].append(place)
    average_precision = _AveragePrecision(items, truth)
    labels = sorted(truth.keys() | said.keys(), key=lambda label: (-len(truth[label]), -len(said[label]), label))
    results = tuple(
        ClassResult(
            label=label,
            support=len(truth[label]),
            predictions=len(said[label]),
            precision=_share([label in items[place].truth for place in said[label]], videos[said[label]], seed),
            recall=_share([items[place].labels[:1] == (label,) for place in truth[label]], videos[truth[label]], seed),
            average_precision=average_precision.of(label),
        )
        for label in labels
    )
    known = [result for result in results if result.support]
    is_exact = num_classes is not None and all(item.is_failed or len(item.labels) >= num_classes for item in items)
    return PerClass(
        classes=results,
        num_with_truth=len(known),
        num_predicted=sum(1 for result in known if result.predictions),
        mean_precision=_mean(result.precision.value for result in known),
        mean_recall=_mean(result.recall.value for result in known),
        mean_average_precision=_mean(result.average_precision for result in known),
        average_precision_name="AP" if is_exact else f"AP (from top-{num_stored})",
        is_exact=is_exact,
    )


def with_others(found: PerClass, labels: Sequence[str]) -> PerClass:
    """Returns the results with a row for each other class.

    Args:
      found: the results.
      labels: all labels of the model; empty if they are not known.
    """
    there = {each.label for each in found.classes}
    nothing = proportion((), np.empty(0, np.int64), 0)
    others = (ClassResult(label, 0, 0, nothing, nothing, None) for label in labels if label not in there)
    return dataclasses.replace(found, classes=(*found.classes, *others))


def _share(hits: Sequence[bool], videos: Counts, seed: int) -> Proportion:
    found = proportion(hits, videos, seed)
    if found.total >= MIN_FOR_INTERVAL:
        return found
    return dataclasses.replace(found, low=None, high=None, method="none")


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


class _AveragePrecision:
    """The average precision of classes, or a lower bound of it.

    Args:
      items: videos, or clips.
      truth: the places of the items of each class.
    """

    def __init__(self, items: Sequence[Judged], truth: Mapping[str, Sequence[int]]) -> None:
        self._truth = truth
        self._lowest: Floats = np.array([item.scores[-1] if item.scores else -1.0 for item in items], np.float64)
        self._lowest[np.isnan(self._lowest)] = -1.0  # without a score an item ranks last
        self._stored: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._left_out: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            for label in item.acceptable:
                self._left_out[label].append(place)
            for label, score in zip(item.labels, item.scores, strict=True):
                if label not in item.acceptable:
                    self._stored[label].append((place, -1.0 if np.isnan(score) else score))

    def of(self, label: str) -> float | None:
        """Returns the value of a class; None without truth."""
        from sklearn.metrics import average_precision_score

        num_right = len(self._truth.get(label, ()))
        if not num_right:
            return None
        stored = self._stored.get(label, [])
        places = np.array([place for place, _ in stored], np.int64)
        is_right = np.zeros(len(self._lowest), bool)
        is_right[list(self._truth[label])] = True
        scores = np.array([score for _, score in stored], np.float64)
        found = scores[is_right[places]]
        if not len(found):
            return 0.0
        others = ~is_right & (self._lowest >= found.min())  # those below do not matter
        others[places] = False
        others[self._left_out.get(label, [])] = False
        scores = np.concatenate([scores, self._lowest[others]])
        rights = np.concatenate([is_right[places], np.zeros(int(others.sum()), bool)])
        return float(average_precision_score(rights, scores)) * len(found) / num_right
