"""Duplicates: which entries of a run's inputs are one video.

An entry is one occurrence of a video in the inputs. Two entries are one video if they have the same URI (without its
query) and range, or if links make them names of one local file.

A file that links lead to gets the name that has no link in its path, if an input has that name; otherwise the first of
its names in alphabetical order. A name from a list is always kept, because its rows are joined with the list.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.records.time_range import input_key


class InputEntry(NamedTuple):
    """One occurrence of a video in the inputs.

    Attributes:
      link_target: key of the file, with its range, if a link is in the path; "" otherwise.
      from_list: whether a list names it.
      video: under the name that the input gives it.
    """

    link_target: str
    from_list: bool
    video: VideoRef

    @property
    def file(self) -> str:
        """The key that all entries of a file and a range share."""
        return self.link_target or self.video.key


class LinkResolver:
    """Makes entries of videos. It caches the targets of the last folders, because a listing goes folder by folder."""

    def __init__(self) -> None:
        self._real_folder = functools.lru_cache(maxsize=1024)(os.path.realpath)

    def entry(self, video: VideoRef, from_list: bool = False) -> InputEntry:
        """Returns the entry of a video."""
        return InputEntry(self._link_target(video), from_list, video)

    def _link_target(self, video: VideoRef) -> str:
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


def distinct(entries: Iterable[InputEntry]) -> Iterator[VideoRef]:
    """Yields each video once.

    Args:
      entries: all entries of some files, in any order.
    """
    files: dict[str, dict[str, InputEntry]] = {}
    for entry in entries:
        names = files.setdefault(entry.file, {})
        other = names.setdefault(entry.video.key, entry)
        video = min(other.video, entry.video, key=_preference)
        names[entry.video.key] = InputEntry(entry.link_target, other.from_list or entry.from_list, video)
    for names in files.values():
        listed = [entry.video for entry in names.values() if entry.from_list]
        first = min(names.values(), key=lambda entry: (entry.link_target != "", entry.video.video_uri))
        yield from listed or [first.video]


def _preference(video: VideoRef) -> tuple[object, ...]:
    """Returns the sort key of entries with one name: the lowest is kept, so that their order does not matter."""
    # An entry from a list has metadata and no size, one from a folder has a size: prefer both facts.
    facts = (video.is_guess, video.video_uri, video.time_range.to_texts())
    return video.metadata == (), video.metadata, video.size_bytes is None, *facts
