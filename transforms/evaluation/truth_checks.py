"""Signs that the truth, or the order of the labels, is wrong. None of them is a proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from reelbeam.transforms.evaluation.confusions import ItemKey, item_key
from reelbeam.transforms.evaluation.judged import Judged

SURE_SCORE = 0.9
MAX_SUSPECTS = 50
MIN_ALWAYS_IN_TOP = 30
"""With fewer items, a good model has every truth among its top labels by chance."""

_SIGNIFICANCE = 0.05


@dataclasses.dataclass(frozen=True)
class LabelShift:
    """The answers would be right more often if class n were called as class n + `by` is.

    Attributes:
      by: 1 or -1.
      hits, shifted_hits: the items that are right now, and with shifted names.
      total: the items with truth and a label.
    """

    by: int
    hits: int
    shifted_hits: int
    total: int


@dataclasses.dataclass(frozen=True)
class Suspect:
    """An item to look at: the model is sure of a label, and none of the right ones is among its best.

    Attributes:
      label, score: the top label.
      margin: its score minus that of the second label.
    """

    item: ItemKey
    truth: tuple[str, ...]
    label: str
    score: float
    margin: float


@dataclasses.dataclass(frozen=True)
class TruthChecks:
    """What should be looked at before the results are believed.

    Attributes:
      shift: None if shifted names would not be better.
      is_always_in_top: whether a right label is among the stored ones for every item of at least 30: the truth may have
        been chosen from the answers of the model, which flatters it.
      num_suspects: the number of items to look at.
      suspects: up to 50 of them, the largest margin first.
    """

    shift: LabelShift | None
    is_always_in_top: bool
    num_suspects: int
    suspects: tuple[Suspect, ...]


def check_truth(items: Sequence[Judged], k: int, label_order: Sequence[str] = ()) -> TruthChecks:
    """Returns what looks wrong.

    Args:
      items: videos, or clips. Those without truth or without labels are left out.
      k: a label is among the best if its rank is at most this.
      label_order: the labels of the model in the order of its outputs; empty: the shift is not checked.
    """
    used = [item for item in items if item.truth and item.labels]
    decided = [item for item in used if not item.is_undecided]
    suspects = [item for item in decided if item.scores[0] >= SURE_SCORE and (item.rank is None or item.rank > k)]
    shown = sorted(map(_suspect, suspects), key=lambda each: (-each.margin, -each.score, each.item.video_uri))
    return TruthChecks(
        shift=_shift(used, label_order),
        is_always_in_top=len(used) >= MIN_ALWAYS_IN_TOP and all(item.rank is not None for item in used),
        num_suspects=len(suspects),
        suspects=tuple(shown[:MAX_SUSPECTS]),
    )


def _suspect(item: Judged) -> Suspect:
    second = item.scores[1] if len(item.scores) > 1 else 0.0
    margin = item.scores[0] - second
    return Suspect(item_key(item), tuple(sorted(item.truth)), item.labels[0], item.scores[0], margin)


def _shift(used: Sequence[Judged], label_order: Sequence[str]) -> LabelShift | None:
    """Returns the better shift if it is better by more than chance, by a one-sided exact McNemar test."""
    from scipy.stats import binom

    places = {label: place for place, label in enumerate(label_order)}
    hits = sum(item.is_hit for item in used)
    found = []
    for by in (1, -1):
        shifted = 0
        for item in used:
            place = places.get(item.labels[0], -2) + by
            shifted += 0 <= place < len(label_order) and label_order[place] in item.truth and not item.is_hit
        found.append((shifted, by))
    most, by = max(found)
    if most <= hits or binom.sf(most - 1, most + hits, 0.5) > _SIGNIFICANCE:
        return None
    return LabelShift(by, hits, most, len(used))
