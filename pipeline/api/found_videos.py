"""The videos that the argument of `label` names: those of a path or a pattern, or those of elements."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.inputs.expansion import expand_input, matches_anything, why_nothing
from reelbeam.transforms.labeling.elements import Named, named_video
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.selection.duplicates import InputEntry, LinkResolver, distinct


class FoundVideos(NamedTuple):
    """What an argument names.

    Attributes:
      videos: the videos, each once.
      rejected: the elements that name no video.
    """

    videos: list[VideoRef]
    rejected: list[Named]


def find_videos(given: object) -> FoundVideos:
    """Returns the videos that an argument names.

    Args:
      given: a file, a folder or a pattern, expanded as the command line expands its inputs; an element as LabelVideos
        takes it; or an iterable of such elements, which are files and are not expanded.

    Raises:
      ConfigError: a file, a folder or a pattern matches nothing.
      StorageError: a folder or a pattern cannot be listed.
      TypeError: the argument is of another type.
    """
    base_dir = str(pathlib.Path.cwd())
    if isinstance(given, str | os.PathLike):
        return FoundVideos(list(distinct(_expanded(os.fspath(given), base_dir))), [])
    named = [named_video(element, base_dir) for element in _elements(given)]
    links = LinkResolver()
    entries = (links.entry(each.video, from_list=True) for each in named if each.failure is None)
    return FoundVideos(list(distinct(entries)), [each for each in named if each.failure is not None])


def _expanded(given: str, base_dir: str) -> Iterator[InputEntry]:
    if not matches_anything(given, base_dir):
        raise ConfigError(f"{without_query(given)} matches no video: {why_nothing(given, base_dir)}")
    links = LinkResolver()
    return map(links.entry, expand_input(given, base_dir))


def _elements(given: object) -> Iterable[object]:
    if _is_element(given):
        return [given]
    if isinstance(given, bytes | bytearray) or hasattr(given, "columns") or not isinstance(given, Iterable):
        raise TypeError(
            f"videos is of type {type(given).__name__}: pass a path, a URI, a folder, a pattern, or an iterable of "
            "paths or dicts (for a table of pandas: table.to_dict('records'), for one of Arrow: table.to_pylist())"
        )
    return given


def _is_element(given: object) -> bool:
    is_record = dataclasses.is_dataclass(given) and not isinstance(given, type)
    return isinstance(given, Mapping) or is_record or hasattr(given, "_asdict") or hasattr(given, "as_dict")
