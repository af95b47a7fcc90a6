"""Read the rows of truth files: .csv, .tsv, .jsonl and .parquet -> the number of a row, and its values by column."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.typed_json import parse_json
from reelbeam.transforms.wording import counted

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")

Row = dict[str, object]
Columns = Callable[[Sequence[str]], Sequence[str]]
"""Returns the columns to read of those that are there. Raises ValueError if they do not fit."""

_MAX_LINE_BYTES = 1 << 20
_DELIMITERS = {".csv": ",;\t", ".tsv": "\t"}
_UTF_8_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAX_KEY_SETS = 1000
_SHOWN = 80


def unit(suffix: str) -> str:
    """Returns what the numbers of rows count: "line" or "row"."""
    return "row" if suffix == ".parquet" else "line"


def numbered_rows(file: BinaryIO, suffix: str, columns: Columns) -> Iterator[tuple[int, Row]]:
    """Yields the number of each row, from 1, and its values. For text, this is the number of the row's first line.

    Args:
      file: an open binary file.
      suffix: the suffix of its name, one of SUFFIXES.
      columns: chooses the columns. It is called for the header of a table, and for each JSON object.

    Raises:
      ValueError: the file is not of that kind, or a row does not fit its header. The message names the line.
    """
    if suffix == ".parquet":
        yield from _rows_of_parquet(file, columns)
    elif suffix == ".jsonl":
        yield from _rows_of_json_lines(_lines(file), columns)
    else:
        yield from _rows_of_csv(_lines(file), _DELIMITERS[suffix], columns)


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yields the lines of a UTF-8 file with their ends, without a byte order mark."""
    for number in itertools.count(1):
        data = file.readline(_MAX_LINE_BYTES + 1)
        if not data:
            return
        if number == 1:
            if data.startswith(_UTF_16_MARKS):
                raise ValueError("the text is UTF-16: save it as UTF-8")
            data = data.removeprefix(_UTF_8_MARK)
        if len(data) > _MAX_LINE_BYTES:
            raise ValueError(f"line {number} has more than {_MAX_LINE_BYTES} bytes: give one row a line")
        if b"\0" in data:
            raise ValueError(f"line {number} contains a zero byte: save the file as UTF-8 text")
        try:
            yield data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"line {number}: byte {data[error.start]:#x} is not UTF-8: save the file as UTF-8"
            ) from error


def _rows_of_csv(lines: Iterator[str], delimiters: str, columns: Columns) -> Iterator[tuple[int, Row]]:
    header = next(lines, None)
    if header is None:
        return
    delimiter = _delimiter(header, delimiters, columns)
    # strict: a quote that is not closed is an error, instead of a value with all the following rows.
    reader = csv.reader(itertools.chain([header], lines), delimiter=delimiter, strict=True)
    names = _next_row(reader, 1) or []
    places = {name: names.index(name) for name in _columns_of(names, columns, "line 1")}
    while True:
        number = reader.line_num + 1
        values = _next_row(reader, number)
        if values is None:
            return
        if not any(value.strip() for value in values):
            continue  # a spreadsheet saves empty rows as delimiters
        if len(values) < len(names) or any(value.strip() for value in values[len(names) :]):
            raise ValueError(
                f"line {number} has {counted(len(values), 'value')}, and the header names {len(names)}: "
                f"write one value a column, and quote a value that contains {delimiter!r}"
            )
        yield number, {name: values[place] for name, place in places.items()}


def _next_row(reader: Iterator[list[str]], number: int) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise ValueError(
            f"the row that begins on line {number} cannot be read ({error}): close each quote, and write a quote in a "
            'quoted value as ""'
        ) from error


def _delimiter(header: str, delimiters: str, columns: Columns) -> str:
    """Returns the first delimiter with which the header has the needed columns, or else the most frequent one."""
    for delimiter in delimiters:
        with contextlib.suppress(ValueError, csv.Error):
            columns(next(csv.reader([header], delimiter=delimiter), []))
            return delimiter
    return max(delimiters, key=header.count)


def _columns_of(names: Sequence[str], columns: Columns, where: str) -> Sequence[str]:
    try:
        return columns(names)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from error


def _rows_of_json_lines(lines: Iterator[str], columns: Columns) -> Iterator[tuple[int, Row]]:
    known: dict[tuple[str, ...], Sequence[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise ValueError(f"line {number} is not JSON: {_shown(line)} ({error})") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object: {_shown(line)}")
        names = tuple(row)
        if names not in known:
            if len(known) == _MAX_KEY_SETS:
                raise ValueError(f"line {number}: the objects have too many sets of keys: use the same keys in all")
            known[names] = _columns_of(names, columns, f"line {number}")
        yield number, {name: row[name] for name in known[names]}


def _shown(line: str) -> str:
    return repr(without_query(line.strip())[:_SHOWN])


def _rows_of_parquet(file: BinaryIO, columns: Columns) -> Iterator[tuple[int, Row]]:
    try:
        parquet = pq.ParquetFile(file)
        wanted = list(_columns_of(parquet.schema_arrow.names, columns, "the table"))
        number = 0
        for batch in parquet.iter_batches(10_000, columns=wanted, use_threads=False):
            batch.validate(full=True)
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(error) from error
    except OSError as error:
        # Arrow's error for an invalid page has no errno. Errors of disks and stores have one, or a subclass.
        if type(error) is not OSError or error.errno is not None:
            raise
        raise _damaged(error) from error


def _damaged(error: Exception) -> ValueError:
    first_line = str(error).partition("\n")[0][:200]
    return ValueError(f"the file cannot be read as Parquet, it is truncated or damaged ({first_line}): write it again")
