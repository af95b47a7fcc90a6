"""Pair the names of a truth file with the URIs of an output by keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_NAMED = 2
"""The counterparts of an ambiguous name that are kept for the message."""


class Key(NamedTuple):
    """What is compared of a name.

    Attributes:
      folded: names with different folded keys are different.
      exact: if several names have the same folded key, those with the same exact key are preferred.
    """

    folded: str
    exact: str


class Ambiguous(NamedTuple):
    """A name and some names of the other side that it may mean."""

    name: str
    others: tuple[str, ...]


class Pairs(NamedTuple):
    """Names with their videos, and names or videos that have several counterparts."""

    videos: dict[str, str]
    ambiguous: list[Ambiguous]

    def __len__(self) -> int:
        return len(self.videos) + len(self.ambiguous)


def pair(
    names: Iterable[str],
    videos: Iterable[str],
    name_keys: Callable[[str], Sequence[Key]],
    video_key: Callable[[str], Key],
) -> Pairs:
    """Pairs each name with the video that has the same key.

    Args:
      names: distinct names of the truth file.
      videos: distinct URIs of the output.
      name_keys: returns the keys of a name, the best first.
      video_key: returns the key of a video.
    """
    by_key: dict[str, list[str]] = {}
    by_exact_key: dict[Key, list[str]] = {}
    for video in videos:
        key = video_key(video)
        by_key.setdefault(key.folded, []).append(video)
        by_exact_key.setdefault(key, []).append(video)
    pairs = Pairs({}, [])
    claims: dict[str, list[tuple[str, Key]]] = {}
    for name in names:
        for key in name_keys(name):
            found = by_exact_key.get(key) or by_key.get(key.folded)
            if found is None:
                continue
            if len(found) > 1:
                pairs.ambiguous.append(Ambiguous(name, tuple(found[:_NAMED])))
            else:
                claims.setdefault(found[0], []).append((name, key))
            break
    for video, claimants in claims.items():
        exact = video_key(video)
        found = [name for name, key in claimants if key == exact] or [name for name, _ in claimants]
        if len(found) > 1:
            pairs.ambiguous.append(Ambiguous(video, tuple(found[:_NAMED])))
        else:
            pairs.videos[found[0]] = video
    return pairs
