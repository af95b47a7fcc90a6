"""A row with the columns video_uri, start_seconds and end_seconds -> VideoRef; its other columns become metadata."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeGuard

from reelbeam.transforms import storage
from reelbeam.transforms.inputs.list_rows import RANGE_COLUMNS, URI_COLUMN
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.records.exact_numbers import MAX_SECONDS, parse_seconds
from reelbeam.transforms.records.time_range import TimeRange


def video_of_row(row: Mapping[str, object], where: str, base_dir: str | None) -> VideoRef:
    """Returns the video that a row names.

    Args:
      row: the values by column.
      where: the place of the row, for messages: "line 3".
      base_dir: the base of relative local paths.

    Raises:
      ValueError: the row has no URI, or its URI or range is not valid. The message names the row and the value.
    """
    return dataclasses.replace(whole_video_of_row(row, where, base_dir), time_range=_range_of(row, where))


def whole_video_of_row(row: Mapping[str, object], where: str, base_dir: str | None) -> VideoRef:
    """Returns the video that a row names, without its range; with the arguments and errors of `video_of_row`."""
    uri = row.get(URI_COLUMN)
    if uri is None or uri == "":
        raise ValueError(f"{where} has no {URI_COLUMN}")
    uri = os.fspath(uri) if isinstance(uri, os.PathLike) else uri
    if not _is_name(uri):
        shown = json.dumps(uri, default=str)[:80]
        raise ValueError(f"{where}: {URI_COLUMN} is {shown}, and should be a text, the URI or the path of a file")
    others = {name: value for name, value in row.items() if name not in (URI_COLUMN, *RANGE_COLUMNS)}
    metadata = {_as_text(name): _as_text(value) for name, value in others.items() if value is not None}
    return VideoRef(storage.normalize(uri, base_dir), metadata=tuple(sorted(metadata.items())))


def _is_name(value: object) -> TypeGuard[str]:
    """Whether a value can be a file's name: a text that system calls accept."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:  # an unpaired surrogate
        return False
    return True


def _range_of(row: Mapping[str, object], where: str) -> TimeRange:
    """Returns the range of a row."""
    start, end = (_seconds(row.get(name), name, where) for name in RANGE_COLUMNS)
    if end is not None and end <= (start or 0):
        name, other = RANGE_COLUMNS
        raise ValueError(f"{where}: {other} is {float(end):g}, and should be above {name}, {float(start or 0):g}")
    return TimeRange.of(start, end)


def _seconds(value: object, name: str, where: str) -> Fraction | None:
    """Returns a bound of a range exactly as its decimal text states; None for an empty value."""
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        shown = json.dumps(value, default=str)[:80]
        raise ValueError(
            f"{where}: {name} is {shown}, and should be a number of seconds, such as 90 or 12.5"
        ) from error
    if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{where}: {name} is {str(value).strip()}, and should be from 0 to {MAX_SECONDS} seconds")
    return seconds


def _as_text(value: object) -> str:
    """Returns a name or a value of metadata as text: a nested value as JSON if JSON has it, others as Python does."""
    text = str(value)
    if isinstance(value, dict | list | bool):
        with contextlib.suppress(ValueError, TypeError):  # a circle, or keys that JSON does not have or cannot sort
            text = json.dumps(value, sort_keys=True, default=str)
    return text.encode("utf-8", "replace").decode()  # JSON may contain an unpaired surrogate, tables may not
