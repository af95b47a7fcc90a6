"""Which pictures are dropped so that the page is not too large."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, Pictures
from reelbeam.transforms.output.comparison.changes import Changes
from reelbeam.transforms.output.digest.content import ClipKey, Content, ShownClip

DROPPING_ORDER = (
    "those of the timelines first, then of the unfamiliar and undecided clips, of the videos whose label changed, of "
    "the median and the least sure clips of the labels, of the least certain clips, of the surest clips of the labels, "
    "and of the sample last"
)
"""The order of `_by_importance` from its end, as text."""


@dataclasses.dataclass(frozen=True)
class Shelf:
    """The clips whose pictures fit into the page, and those whose pictures do not.

    Attributes:
      dropped: the clips without pictures because of the size.
      num_pictures: the number of clips with pictures.
    """

    dropped: frozenset[ClipKey]
    num_pictures: int


def fit(content: Content, changes: Changes | None, pictures: Mapping[ClipKey, Pictures], max_bytes: int) -> Shelf:
    """Returns which clips have pictures in the page.

    Args:
      content, changes: what the page shows.
      pictures: of its clips.
      max_bytes: the size of all pictures together, as they are in the page.

    Returns:
      the most important clips whose pictures fit; pictures that are less important than dropped ones are dropped, too.
    """
    sizes = picture_sizes(content, changes, pictures)
    used = 0
    kept: set[ClipKey] = set()
    for key, size in sizes.items():
        used += size
        if used > max_bytes:
            break
        kept.add(key)
    return Shelf(frozenset(sizes.keys() - kept), len(kept))


def picture_sizes(
    content: Content, changes: Changes | None, pictures: Mapping[ClipKey, Pictures]
) -> dict[ClipKey, int]:
    """Returns the bytes in the page of the pictures of each clip, the most important clip first."""
    sizes: dict[ClipKey, int] = {}
    for clip in _by_importance(content, changes):
        found = pictures.get(clip.key)
        if isinstance(found, Filmstrip):
            sizes[clip.key] = _encoded(found.strip.webp) + _encoded(found.whole.webp)
    return sizes


def _encoded(data: bytes) -> int:
    return 4 * -(-len(data) // 3)


def _by_importance(content: Content, changes: Changes | None) -> Iterator[ShownClip]:
    sheets = content.sheets
    yield from sheets.sample
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
