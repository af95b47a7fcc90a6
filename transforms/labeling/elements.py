"""Elements of another pipeline, or arguments of a function -> the videos that they name."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from reelbeam.transforms.errors import InvalidInputError
from reelbeam.transforms.inputs.list_rows import URI_COLUMN
from reelbeam.transforms.inputs.video_rows import video_of_row, whole_video_of_row
from reelbeam.transforms.records import Failure, VideoRef
from reelbeam.transforms.redaction import without_query

_MAX_SHOWN = 120


class Named(NamedTuple):
    """The video that an element names.

    Attributes:
      video: the video; of an element that names none, the element as text in place of a URI.
      failure: why the element cannot be labeled; None if it can.
    """

    video: VideoRef
    failure: Failure | None = None


def named_video(element: object, base_dir: str | None = None) -> Named:
    """Returns the video that an element names. An element whose range is not valid keeps its URI and metadata.

    Args:
      element: a URI or a path; or a mapping, a named tuple, a dataclass or a `beam.Row` with the field `video_uri`,
        and optionally `start_seconds` and `end_seconds`. Its other fields become metadata.
      base_dir: the base of relative local paths.
    """
    if isinstance(element, VideoRef):
        return Named(element)
    shown = _shown(element)
    video, where = VideoRef(shown), f"the element {shown}"
    try:
        fields = _fields_of(element)
        video = whole_video_of_row(fields, where, base_dir)
        return Named(video_of_row(fields, where, base_dir))
    except ValueError as error:
        return Named(video, Failure.of(InvalidInputError(str(error)), video, "list"))


def _shown(element: object) -> str:
    """Returns an element as a text that tables accept. It is the same in every run: it has no address in memory."""
    start = element[: 2 * _MAX_SHOWN] if isinstance(element, str | bytes) else element
    text = re.sub(r" at 0x[0-9a-f]+", "", without_query(repr(start)))
    return text[:_MAX_SHOWN].encode("utf-8", "backslashreplace").decode()


def _fields_of(element: object) -> Mapping[str, object]:
    """Returns the fields of an element by name. Raises ValueError if it has none."""
    if isinstance(element, str | os.PathLike):
        return {URI_COLUMN: os.fspath(element)}
    if isinstance(element, Mapping):
        return element
    if dataclasses.is_dataclass(element) and not isinstance(element, type):
        return {field.name: getattr(element, field.name) for field in dataclasses.fields(element)}
    for name in ("_asdict", "as_dict"):  # of named tuples, and of beam.Row
        to_dict = getattr(element, name, None)
        if callable(to_dict) and not isinstance(element, type):
            fields = to_dict()
            if isinstance(fields, Mapping):
                return fields
    raise ValueError(
        f"an element is of type {type(element).__name__}: pass a URI, or a dict, a named tuple or a Row with "
        f"{URI_COLUMN}"
    )
