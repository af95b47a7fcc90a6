"""List files: .txt, .csv, .jsonl or .parquet -> VideoRef for each row, whose further columns are its metadata."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.parquet as pq

from transforms import storage
from transforms.errors import ConfigError
from transforms.records import VideoRef

URI_COLUMN = "video_uri"

_LIST_SUFFIXES = (".txt", ".csv", ".jsonl", ".parquet")


def read_input_list(path: str, base_dir: str | None = None) -> Iterator[VideoRef]:
    """Yields the videos of a list file, with its further columns as metadata.

    .txt has one URI a line; .csv (with a header), .jsonl and .parquet have a `video_uri` column. Empty lines of a .txt
    are passed over. Relative paths start from `base_dir`, as those of the command line do, not from the list's folder.

    Raises:
      ConfigError: the file's kind is unknown, it has no `video_uri` column, or a row has no URI or path in it.
      MediaError: it cannot be read.
    """
    suffix = pathlib.PurePosixPath(path).suffix.lower()
    if suffix not in _LIST_SUFFIXES:
        raise ConfigError(f"--input_list {path}: unknown kind {suffix!r}; give one of {', '.join(_LIST_SUFFIXES)}")
    place = storage.normalize(path, base_dir)
    storage.stat(place)  # Beam tries for minutes to open what it is not let in to
    with storage.storage_errors(place), storage.open_binary(place) as file:
        try:
            for where, row in _rows_of_list(file, suffix):
                yield _listed_video(row, where, place, base_dir)
        except (ValueError, csv.Error) as error:  # json's, csv's, pyarrow's and Unicode's errors
            raise ConfigError(f"--input_list {path}: {error}") from error


def _listed_video(row: dict[str, Any], where: str, list_place: str, base_dir: str | None) -> VideoRef:
    uri = row.pop(URI_COLUMN, None)
    if uri is None or uri == "":
        raise ValueError(f"{where} has no {URI_COLUMN}")
    if not _is_name(uri):
        shown = json.dumps(uri, default=str)[:80]
        raise ValueError(f"{where}: {URI_COLUMN} is {shown}, and should be a text, the URI or the path of a file")
    video_uri = storage.normalize(uri, base_dir)
    _require_start(uri, video_uri, where, list_place)
    metadata = tuple(sorted((str(k), _as_text(v)) for k, v in row.items() if v is not None))
    return VideoRef(video_uri, metadata=metadata)


def _is_name(value: Any) -> bool:
    """Whether a value can be the name of a file: a text that no system call stumbles over."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _require_start(uri: str, video_uri: str, where: str, list_place: str) -> None:
    """Raises where a relative path was meant to start from the list: the file is there, or the list is in a store."""
    if storage.local_path(uri) is None or uri.startswith((os.sep, "file:")):
        return
    list_path = storage.local_path(list_place)
    if list_path is None:
        raise ValueError(f"{where}: {uri} is a relative path, and the list is in an object store; give whole URIs")
    beside = pathlib.Path(list_path).parent / uri
    if not os.path.lexists(video_uri) and os.path.lexists(beside):
        raise ValueError(
            f"{where}: {uri} is beside the list, and relative paths start from the working directory: there is no "
            f"{video_uri}; give whole paths, or start from {beside.parent}"
        )


def _rows_of_list(file: Any, suffix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields where a row stands, for messages, and the row."""
    if suffix == ".parquet":
        parquet = pq.ParquetFile(file)
        _require_uri_column(parquet.schema_arrow.names)
        rows = (row for batch in parquet.iter_batches() for row in batch.to_pylist())
        yield from ((f"row {number}", row) for number, row in enumerate(rows, start=1))
        return
    # utf-8-sig: spreadsheets save a mark in front, which would otherwise become part of the first column's name.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    if suffix == ".csv":
        reader = csv.DictReader(text)
        _require_uri_column(reader.fieldnames or [])
        yield from ((f"line {reader.line_num}", {k: v for k, v in row.items() if k}) for row in reader)
        return
    for number, line in enumerate(text, start=1):
        if line.strip():
            row = _parse_json(line, number) if suffix == ".jsonl" else {URI_COLUMN: line.strip()}
            yield f"line {number}", row


def _require_uri_column(columns: Sequence[str]) -> None:
    if URI_COLUMN not in columns:
        raise ValueError(f"no column {URI_COLUMN!r} among {', '.join(columns) or 'none'}")


def _parse_json(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number} is not JSON: {line.strip()[:80]!r} ({error.msg})") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not a JSON object: {line.strip()[:80]!r}")
    return row


def _as_text(value: Any) -> str:
    """Metadata are text: a nested value as JSON, the rest as Python prints it."""
    text = json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict | list | bool) else str(value)
    return text.encode("utf-8", "replace").decode()  # JSON may hold half a surrogate pair, which no table can
