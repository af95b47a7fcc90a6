"""Which labels are said instead of the right ones."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

from reelbeam.transforms.evaluation.judged import Judged

MAX_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class ItemKey:
    """An item: a video, or a clip of it.

    Attributes:
      clip_index, start_ms, end_ms: of the clip; None for a whole video.
    """

    video_uri: str
    clip_index: int | None
    start_ms: int | None
    end_ms: int | None


@dataclasses.dataclass(frozen=True)
class Confusion:
    """A wrong answer, and how often it was given.

    Attributes:
      truth: the right label; None: none of the classes is in the video.
      said: the top label; None without one.
      answer: whether there is a label.
      count: the number of items. An item with several right labels counts for each of them.
      share: of the items with that truth.
      examples: up to 3 items, those with the highest scores.
    """

    truth: str | None
    said: str | None
    answer: Literal["label", "nothing recognized", "no answer (failed)"]
    count: int
    share: float
    examples: tuple[ItemKey, ...]


def item_key(item: Judged) -> ItemKey:
    """Returns what identifies an item."""
    return ItemKey(item.video_uri, item.clip_index, item.start_ms, item.end_ms)


def confusions(items: Sequence[Judged]) -> tuple[Confusion, ...]:
    """Returns all wrong answers, the most frequent first.

    An item without a label is right if none of the classes is in it, unless it failed. A label that is neither right
    nor wrong is not a wrong answer.
    """
    totals: Counter[str | None] = Counter()
    wrong: dict[tuple[str | None, str | None, bool], list[Judged]] = defaultdict(list)
    for item in items:
        truths: list[str | None] = [*sorted(item.truth)] or [None]
        totals.update(truths)
        said = item.labels[0] if item.labels else None
        if item.is_hit or item.is_undecided or (not item.truth and said is None and not item.is_failed):
            continue
        for truth in truths:
            wrong[truth, said, item.is_failed].append(item)
    found = [
        Confusion(
            truth=truth,
            said=said,
            answer="label" if said is not None else "no answer (failed)" if is_failed else "nothing recognized",
            count=len(each),
            share=len(each) / totals[truth],
            examples=tuple(map(item_key, sorted(each, key=_surest_first)[:MAX_EXAMPLES])),
        )
        for (truth, said, is_failed), each in wrong.items()
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.count, -pair.share, pair.truth or "", pair.said or "")))


def _surest_first(item: Judged) -> tuple[float, str, int]:
    return (-(item.scores[0] if item.scores else 0.0), item.video_uri, item.start_ms or 0)
