"""List files: .txt, .csv, .jsonl or .parquet -> VideoRef for each row, whose further columns are its metadata."""

from __future__ import annotations

import csv
import io
import json
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
    are passed over.

    Raises:
      ConfigError: the file's kind is unknown, it has no `video_uri` column, or a row has no value in it.
      MediaError: it cannot be read.
    """
    suffix = pathlib.PurePosixPath(path).suffix.lower()
    if suffix not in _LIST_SUFFIXES:
        raise ConfigError(f"--input_list {path}: unknown kind {suffix!r}; give one of {', '.join(_LIST_SUFFIXES)}")
    place = storage.normalize(path, base_dir)
    storage.stat(place)  # Beam tries for minutes to open what it is not let in to
    with storage.storage_errors(place), storage.open_binary(place) as file:
        try:
            for number, row in enumerate(_rows_of_list(file, suffix), start=1):
                yield _listed_video(row, number, base_dir)
        except (ValueError, csv.Error) as error:  # json's, csv's, pyarrow's and Unicode's errors
            raise ConfigError(f"--input_list {path}: {error}") from error


def _listed_video(row: dict[str, Any], number: int, base_dir: str | None) -> VideoRef:
    uri = row.pop(URI_COLUMN, None)
    if not uri:
        raise ValueError(f"row {number} has no {URI_COLUMN}")
    metadata = tuple(sorted((str(k), _as_text(v)) for k, v in row.items() if v is not None))
    return VideoRef(storage.normalize(str(uri), base_dir), metadata=metadata)


def _rows_of_list(file: Any, suffix: str) -> Iterator[dict[str, Any]]:
    if suffix == ".parquet":
        parquet = pq.ParquetFile(file)
        _require_uri_column(parquet.schema_arrow.names)
        for batch in parquet.iter_batches():
            yield from batch.to_pylist()
        return
    # utf-8-sig: spreadsheets save a mark in front, which would otherwise become part of the first column's name.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    if suffix == ".csv":
        reader = csv.DictReader(text)
        _require_uri_column(reader.fieldnames or [])
        yield from ({k: v for k, v in row.items() if k} for row in reader)
    elif suffix == ".jsonl":
        yield from (_parse_json(line, number) for number, line in enumerate(text, start=1) if line.strip())
    else:
        yield from ({URI_COLUMN: line.strip()} for line in text if line.strip())


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
