"""Read a truth file: the right labels of videos, or of parts of videos."""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.truth.truth_columns import (
    ACCEPTABLE_COLUMN,
    END_COLUMN,
    LABEL_COLUMN,
    START_COLUMN,
    VIDEO_COLUMNS,
    TruthColumns,
    find_columns,
)
from reelbeam.transforms.evaluation.truth.truth_rows import SUFFIXES, Row, numbered_rows, unit
from reelbeam.transforms.records.exact_numbers import MAX_SECONDS, parse_seconds
from reelbeam.transforms.redaction import bare_uri, without_query

SEPARATORS = ";|"
"""The characters between several labels in one text."""

MAX_ROWS = 5_000_000
_MAX_VIDEO, _MAX_LABEL = 8192, 500
_SHOWN = 80


class TruthRow(NamedTuple):
    """A row of a truth file.

    Attributes:
      number: the number of the line, or of the row of a table.
      video: the URI, the path or the file name of the video. A web address has no query, as in rows.
      labels: the right labels; empty: none of the classes is in it.
      acceptable: further labels that are not wrong.
      start_ms, end_ms: the part of the video in milliseconds; both None: the whole video. An end of None is the end of
        the video.
    """

    number: int
    video: str
    labels: tuple[str, ...]
    acceptable: tuple[str, ...] = ()
    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def is_segment(self) -> bool:
        """Whether it is about a part of the video, a segment."""
        return self.start_ms is not None


class TruthFile(NamedTuple):
    """The content of a truth file.

    Attributes:
      path: the file, for messages.
      unit: what the numbers of its rows count: "line" or "row".
      rows: at least one.
    """

    path: str
    unit: str
    rows: tuple[TruthRow, ...]


def read_truth(path: str, separators: str = SEPARATORS, base_dir: str | None = None) -> TruthFile:
    """Reads a truth file: .csv (the delimiter is a comma, a semicolon or a tab), .tsv, .jsonl or .parquet.

    The column of the video has one of the names VIDEO_COLUMNS. The column `label` holds one label, several with
    separators between them, or, in .jsonl and .parquet, a list. If it is empty, none of the classes is in the video. A
    video may have several rows. Optional columns: `also_acceptable` holds labels that are not wrong, in the same form;
    `start_seconds` and `end_seconds` limit the row to a part of the video. Other columns are ignored.

    Args:
      path: a local path or a URI.
      separators: those of SEPARATORS that are in no label of the model.
      base_dir: the folder from which relative paths start; None: the working directory.

    Raises:
      ConfigError: the kind of the file is unknown, or a row is not valid. The message names the row and the value.
      StorageError: the file cannot be read.
    """
    shown = without_query(path)
    suffix = pathlib.PurePosixPath(shown).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"--truth {shown}: unknown kind {suffix!r}; give one of {', '.join(SUFFIXES)}")
    place = storage.normalize(path, base_dir)
    _require_regular(shown, place)
    storage.stat(place)  # Beam retries for minutes to open a file without access
    split = re.compile(f"[{re.escape(separators)}]") if separators else None
    with storage.storage_errors(place), storage.open_binary(place) as file:
        rows: list[TruthRow] = []
        try:
            for row in _truth_rows(numbered_rows(file, suffix, _wanted), unit(suffix), split):
                rows.append(row)
                if len(rows) > MAX_ROWS:
                    raise ValueError(f"has more than {MAX_ROWS} rows: give a sample of the truth")
            if not rows:
                raise ValueError(f"has no rows: write a row for each video, with {VIDEO_COLUMNS[0]} and {LABEL_COLUMN}")
        except ValueError as error:
            raise ConfigError(f"--truth {shown}: {error}") from error
    return TruthFile(shown, unit(suffix), tuple(rows))


def _require_regular(shown: str, place: str) -> None:
    """Raises if the file is a FIFO or a device: reading it might not end."""
    local = storage.local_path(place)
    if local is not None and os.path.exists(local) and not os.path.isfile(local) and not os.path.isdir(local):
        raise ConfigError(f"--truth {shown} is not a regular file: write the truth to a file, and pass its name")


def _wanted(names: Sequence[str]) -> list[str]:
    return find_columns(names).names()


def _truth_rows(rows: Iterator[tuple[int, Row]], unit: str, split: re.Pattern[str] | None) -> Iterator[TruthRow]:
    columns: dict[tuple[str, ...], TruthColumns] = {}
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # equal labels are one object, because a file has many rows
    for number, row in rows:
        where = f"{unit} {number}"
        names = tuple(row)
        found = columns.get(names) or columns.setdefault(names, find_columns(names))
        labels = _labels(row[found.label], LABEL_COLUMN, where, split)
        acceptable = _labels(row[found.acceptable], ACCEPTABLE_COLUMN, where, split) if found.acceptable else ()
        yield TruthRow(
            number,
            _video(row[found.video], found.video, where),
            known.setdefault(labels, labels),
            known.setdefault(acceptable, acceptable),
            *_bounds(row[found.start] if found.start else None, row[found.end] if found.end else None, where),
        )


def _video(value: object, column: str, where: str) -> str:
    if value is None or value == "":
        raise ValueError(f"{where} has no {column}: write the URI or the file name of the video")
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {column} is {_text(value)}, and should be the URI or the file name of a video")
    _require_plain(value, column, where, _MAX_VIDEO)
    return bare_uri(value.strip())


def _labels(value: object, column: str, where: str, split: re.Pattern[str] | None) -> tuple[str, ...]:
    """Returns the labels of a value, each once."""
    if value is None:
        return ()
    parts: list[object] = value if isinstance(value, list) else [value]
    if isinstance(value, str) and split is not None:
        parts = list(split.split(value))
    labels = []
    for part in parts:
        if not isinstance(part, str):
            raise ValueError(
                f"{where}: {column} is {_text(value)}, and should be the name of a label, or a list of names"
            )
        _require_plain(part, column, where, _MAX_LABEL)
        labels.append(part.strip())
    return tuple(dict.fromkeys(filter(None, labels)))


def _require_plain(value: str, column: str, where: str, most: int) -> None:
    """Raises if a text is too long, or cannot be written to a file."""
    if len(value) > most:
        raise ValueError(
            f"{where}: {column} has {len(value)} characters, {_text(value[:40])}…: write at most {most}, and check the "
            "quotes of the rows above"
        )
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(f"{where}: {column} is {_text(value)}, with a character that no text has: remove it")


def _bounds(start: object, end: object, where: str) -> tuple[int | None, int | None]:
    """Returns the start and the end of a part in milliseconds."""
    from_seconds, until_seconds = _seconds(start, START_COLUMN, where), _seconds(end, END_COLUMN, where)
    if from_seconds is None and until_seconds is None:
        return None, None
    from_seconds = from_seconds or Fraction(0)
    if until_seconds is not None and until_seconds <= from_seconds:
        raise ValueError(
            f"{where}: {END_COLUMN} is {float(until_seconds):g}, and should be above {START_COLUMN}, "
            f"{float(from_seconds):g}"
        )
    return round(from_seconds * 1000), None if until_seconds is None else round(until_seconds * 1000)


def _seconds(value: object, column: str, where: str) -> Fraction | None:
    """Returns a time exactly as its decimal text states; None for an empty value."""
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise ValueError(
            f"{where}: {column} is {_text(value)}, and should be a number of seconds, such as 90 or 12.5"
        ) from error
    if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{where}: {column} is {_text(value)}, and should be from 0 to {MAX_SECONDS} seconds")
    return seconds


def _text(value: object) -> str:
    return without_query(json.dumps(value, default=str))[:_SHOWN]
