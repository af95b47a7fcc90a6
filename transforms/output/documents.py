"""Read and check the JSON documents of an output. They are not trusted: anyone with write access can change them.

A document is checked in full before it is used, by the types of its dataclass (`typed_json`). Files are identified by
table, run and number, and their paths are built from these, so no document can name a file outside its output.
"""

from __future__ import annotations

import datetime
import itertools
import json
import math
import re
import reprlib
from collections.abc import Iterable
from typing import Annotated, TypeAlias, TypeVar

from reelbeam.transforms import storage
from reelbeam.transforms.errors import UnusableFileError
from reelbeam.transforms.schemas import TABLES
from reelbeam.transforms.typed_json import MISSING, Rule, WrongValueError, from_json, parse_json

MAX_BYTES = 16 << 20
"""200,000 names of files of 80 characters each. The largest runs have some thousand files of 500,000 rows. A larger
limit costs memory: a megabyte of `{},` takes 25 MB when it is parsed."""
_MAX_COUNT = 1 << 53
_MAX_SHOWN = 100
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_FILE = re.compile(rf"({'|'.join(TABLES)})/run=({_NAME})/part-([0-9]{{5,9}})\.parquet")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([+-][0-9]{2}:[0-9]{2}|Z)")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
YEARS = range(1970, 9000)
_REMEDY = "restore it from a copy, or remove it and the folders run=… of its run, whose videos are then labeled again"

_T = TypeVar("_T")


def read_document(uri: str) -> dict[str, object]:
    """Returns the content of a JSON document of an output, unchecked.

    Raises:
      StorageError: it cannot be read, is too large, or is not a JSON object, or a text in it is not Unicode.
    """
    with storage.storage_errors(uri), storage.open_inside(uri) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnusableFileError(f"{uri} has more than {MAX_BYTES} bytes: {_REMEDY}")
    try:
        found = parse_json(data.decode("utf-8-sig"))
        if _SURROGATE.search(data):
            json.dumps(found, ensure_ascii=False).encode()  # an unpaired surrogate cannot be shown or compared
    except (ValueError, RecursionError) as error:
        raise UnusableFileError(f"{uri} is not JSON ({error}): {_REMEDY}") from error
    if not isinstance(found, dict):
        raise UnusableFileError(f"{uri} is not a JSON object: {_REMEDY}")
    return found


def typed(kind: type[_T], uri: str, document: object) -> _T:
    """Returns a document as its dataclass.

    Raises:
      UnusableFileError: a value is missing, or is not one that a run writes.
    """
    try:
        return from_json(kind, document)
    except WrongValueError as error:
        raise wrong_value(uri, error.name, error.value) from error


def wrong_value(uri: str, name: str, value: object) -> UnusableFileError:
    """Returns the error for a value that no run writes, or that is missing (`MISSING`)."""
    said = (
        f"{name} is missing, which each run writes"
        if value is MISSING
        else f"{name} is {_SHORT.ascii(value)}, which no run writes"
    )
    return UnusableFileError(f"{uri}: {said}: {_REMEDY}")


class _ShortRepr(reprlib.Repr):
    """Formats the beginning of a JSON value, in a time that does not depend on its size."""

    def ascii(self, value: object) -> str:
        """Returns an ASCII text of at most about 100 characters."""
        shown = self.repr(value).encode("ascii", "backslashreplace").decode()
        return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        # reprlib sorts all keys.
        return super().repr_dict(dict(itertools.islice(x.items(), self.maxdict + 1)), level)

    def repr_str(self, x: str, level: int) -> str:
        return repr(x[: _MAX_SHOWN + 1])  # from the beginning only; reprlib cuts out the middle


_SHORT = _ShortRepr()


def require_files(uri: str, name: str, paths: Iterable[str], runs: Iterable[str], table: str | None = None) -> None:
    """Raises UnusableFileError if a path does not name a file of a table of some runs.

    Args:
      uri: the document.
      name: the field that has the paths.
      paths: paths relative to the output.
      runs: the names of the runs.
      table: the only table whose files these may be; None: any.
    """
    for path in paths:
        match = _FILE.fullmatch(path)
        if match is None or match[2] not in runs or table not in (None, match[1]):
            raise wrong_value(uri, name, path)


def is_name(value: object) -> bool:
    """Returns whether a value is a valid run name."""
    return isinstance(value, str) and re.fullmatch(_NAME, value) is not None


def is_count(value: object) -> bool:
    """Returns whether a value is a count."""
    return type(value) is int and 0 <= value < _MAX_COUNT


def is_number(value: object) -> bool:
    """Returns whether a value is a finite number."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < _MAX_COUNT
        and math.isfinite(value)
    )


def is_amount(value: object) -> bool:
    """Returns whether a value is a finite number that is not negative."""
    return is_number(value) and isinstance(value, int | float) and value >= 0


def is_time(value: object) -> bool:
    """Returns whether a value is a time with an offset, in a plausible year."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        return datetime.datetime.fromisoformat(value).year in YEARS
    except ValueError:
        return False


Name: TypeAlias = Annotated[str, Rule(is_name, {"pattern": f"^{_NAME}$"})]
Count: TypeAlias = Annotated[int, Rule(is_count, {"minimum": 0, "exclusiveMaximum": _MAX_COUNT})]
Amount: TypeAlias = Annotated[float, Rule(is_amount, {"minimum": 0, "exclusiveMaximum": _MAX_COUNT})]
Time: TypeAlias = Annotated[str, Rule(is_time, {"format": "date-time"})]
Table: TypeAlias = Annotated[str, Rule(lambda value: value in TABLES, {"enum": list(TABLES)})]
