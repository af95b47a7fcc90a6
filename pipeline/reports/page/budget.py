"""Which pictures are dropped so that the page is not too large."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from reelbeam.pipeline.reports.page import text
from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, Pictures
from reelbeam.transforms.output.comparison.changes import Changes
from reelbeam.transforms.output.report_content.content import Content
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ShownClip

DROPPING_ORDER = (
    "Pictures of the timelines are left out first, then those of the unfamiliar and undecided clips, of the videos "
    "whose label changed, of the median and the least sure clips of the labels, of the least certain clips, of the "
    "surest clips of the labels, of the videos with wrong labels, and those of the sample last."
)
"""The order of `_by_importance` from its end, as text."""


@dataclasses.dataclass(frozen=True)
class PictureBudget:
    """The clips whose pictures fit into the page, and those whose pictures do not.

    Attributes:
      dropped: the clips without pictures because of the size.
      num_pictures: the number of clips with pictures.
    """

    dropped: frozenset[ClipKey]
    num_pictures: int


def fit(
    content: Content,
    changes: Changes | None,
    pictures: Mapping[ClipKey, Pictures],
    max_bytes: int,
    wrong: Sequence[ShownClip] = (),
) -> PictureBudget:
    """Returns which clips have pictures in the page.

    Args:
      content, changes: what the page shows.
      pictures: of its clips.
      max_bytes: the size of all pictures together, as they are in the page.
      wrong: the clips of videos with wrong labels.

    Returns:
      the most important clips whose pictures fit; pictures that are less important than dropped ones are dropped, too.
    """
    sizes = picture_sizes(content, changes, pictures, wrong)
    used = 0
    kept: set[ClipKey] = set()
    for key, size in sizes.items():
        used += size
        if used > max_bytes:
            break
        kept.add(key)
    return PictureBudget(frozenset(sizes.keys() - kept), len(kept))


def picture_sizes(
    content: Content,
    changes: Changes | None,
    pictures: Mapping[ClipKey, Pictures],
    wrong: Sequence[ShownClip] = (),
) -> dict[ClipKey, int]:
    """Returns the bytes in the page of the pictures of each clip, the most important clip first."""
    sizes: dict[ClipKey, int] = {}
    for clip in _by_importance(content, changes, wrong):
        found = pictures.get(clip.key)
        if isinstance(found, Filmstrip):
            sizes[clip.key] = _encoded(found.strip.webp) + _encoded(found.whole.webp)
    return sizes


def pictures_text(budget: PictureBudget) -> str:
    """Returns how many clips have pictures, as a sentence."""
    return f"{text.many(budget.num_pictures, 'clip')} {'has' if budget.num_pictures == 1 else 'have'} pictures."


def dropped_text(budget: PictureBudget, max_bytes: int) -> str:
    """Returns how many clips have no pictures because of the size of the page, as a sentence; "" if there are none."""
    if not budget.dropped:
        return ""
    verb = "has" if len(budget.dropped) == 1 else "have"
    return (
        f"{text.many(len(budget.dropped), 'clip')} {verb} no pictures, so that this file is not larger than "
        f"{text.size(max_bytes)}."
    )


def _encoded(data: bytes) -> int:
    return 4 * -(-len(data) // 3)


def _by_importance(content: Content, changes: Changes | None, wrong: Sequence[ShownClip]) -> Iterator[ShownClip]:
    sheets = content.sheets
    yield from sheets.sample
    yield from wrong
    for label in sheets.labels:
        yield from label.surest
    yield from sheets.least_certain
    for label in sheets.labels:
        yield from (*label.least, *label.median)
    if changes is not None:
        yield from (video.clip for video in changes.changed if video.clip is not None)
    yield from sheets.undecided
    yield from sheets.unfamiliar
    for timeline in content.timelines:
        yield from timeline.clips
