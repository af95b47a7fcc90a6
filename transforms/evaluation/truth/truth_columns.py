"""Find the columns of a truth file by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

VIDEO_COLUMNS = ("video_uri", "uri", "url", "video", "path", "file", "file_name", "filename", "name")
"""The names of the column with the video. If a file has several of them, the first one of this list is used."""

LABEL_COLUMN, ACCEPTABLE_COLUMN = "label", "also_acceptable"
START_COLUMN, END_COLUMN = "start_seconds", "end_seconds"

_OTHER_LABEL_NAMES = ("labels", "class", "classes", "class_name", "category", "action", "target", "truth", "tag")
_OTHER_RANGE_NAMES = {
    **dict.fromkeys(("start", "start_s", "start_sec", "start_time", "time_start", "start_ms", "begin"), START_COLUMN),
    **dict.fromkeys(("end", "end_s", "end_sec", "end_time", "time_end", "end_ms", "stop"), END_COLUMN),
}
_FRAME_NUMBERS = re.compile(
    r"(?=.*frame)(.*[_ ]|frames?)?(start|end|begin|stop|first|last|from|to)([_ ].*|frames?)?$"
    r"|frame([_ ](number|id|index))?$"
)
_MAX_SHOWN = 20


class TruthColumns(NamedTuple):
    """The names of the columns, as the file writes them; None for a column that is absent."""

    video: str
    label: str
    acceptable: str | None
    start: str | None
    end: str | None

    def names(self) -> list[str]:
        """Returns the names of the columns that are there."""
        return [name for name in self if name is not None]


def find_columns(names: Sequence[str]) -> TruthColumns:
    """Returns the columns of a truth file. Case, and spaces around a name, do not matter.

    Raises:
      ValueError: a column is missing or repeated, or the file gives times in another way. The message says what is
        there.

    >>> find_columns(["File", "label", "source"]).video
    'File'
    """
    found: dict[str, str] = {}
    for name in names:
        key = name.strip().lower()
        if key and key in found:
            raise ValueError(f"has two columns {key!r}: rename or remove one")
        found[key] = name
    _require_seconds(found)
    video = next((found[key] for key in VIDEO_COLUMNS if key in found), None)
    there = ", ".join(repr(name[:_MAX_SHOWN]) for name in names[:_MAX_SHOWN]) or "none"
    if video is None:
        raise ValueError(f"has no column with the video among {there}: name it {VIDEO_COLUMNS[0]!r} or 'file'")
    if LABEL_COLUMN not in found:
        other = next((repr(found[key]) for key in _OTHER_LABEL_NAMES if key in found), "the column with the label")
        raise ValueError(f"has no column {LABEL_COLUMN!r} among {there}: rename {other} to {LABEL_COLUMN!r}")
    return TruthColumns(
        video, found[LABEL_COLUMN], *(found.get(key) for key in (ACCEPTABLE_COLUMN, START_COLUMN, END_COLUMN))
    )


def _require_seconds(found: dict[str, str]) -> None:
    for key, name in found.items():
        if key in _OTHER_RANGE_NAMES and _OTHER_RANGE_NAMES[key] not in found:
            meant = _OTHER_RANGE_NAMES[key]
            raise ValueError(f"has a column {name!r}: name it {meant!r} and write seconds, or remove it")
        if _FRAME_NUMBERS.match(key):
            raise ValueError(
                f"has a column {name!r} with frame numbers, which are different times in each tool and after each "
                f"conversion: write {START_COLUMN!r} and {END_COLUMN!r}, or remove the column"
            )
