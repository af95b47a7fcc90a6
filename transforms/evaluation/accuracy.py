"""Top-1 and top-k accuracy, with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.intervals import Mean, Proportion, mean_of, proportion, video_numbers
from reelbeam.transforms.evaluation.judged import Judged


@dataclasses.dataclass(frozen=True)
class TopK:
    """How often one of the right labels is among the best k.

    Attributes:
      with_failed: over all items with truth; one that failed counts as wrong.
      without_failed: over the items with truth that have an answer.
      mean_over_classes: the mean of the shares of the classes with truth, with failed items; None without classes.
    """

    k: int
    with_failed: Proportion
    without_failed: Proportion
    mean_over_classes: float | None


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How often the labels are right, over items whose truth is a class of the model.

    Attributes:
      top: for each k, ascending.
      num_classes: the number of classes with truth, over which the means are.
      recall_of_sets: over items with several right labels: the share of those labels among the best k of the largest k.
    """

    top: tuple[TopK, ...]
    num_classes: int
    recall_of_sets: Mean


def check_k(k: int, num_stored: int) -> None:
    """Checks that labels for a top-k accuracy are there.

    Args:
      k: of the accuracy.
      num_stored: the number of labels that the output keeps for each item.

    Raises:
      ConfigError: there are fewer labels.
    """
    if k < 1:
        raise ConfigError(f"top-{k} accuracy is not defined: pass a number of at least 1")
    if k > num_stored:
        raise ConfigError(
            f"top-{k} accuracy needs {k} labels, but the output keeps {num_stored}: pass a number of at most "
            f"{num_stored}, or label the videos again with --top_k={k}"
        )


def accuracy(items: Sequence[Judged], ks: Sequence[int], seed: int = 0) -> Accuracy:
    """Returns the accuracy for each k. Items without truth are left out.

    Args:
      items: videos, or clips.
      ks: each at most the number of labels that the output keeps; see `check_k`.
      seed: of the bootstrap.
    """
    known = [item for item in items if item.truth]
    classes = {label for item in known for label in item.truth}
    top = tuple(_top_k(known, k, seed) for k in sorted(set(ks)))
    return Accuracy(top, len(classes), _recall_of_sets(known, max(ks), seed))


def _top_k(known: Sequence[Judged], k: int, seed: int) -> TopK:
    videos = video_numbers(known)
    hits = np.array([item.rank is not None and item.rank <= k for item in known], bool)
    answered = np.array([not item.is_failed for item in known], bool)
    return TopK(
        k=k,
        with_failed=proportion(hits, videos, seed),
        without_failed=proportion(hits[answered], videos[answered], seed),
        mean_over_classes=_mean_over_classes(known, k),
    )


def _mean_over_classes(known: Sequence[Judged], k: int) -> float | None:
    totals: dict[str, int] = {}
    hits: dict[str, int] = {}
    for item in known:
        best = item.labels[:k]
        for label in item.truth:
            totals[label] = totals.get(label, 0) + 1
            hits[label] = hits.get(label, 0) + (label in best)
    return float(np.mean([hits[label] / totals[label] for label in sorted(totals)])) if totals else None


def _recall_of_sets(known: Sequence[Judged], k: int, seed: int) -> Mean:
    several = [item for item in known if len(item.truth) > 1]
    shares = [len(item.truth.intersection(item.labels[:k])) / len(item.truth) for item in several]
    return mean_of(np.array(shares, np.float64), video_numbers(several), seed)
