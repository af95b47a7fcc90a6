"""The JSON documents of an output, read with suspicion: whoever can write to the output can write them.

What a document says is checked in full before anything is done with it, by the types of its dataclass (`typed_json`).
Files are named by table, run and number, and their paths are made from these, so no document can name a file outside
of its output.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable
from typing import Annotated, NoReturn, TypeAlias, TypeVar

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.storage.typed_json import MISSING, Rule, WrongValueError, from_json

_MAX_BYTES = 64 << 20
_MAX_COUNT = 1 << 53
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_TABLES = ("videos", "clips", "errors")
_FILE = re.compile(rf"({'|'.join(_TABLES)})/run=({_NAME})/part-([0-9]{{5,9}})\.parquet")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([+-][0-9]{2}:[0-9]{2}|Z)")
_YEARS = range(1970, 9000)
_REMEDY = "restore it from a copy, or remove it and the folders run=… of its run, whose videos are then labeled again"

_T = TypeVar("_T")


def read_document(uri: str) -> dict[str, object]:
    """Returns what a JSON document of an output holds, unchecked.

    Raises:
      MediaError: it cannot be read, is too large, or is not JSON of an object.
    """
    with storage.storage_errors(uri), storage.open_inside(uri) as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise StorageError(f"{uri} has more than {_MAX_BYTES} bytes: {_REMEDY}") from ValueError(len(data))
    try:
        found = parse(data)
    except ValueError as error:
        raise StorageError(f"{uri} is no JSON ({error}): {_REMEDY}") from error
    if not isinstance(found, dict):
        raise StorageError(f"{uri} is no JSON of an object: {_REMEDY}") from ValueError(type(found))
    return found


def parse(data: bytes) -> object:
    """Parses JSON as the standard has it. Raises ValueError, for too deep nesting and NaN as well."""
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def typed(kind: type[_T], uri: str, document: object) -> _T:
    """Returns a document as its dataclass.

    Raises:
      StorageError: it says what no run writes, or lacks what each of its kind says.
    """
    try:
        return from_json(kind, document)
    except WrongValueError as error:
        raise wrong_value(uri, error.name, error.value) from error


def wrong_value(uri: str, name: str, value: object) -> StorageError:
    """Returns the error of a document that says what no run writes."""
    shown = ascii(value)
    shown = f"{shown[:100]}…" if len(shown) > 100 else shown
    said = (
        f"{name} is missing, which each run writes" if value is MISSING else f"{name} is {shown}, which no run writes"
    )
    error = StorageError(f"{uri}: {said}: {_REMEDY}")
    error.__cause__ = ValueError(name)  # another try would end the same way
    return error


def require_files(uri: str, name: str, paths: Iterable[str], runs: Iterable[str], table: str | None = None) -> None:
    """Raises StorageError where paths name anything but files of the tables of some runs.

    Args:
      uri: of the document.
      name: of the field that has the paths.
      paths: below the output.
      runs: the names of the runs.
      table: the only table whose files these may be; None: any.
    """
    for path in paths:
        match = _FILE.fullmatch(path)
        if match is None or match[2] not in runs or table not in (None, match[1]):
            raise wrong_value(uri, name, path)


def is_name(value: object) -> bool:
    """Whether something is the name of a run."""
    return isinstance(value, str) and re.fullmatch(_NAME, value) is not None


def is_count(value: object) -> bool:
    """Whether something is a number of things."""
    return type(value) is int and 0 <= value < _MAX_COUNT


def is_number(value: object) -> bool:
    """Whether something is a finite number."""
    return isinstance(value, int | float) and abs(value) < _MAX_COUNT and math.isfinite(value)


def is_time(value: object) -> bool:
    """Whether something is a time with its offset, of a year that can be reckoned with."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        return datetime.datetime.fromisoformat(value).year in _YEARS
    except ValueError:
        return False


Name: TypeAlias = Annotated[str, Rule(is_name, {"pattern": f"^{_NAME}$"})]
Count: TypeAlias = Annotated[int, Rule(is_count, {"minimum": 0, "exclusiveMaximum": _MAX_COUNT})]
Time: TypeAlias = Annotated[str, Rule(is_time, {"format": "date-time"})]
Table: TypeAlias = Annotated[str, Rule(lambda value: value in _TABLES, {"enum": list(_TABLES)})]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")
