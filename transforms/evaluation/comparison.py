"""Which of two outputs is better on the same items, and whether that is more than chance."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from reelbeam.transforms.evaluation.confusions import ItemKey, item_key
from reelbeam.transforms.evaluation.intervals import MIN_VIDEOS, Counts, Floats, Mean, mean_of, video_numbers, wilson
from reelbeam.transforms.evaluation.judged import Judged

SIGNIFICANCE = 0.05
MAX_EXAMPLES = 50

_Pair: TypeAlias = tuple[Judged, Judged]


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference of a top-k accuracy. Items that failed count as wrong.

    Attributes:
      accuracy_a, accuracy_b: of the items in both outputs; None without items.
      difference: accuracy_b - accuracy_a.
      low, high: its 95 % interval (paired bootstrap of videos); None for fewer than 20 videos. If the outputs agree on
        all items, the interval of Wilson for the share on which they might not.
      only_a_right, only_b_right: the items that one output has right and the other wrong.
      p_value: of McNemar's exact test on those; None if a video has several items, because these are not independent.
      verdict: "no difference shown": it may be chance. Decided by the p-value, or by the interval where there is none.
    """

    k: int
    accuracy_a: float | None
    accuracy_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    only_a_right: int
    only_b_right: int
    p_value: float | None
    verdict: Literal["a is better", "b is better", "no difference shown", "too few videos"]


@dataclasses.dataclass(frozen=True)
class ChangedItem:
    """An item that one output has right and the other wrong, by the top label.

    Attributes:
      label_a, label_b: the top labels; None without one.
      score_a, score_b: their scores.
    """

    item: ItemKey
    truth: tuple[str, ...]
    label_a: str | None
    score_a: float | None
    label_b: str | None
    score_b: float | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two outputs on the same items.

    Attributes:
      videos, items: with truth, in both outputs.
      only_in_a, only_in_b: the items with truth that the other output lacks.
      left_out: the items that an output has more than once, or whose truth differs.
      top: the difference for each k, ascending.
      right_to_wrong, wrong_to_right: from a to b; up to 50, the highest score first.
    """

    videos: int
    items: int
    only_in_a: int
    only_in_b: int
    left_out: int
    top: tuple[Difference, ...]
    right_to_wrong: tuple[ChangedItem, ...]
    wrong_to_right: tuple[ChangedItem, ...]


def compare(items_a: Sequence[Judged], items_b: Sequence[Judged], ks: Sequence[int], seed: int = 0) -> Comparison:
    """Compares two outputs.

    Args:
      items_a, items_b: videos, or clips, of each output. Those without truth are left out.
      ks: each at most the number of labels that both outputs keep.
      seed: of the bootstrap.
    """
    a, b = _by_key(items_a), _by_key(items_b)
    repeated = _repeated(items_a) | _repeated(items_b)
    both = [key for key in a if key in b]
    pairs = [(a[key], b[key]) for key in both if key not in repeated and a[key].truth == b[key].truth]
    videos = {first.video_uri for first, _ in pairs}
    return Comparison(
        videos=len(videos),
        items=len(pairs),
        only_in_a=len(a.keys() - b.keys()),
        only_in_b=len(b.keys() - a.keys()),
        left_out=len(both) - len(pairs),
        top=tuple(_difference(pairs, k, seed) for k in sorted(set(ks))),
        right_to_wrong=_changed([pair for pair in pairs if pair[0].is_hit and not pair[1].is_hit]),
        wrong_to_right=_changed([pair for pair in pairs if pair[1].is_hit and not pair[0].is_hit]),
    )


def _by_key(items: Sequence[Judged]) -> Mapping[ItemKey, Judged]:
    return {_place(item): item for item in items if item.truth}


def _place(item: Judged) -> ItemKey:
    """Returns the key of an item without the number of the clip, which depends on the sampling."""
    return ItemKey(item.video_uri, None, item.start_ms, item.end_ms)


def _repeated(items: Sequence[Judged]) -> set[ItemKey]:
    return {key for key, count in Counter(map(_place, items)).items() if count > 1}


def _difference(pairs: Sequence[_Pair], k: int, seed: int) -> Difference:
    right_a, right_b = (_right([pair[side] for pair in pairs], k) for side in (0, 1))
    videos = video_numbers([first for first, _ in pairs])
    mean = _mean_difference(right_b - right_a, videos, seed)
    only_a, only_b = int((right_a > right_b).sum()), int((right_b > right_a).sum())
    is_independent = len(np.unique(videos)) == len(pairs)
    p_value = _mcnemar(only_a, only_b) if is_independent else None
    if p_value is not None:
        is_significant = p_value <= SIGNIFICANCE
    else:
        is_significant = mean.low is not None and mean.high is not None and (mean.low > 0 or mean.high < 0)
    has_test = bool(pairs) and (p_value is not None or mean.low is not None)
    return Difference(
        k=k,
        accuracy_a=float(right_a.mean()) if pairs else None,
        accuracy_b=float(right_b.mean()) if pairs else None,
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        only_a_right=only_a,
        only_b_right=only_b,
        p_value=p_value,
        verdict=_verdict(mean.value or 0.0, is_significant) if has_test else "too few videos",
    )


def _mean_difference(differences: Floats, videos: Counts, seed: int) -> Mean:
    mean = mean_of(differences, videos, seed)
    num_videos = len(np.unique(videos))
    if num_videos < MIN_VIDEOS or differences.any():
        return mean
    most = wilson(0, num_videos).high
    return dataclasses.replace(mean, low=-most, high=most)


def _verdict(
    difference: float, is_significant: bool
) -> Literal["a is better", "b is better", "no difference shown", "too few videos"]:
    if not is_significant:
        return "no difference shown"
    return "b is better" if difference > 0 else "a is better"


def _right(items: Sequence[Judged], k: int) -> Floats:
    return np.array([item.rank is not None and item.rank <= k for item in items], np.float64)


def _mcnemar(only_a: int, only_b: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def _changed(pairs: Sequence[_Pair]) -> tuple[ChangedItem, ...]:
    found = [ChangedItem(item_key(a), tuple(sorted(a.truth)), *_best(a), *_best(b)) for a, b in pairs]
    found.sort(key=lambda each: (-max(each.score_a or 0.0, each.score_b or 0.0), each.item.video_uri))
    return tuple(found[:MAX_EXAMPLES])


def _best(item: Judged) -> tuple[str | None, float | None]:
    score = item.scores[0] if item.scores else None
    return (item.labels[0] if item.labels else None, score if score is not None and np.isfinite(score) else None)
