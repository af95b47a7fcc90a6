"""Read the rows of list files: .txt, .csv, .jsonl and .parquet -> the position of a row, and its columns."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow.parquet as pq

from reelbeam.transforms.typed_json import parse_json
from reelbeam.transforms.wording import counted

URI_COLUMN = "video_uri"
RANGE_COLUMNS = ("start_seconds", "end_seconds")
SUFFIXES = (".txt", ".csv", ".jsonl", ".parquet")
_OTHER_RANGE_NAMES = {
    **dict.fromkeys(("start", "start_s", "start_time"), "start_seconds"),
    **dict.fromkeys(("end", "end_s", "end_time"), "end_seconds"),
}
"""Names that lists of other programs give to the columns of a range."""
COMMENT = "#"
"""The first character of a comment line in a .txt list."""

_DELIMITERS = ",;\t"
_MORE = "\0"
"""The key of values without a column in the header of a .csv."""


def rows_of_list(file: BinaryIO, suffix: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yields the position of a row ("line 3"), for messages, and the row.

    Args:
      file: an open binary file.
      suffix: the suffix of its name, one of SUFFIXES.

    Raises:
      ValueError, csv.Error: the file is not of that kind, has no `video_uri` column, or a row does not fit its header.
    """
    if suffix == ".parquet":
        parquet = pq.ParquetFile(file)
        _check_columns(parquet.schema_arrow.names)
        rows = (row for batch in parquet.iter_batches() for row in batch.to_pylist())
        yield from ((f"row {number}", row) for number, row in enumerate(rows, start=1))
        return
    # utf-8-sig: spreadsheets write a byte order mark, which would become part of the first column's name.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    if suffix == ".csv":
        yield from _rows_of_csv(text)
        return
    for number, line in enumerate(text, start=1):
        if not line.strip() or (suffix == ".txt" and line.lstrip().startswith(COMMENT)):
            continue
        row: dict[str, object] = _parse_json(line, number) if suffix == ".jsonl" else {URI_COLUMN: line.strip()}
        yield f"line {number}", row


def _rows_of_csv(text: io.TextIOWrapper) -> Iterator[tuple[str, dict[str, object]]]:
    lines = iter(text)
    header = next(lines, "")
    names, delimiter = _header(header)
    _check_columns(names)
    reader = csv.DictReader(lines, names, restkey=_MORE, delimiter=delimiter)
    for row in reader:
        where = f"line {reader.line_num + 1}"
        more = row.pop(_MORE, None) or []
        if not any(value and value.strip() for value in [*row.values(), *more]):
            continue  # a spreadsheet saves empty rows as delimiters
        if any(value.strip() for value in more):
            raise ValueError(
                f"{where} has {counted(len(names) + len(more), 'value')}, and the header names {len(names)}: "
                f"quote a value that holds {delimiter!r}"
            )
        yield where, {name: value for name, value in row.items() if name}


def _header(line: str) -> tuple[list[str], str]:
    """Returns the column names and the delimiter: the first delimiter that gives a column `video_uri`."""
    found = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    names = {delimiter: [column.strip() for column in columns] for delimiter, columns in found.items()}
    delimiter = next((delimiter for delimiter in _DELIMITERS if URI_COLUMN in names[delimiter]), ",")
    return names[delimiter], delimiter


def _check_columns(columns: Sequence[str]) -> None:
    if URI_COLUMN not in columns:
        raise ValueError(f"no column {URI_COLUMN!r} among {', '.join(columns) or 'none'}")
    for column in columns:
        meant = _range_column(column)
        if meant is not None and meant not in columns:
            raise ValueError(f"the column {column!r} is not {meant!r}, which names a range: rename the column")


def _range_column(column: str) -> str | None:
    """Returns the column of a range that another column seems to mean; None if it means none.

    >>> [_range_column(name) for name in ("end_second", "start", "End_Time", "starter")]
    ['end_seconds', 'start_seconds', 'end_seconds', None]
    """
    near = difflib.get_close_matches(column, RANGE_COLUMNS, n=1, cutoff=0.85)
    return near[0] if near else _OTHER_RANGE_NAMES.get(column.lower())


def _parse_json(line: str, number: int) -> dict[str, object]:
    try:
        row = parse_json(line, allow_nan=True)
    except ValueError as error:
        raise ValueError(f"line {number} is not JSON: {line.strip()[:80]!r} ({error})") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not a JSON object: {line.strip()[:80]!r}")
    return row
