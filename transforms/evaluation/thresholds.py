"""Thresholds of the score for a promised precision, by a fixed-sequence test.

The lowest cut whose precision on the truth reaches the target misses it on new videos in half of all cases. Here each
cut has to pass an exact binomial test, from strict to loose, until the first failure. The grid and its order do not
depend on the data. The tests of one call share `delta`: the chance that any of its thresholds breaks its promise is at
most that. This holds for videos like those of the truth, with one decision for each video: its top label.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.intervals import Counts, Floats, Mask, Proportion, proportion
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.records.thresholds import NEVER

DELTA = 0.1
GRID: tuple[float, ...] = (0.999, 0.998, 0.995, *(cut / 100 for cut in range(99, 1, -1)), 0.0)
"""The cuts, from strict to loose. The last one accepts every label."""

_MOST_NEEDED = 1_000_000


@dataclasses.dataclass(frozen=True)
class Threshold:
    """The lowest score with the promised precision.

    Attributes:
      label: the class; None for all classes together.
      cut: labels with a score of at least this are accepted; None if no cut can be promised.
      accepted: the number of labels that pass.
      right: of those, the number of right ones.
      total: the labels that were judged.
      coverage: accepted / total; None without labels.
      delta: the chance that the precision is below the target on new videos is at most this.
      more_needed: without a cut: about how many more videos with this label are needed, if they are like these; None if
        even a million would not be enough, because fewer of the surest labels are right than wished.
      surest: the share of right labels at the strictest cut that was tested; None with a cut, or without labels.
    """

    label: str | None
    cut: float | None
    accepted: int
    right: int
    total: int
    coverage: float | None
    delta: float
    more_needed: int | None
    surest: Proportion | None = None


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The thresholds for a target. The chance that one of them breaks its promise is at most delta.

    Attributes:
      precision: the target.
      overall: for all classes together, if its cut is used for the labels of all classes.
      classes: for the classes that were asked for, by label. Each is a promise for its own class.
      min_class_items: a class needs this many labels, all right, for a cut of its own.
    """

    precision: float
    overall: Threshold
    classes: tuple[Threshold, ...]
    min_class_items: int

    def to_labels(self) -> tuple[float, dict[str, float]]:
        """Returns the threshold of all labels, and those of labels with another one; see `LabelThresholds`.

        The labels that pass have the promised precision together. A cut for all classes stands alone: beside cuts of
        single classes, that of the other classes is not known. Without it, only classes with an own cut pass.
        """
        if self.overall.cut is not None:
            return self.overall.cut, {}
        own = {each.label: each.cut for each in self.classes if each.label is not None and each.cut is not None}
        return NEVER, own


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """A threshold, judged on videos that it was not made from.

    Attributes:
      label: the class; None for all classes together.
      precision: the share of the accepted labels that is right.
      coverage: the share of the labels that is accepted.
    """

    label: str | None
    precision: Proportion
    coverage: Proportion


class _Tally(NamedTuple):
    """For each cut of the grid, the numbers of accepted and of right labels."""

    accepted: Counts
    right: Counts


def thresholds(
    items: Sequence[Judged], precision: float, classes: Sequence[str] | None = None, delta: float = DELTA
) -> Thresholds:
    """Returns the thresholds for a wished precision.

    Args:
      items: independent items, see `one_per_video`. A label is wrong if the truth is none of the classes. Items without
        a label or without a finite score are left out, and those whose top label is neither right nor wrong.
      precision: the target, above 0 and below 1.
      classes: those that get a threshold of their own; None: as many of the most frequent top labels as have enough
        items. Their choice depends on the labels of the model only, so the test stays exact.
      delta: the chance of a broken promise, above 0 and below 1. If classes are tested, all classes together have half
        of it, and the single ones share the rest.

    Raises:
      ConfigError: precision or delta is outside its range.
    """
    for name, value in (("precision", precision), ("delta", delta)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} {value} cannot be promised: pass a number above 0 and below 1")
    used = [item for item in _decided(items) if np.isfinite(item.scores[0])]
    scores = np.array([item.scores[0] for item in used], np.float64)
    right = np.array([item.is_hit for item in used], bool)
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(used):
        places[item.labels[0]].append(place)
    asked = _possible_classes(places, precision, delta / 2) if classes is None else sorted(set(classes))
    share = delta / 2 / max(1, len(asked))
    return Thresholds(
        precision=precision,
        overall=_threshold(None, scores, right, precision, delta / 2 if asked else delta),
        classes=tuple(
            _threshold(label, scores[own], right[own], precision, share) for label, own in _of(places, asked)
        ),
        min_class_items=min_items(precision, share),
    )


def judge(found: Thresholds, items: Sequence[Judged]) -> tuple[HeldOut, ...]:
    """Returns how all thresholds with a cut do on other items: `overall` first.

    Args:
      found: the thresholds.
      items: independent items of other videos. Those without a label are left out, and those whose top label is
        neither right nor wrong.
    """
    judged = []
    for each in (found.overall, *found.classes):
        if each.cut is not None:
            own = [item for item in _decided(items) if each.label in (None, item.labels[0])]
            passed = [item for item in own if item.scores[0] >= each.cut]
            right = proportion([item.is_hit for item in passed], np.arange(len(passed)), 0)
            kept = proportion([item.scores[0] >= each.cut for item in own], np.arange(len(own)), 0)
            judged.append(HeldOut(each.label, right, kept))
    return tuple(judged)


def _decided(items: Sequence[Judged]) -> list[Judged]:
    return [item for item in items if item.scores and not item.is_undecided]


def min_items(precision: float, delta: float) -> int:
    """Returns how many labels, all right, pass the test: 22 for a precision of 0.9 and a delta of 0.1."""
    return math.ceil(math.log(delta) / math.log(precision) - 1e-9)


def _of(places: Mapping[str, Sequence[int]], asked: Sequence[str]) -> list[tuple[str, Counts]]:
    return [(label, np.array(places.get(label, ()), np.int64)) for label in asked]


def _possible_classes(places: Mapping[str, Sequence[int]], precision: float, delta: float) -> list[str]:
    """Returns the classes that can pass. Each further class leaves less of delta to all of them."""
    by_size = sorted(places, key=lambda label: (-len(places[label]), label))
    possible = [
        number for number, label in enumerate(by_size, 1) if len(places[label]) >= min_items(precision, delta / number)
    ]
    return sorted(by_size[: max(possible, default=0)])


def _threshold(label: str | None, scores: Floats, right: Mask, precision: float, delta: float) -> Threshold:
    tally = _tally(scores, right)
    place = _last_passed(tally, precision, delta)
    if place is None:
        more = _more_needed(tally, len(scores), precision, delta)
        surest = _surest(tally, precision, delta)
        return Threshold(label, None, 0, 0, len(scores), 0.0 if len(scores) else None, delta, more, surest)
    accepted, hits = int(tally.accepted[place]), int(tally.right[place])
    return Threshold(label, GRID[place], accepted, hits, len(scores), accepted / len(scores), delta, None)


def _surest(tally: _Tally, precision: float, delta: float) -> Proportion | None:
    """Returns the share of right labels at the first cut that is tested; None without labels."""
    place = int(_first_cuts(tally.accepted[None, :], min_items(precision, delta))[0])
    accepted, right = int(tally.accepted[place]), int(tally.right[place])
    return proportion(np.arange(accepted) < right, np.arange(accepted), 0) if accepted else None


def _tally(scores: Floats, right: Mask) -> _Tally:
    order = np.argsort(scores)
    below = np.searchsorted(scores[order], GRID)
    hits_below = np.concatenate([[0], np.cumsum(right[order])])
    return _Tally(len(scores) - below, hits_below[-1] - hits_below[below])


def _last_passed(tally: _Tally, precision: float, delta: float) -> int | None:
    """Returns the place of the loosest cut that passes with all stricter ones; None if the first one fails."""
    first = int(_first_cuts(tally.accepted[None, :], min_items(precision, delta))[0])
    failed = ~_passes(tally.accepted[first:], tally.right[first:], precision, delta)
    passed = int(np.argmax(failed)) if failed.any() else len(failed)
    return first + passed - 1 if passed else None


def _first_cuts(accepted: Counts, least: int) -> Counts:
    """Returns the place of the first cut that is tested; `accepted` has a row for each number of labels.

    It is the first that accepts at least twice as many labels as can pass at all, so that one error does not end the
    test; at least as many if there are fewer labels; the last cut if there are even fewer.
    """
    total = accepted[:, -1:]
    wanted = np.minimum(np.where(total >= 2 * least, 2 * least, least), total)
    return np.argmax(accepted >= wanted, axis=1)


def _passes(accepted: Counts, right: Counts, precision: float, delta: float) -> Mask:
    """Returns whether each precision is above the target by the exact binomial test."""
    from scipy.stats import binom

    p_values = binom.sf(right - 1, accepted, precision)
    return np.asarray(p_values <= delta, bool)


def _more_needed(tally: _Tally, total: int, precision: float, delta: float) -> int | None:
    """Returns about how many more labels would pass the first cut, if as many were accepted and right as of these."""
    if not total:
        return None
    more = np.unique(np.geomspace(1, _MOST_NEEDED, 300).astype(np.int64))
    scales = (total + more)[:, None] / total
    accepted, right = (np.floor(counts * scales + 1e-9).astype(np.int64) for counts in tally)
    first = _first_cuts(accepted, min_items(precision, delta))
    rows = np.arange(len(more))
    (enough,) = np.nonzero(_passes(accepted[rows, first], right[rows, first], precision, delta))
    return int(more[enough[0]]) if len(enough) else None
