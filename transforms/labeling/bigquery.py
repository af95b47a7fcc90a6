"""The schemas of the rows' tables in BigQuery, derived from the named tuples."""

from __future__ import annotations

import collections.abc
import types
import typing
from typing import Any

from reelbeam.transforms.labeling.row_types import ClipRow, ErrorRow, VideoRow

_TYPES = {str: "STRING", int: "INTEGER", float: "FLOAT", bool: "BOOLEAN"}


def bigquery_schema(row_type: type[VideoRow | ClipRow | ErrorRow]) -> dict[str, list[dict[str, Any]]]:
    """Returns the schema of the table of a row type, as `WriteToBigQuery` takes it; its rows are those of `as_dict`.

        (
            labeled.videos
            | beam.Map(reelbeam.as_dict)
            | beam.io.WriteToBigQuery("project:dataset.videos", schema=reelbeam.bigquery_schema(reelbeam.VideoRow))
        )

    Args:
      row_type: VideoRow, ClipRow or ErrorRow.

    Raises:
      TypeError: it is another type.
    """
    if row_type not in (VideoRow, ClipRow, ErrorRow):
        raise TypeError(
            f"{row_type!r} is not a row type: pass reelbeam.VideoRow, reelbeam.ClipRow or reelbeam.ErrorRow"
        )
    return {"fields": _fields(row_type)}


def _fields(row_type: type) -> list[dict[str, Any]]:
    return [_field(name, hint) for name, hint in typing.get_type_hints(row_type).items()]


def _field(name: str, hint: Any) -> dict[str, Any]:
    mode, args = "REQUIRED", typing.get_args(hint)
    if typing.get_origin(hint) is typing.Union:
        (hint,) = (each for each in args if each is not types.NoneType)
        mode = "NULLABLE"
    elif typing.get_origin(hint) is collections.abc.Sequence:
        (hint,) = args
        mode = "REPEATED"
    if hint in _TYPES:
        return {"name": name, "type": _TYPES[hint], "mode": mode}
    return {"name": name, "type": "RECORD", "mode": mode, "fields": _fields(hint)}
