"""Which mentions of a run's inputs are about one video: the same name, or names that links make of one local file.

A file that inputs reach by several paths, through links to it or to folders above it, is one video. It has the name of
the path without a link, where an input reaches it so, else the first one in the order of the names. What a list names
keeps its name: its rows are joined with what a list's author knows.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.records.time_range import input_key


class Mention(NamedTuple):
    """A video as an input names it.

    Attributes:
      link_to: the key of the file, with its range, that links on the way lead to; "" where there is no link.
      is_listed: whether a list names it.
      video: under the name that the input gives it.
    """

    link_to: str
    is_listed: bool
    video: VideoRef

    @property
    def file(self) -> str:
        """What all mentions of a file with one range have in common."""
        return self.link_to or self.video.key


class Files:
    """Tells the files of mentions. Where folders lead is kept for the last few: a listing goes folder by folder."""

    def __init__(self) -> None:
        self._real_folder = functools.lru_cache(maxsize=1024)(os.path.realpath)

    def mention(self, video: VideoRef, is_listed: bool = False) -> Mention:
        """Returns the mention of a video."""
        return Mention(self._link_to(video), is_listed, video)

    def _link_to(self, video: VideoRef) -> str:
        path = storage.local_path(video.video_uri)
        if path is None or "\0" in path:
            return ""
        folder, name = os.path.split(path)
        real = os.path.join(self._real_folder(folder), name)  # noqa: PTH118
        if os.path.islink(real):  # noqa: PTH114
            real = os.path.realpath(real)
        if real == path:
            return ""
        return input_key(storage.normalize(real), video.time_range.start_ms, video.time_range.end_ms)


def distinct(mentions: Iterable[Mention]) -> Iterator[VideoRef]:
    """Yields each video once, of all mentions of the files that are mentioned."""
    files: dict[str, dict[str, Mention]] = {}
    for mention in mentions:
        names = files.setdefault(mention.file, {})
        other = names.setdefault(mention.video.key, mention)
        video = min(other.video, mention.video, key=worse)
        names[mention.video.key] = Mention(mention.link_to, other.is_listed or mention.is_listed, video)
    for names in files.values():
        listed = [mention.video for mention in names.values() if mention.is_listed]
        first = min(names.values(), key=lambda mention: (mention.link_to != "", mention.video.video_uri))
        yield from listed or [first.video]


def worse(video: VideoRef) -> tuple[Any, ...]:
    """Returns what orders the mentions of one name: the lowest one is kept."""
    # An entry with a size (from a listing) and one without (from a list file) may both be there: keep both facts.
    facts = (video.is_guess, video.video_uri, video.time_range.to_texts())
    return video.metadata == (), video.metadata, video.size_bytes is None, *facts
