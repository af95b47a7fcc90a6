"""Read and check the JSON documents of an output. They are not trusted: anyone with write access can change them.

A document is checked in full before it is used. Files are identified by table, run and number, and their paths are
built from these, so no document can name a file outside its output.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError

_MAX_BYTES = 64 << 20
_MAX_COUNT = 1 << 53
_TABLES = ("videos", "clips", "errors")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_FILE = re.compile(rf"(videos|clips|errors)/run=({_NAME})/part-([0-9]{{5,9}})\.parquet")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([+-][0-9]{2}:[0-9]{2}|Z)")
_YEARS = range(1970, 9000)
_REMEDY = "restore it from a copy, or remove it and the folders run=… of its run, whose videos are then labeled again"

_Check = Callable[[Any], bool]


def read_document(uri: str) -> dict[str, Any]:
    """Returns the content of a JSON document of an output, unchecked.

    Raises:
      MediaError: it cannot be read, is too large, or is not a JSON object.
    """
    with storage.storage_errors(uri), storage.open_inside(uri) as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise StorageError(f"{uri} has more than {_MAX_BYTES} bytes: {_REMEDY}") from ValueError(len(data))
    try:
        found = parse(data)
    except ValueError as error:
        raise StorageError(f"{uri} is not JSON ({error}): {_REMEDY}") from error
    if not isinstance(found, dict):
        raise StorageError(f"{uri} is not a JSON object: {_REMEDY}") from ValueError(type(found))
    return found


def parse(data: bytes) -> Any:
    """Parses standard JSON. Raises ValueError, also for NaN and for nesting that is too deep."""
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def check_run(uri: str, name: str, document: Mapping[str, Any]) -> None:
    """Raises StorageError for a run document with values that no run writes. Missing keys are allowed."""
    _check(uri, document, _RUN | {"run_id": lambda value: value == name and is_name(value)})
    for table, paths in document.get("files", {}).items():
        for path in paths:
            match = _FILE.fullmatch("/".join(path.split("/")[-3:]))
            if match is None or match[1] != table or match[2] != name:
                raise _wrong(uri, "files", path)


def check_decision(uri: str, name: str, document: Mapping[str, Any]) -> None:
    """Raises StorageError for a commit record with values that no run writes."""
    if document.keys() - {"replaced"} != {"summary", "moves"}:
        raise StorageError(f"{uri} is not the record of a commit: remove it") from ValueError(uri)
    _check(uri, document, {"summary": _is_object, "moves": _list_of(_is_move), "replaced": _list_of(_is_text)})
    check_run(uri, name, document["summary"])
    if "run_id" not in document["summary"]:
        raise _wrong(uri, "run_id", None)
    compacted = set(document["summary"].get("compacted", ()))
    for path in document.get("replaced", ()):
        match = _FILE.fullmatch(path)
        if match is None or match[2] not in compacted:
            raise _wrong(uri, "replaced", path)


def check_refusal(uri: str, document: Mapping[str, Any]) -> None:
    """Raises StorageError for a rejection record without a reason."""
    _check(uri, document, {name: check for name, check in _RUN.items() if name != "files"})
    _check(uri, {"refused": None} | dict(document), {"refused": _is_refused})


def is_name(value: Any) -> bool:
    """Returns whether a value is a valid run name."""
    return isinstance(value, str) and re.fullmatch(_NAME, value) is not None


def is_count(value: Any) -> bool:
    """Returns whether a value is a count."""
    return type(value) is int and 0 <= value < _MAX_COUNT


def is_number(value: Any) -> bool:
    """Returns whether a value is a finite number."""
    return type(value) in (int, float) and abs(value) < _MAX_COUNT and math.isfinite(value)


def is_time(value: Any) -> bool:
    """Returns whether a value is a time with an offset, in a plausible year."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        return datetime.datetime.fromisoformat(value).year in _YEARS
    except ValueError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_optional_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_count, value.values()))


def _is_move(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and value[0] in _TABLES and is_count(value[1])


def _is_files(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() <= set(_TABLES) and all(map(_list_of(_is_text), value.values()))


def _is_work(value: Any) -> bool:
    return isinstance(value, dict) and all(is_count(entry) or _is_optional_text(entry) for entry in value.values())


def _is_error(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("code")) and is_count(value.get("count"))


def _is_label(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("label")) and is_count(value.get("videos"))


def _is_refused(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("code")) and _is_text(value.get("message"))


def _list_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


_TEXTS = ("model", "engine", "precision", "decoder_version")
_FINGERPRINTS = ("model_fingerprint", "label_map_fingerprint", "sampling_fingerprint")
_RUN: dict[str, _Check] = {
    **dict.fromkeys(_TEXTS, _is_text),
    **dict.fromkeys(_FINGERPRINTS, _is_optional_text),
    **dict.fromkeys(("started_at", "finished_at"), is_time),
    "labeled_at": lambda value: value is None or is_time(value),
    **dict.fromkeys(("counts", "skipped", "taken_up"), _is_counts),
    "schema_version": is_count,
    "errors": _list_of(_is_error),
    "labels": _list_of(_is_label),
    "works": _list_of(_is_work),
    "compacted": _list_of(is_name),
    "files": _is_files,
}


def _check(uri: str, document: Mapping[str, Any], checks: Mapping[str, _Check]) -> None:
    for name, check in checks.items():
        if name in document and not check(document[name]):
            raise _wrong(uri, name, document[name])


def _wrong(uri: str, name: str, value: Any) -> StorageError:
    shown = ascii(value)
    shown = f"{shown[:100]}…" if len(shown) > 100 else shown
    error = StorageError(f"{uri}: {name} is {shown}, which no run writes: {_REMEDY}")
    error.__cause__ = ValueError(name)  # marks the error as final: a retry would fail, too
    return error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")
