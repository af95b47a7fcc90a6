"""The file of thresholds: the score from which on a label counts, for each label.

    {"format_version": 1, "default": 0.62, "labels": {"archery": 0.9, "yoga": 0, "crying": 1}}

A label passes if its score is at least its threshold. 0 passes always; 1 never does, not even with a score of 1. A list
of allowed labels has the default 1 and these labels with 0. A list of denied ones has the default 0 and these with 1.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import pathlib
from collections.abc import Sequence

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError, ReelbeamError, RunError, StorageError
from reelbeam.transforms.records.thresholds import (
    FORMAT_VERSION,
    MAX_LABEL,
    MAX_LABELS,
    RANKINGS,
    LabelThresholds,
    is_label,
)
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.typed_json import MISSING, WrongValueError, from_json, json_object, parse_json

MAX_BYTES = 16 << 20


def read_thresholds(path: str) -> LabelThresholds:
    """Reads a file of thresholds.

    Args:
      path: a local path or a URI.

    Raises:
      ConfigError: the file cannot be read, or its content is not valid. The message names the value.
      RunError: its store does not respond now.
    """
    shown, place = without_query(path), storage.normalize(path)
    local = storage.local_path(place)
    if local is not None and pathlib.Path(local).exists() and not pathlib.Path(local).is_file():
        raise ConfigError(f"--thresholds {shown} is not a regular file: pass the name of a .json file")
    try:
        storage.stat(place)  # Beam retries for minutes to open a file without access
        with storage.storage_errors(place), storage.open_binary(place) as file:
            data = file.read(MAX_BYTES + 1)
    except StorageError as error:
        raise _unusable(f"--thresholds {shown} cannot be read: {error}", error) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"--thresholds {shown} has more than {MAX_BYTES} bytes: pass a file of thresholds")
    try:
        document = parse_json(data)
        _require_known_fields(document, shown)
        return from_json(LabelThresholds, document)
    except WrongValueError as error:
        raise ConfigError(f"--thresholds {shown}: {_wrong(error)}") from error
    except ValueError as error:
        raise ConfigError(f"--thresholds {shown} is not JSON ({error}): pass a file of thresholds") from error


def other_models_text(thresholds: LabelThresholds, models: Sequence[str]) -> str:
    """Returns the warning that thresholds were made for other scores.

    Args:
      thresholds: the thresholds.
      models: the models that gave the scores, see `LabelThresholds.other_models`.
    """
    return (
        f"--thresholds was made for the scores of {', '.join(thresholds.models)}, and these are those of "
        f"{', '.join(models)}: make the file again with `reelbeam evaluate --write_thresholds`"
    )


def _require_known_fields(document: object, shown: str) -> None:
    """Raises ConfigError for a field that thresholds do not have: a misspelled list of labels would deny nothing."""
    known = [field.name for field in dataclasses.fields(LabelThresholds)]
    for name in document if isinstance(document, dict) else ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or known
            shown_name = json.dumps(name)[:100]
            raise ConfigError(f"--thresholds {shown} has the field {shown_name}: write {', '.join(near)}")


def _wrong(error: WrongValueError) -> str:
    name = error.name or "the document"
    if error.value is MISSING:
        return f"{name} is missing: write format_version, default and labels"
    value = json.dumps(error.value, default=str)[:100]
    if error.name == "format_version":
        return f"format_version is {value}: this release reads version {FORMAT_VERSION}"
    if error.name == "labels" and isinstance(error.value, dict):
        wrong = next((label for label in error.value if not is_label(label)), None)
        shown = f"a label is {json.dumps(wrong)[:100]}" if wrong is not None else "there are too many labels"
        return f"{shown}: write up to {MAX_LABELS} labels of up to {MAX_LABEL} printable characters"
    if error.name in ("", "labels"):
        return f"{name} is {value}: write an object"
    return f"{name} is {value}: write {_allowed(error.name)}"


def _allowed(name: str) -> str:
    """Returns what a field may be; `name` is its place in the file, such as `labels.archery` or `models`."""
    if name == "ranking":
        return " or ".join(RANKINGS)
    is_models = name.split(".")[0] == "models"
    return "a list of names of models" if is_models else "a score, 0 to 1"


def write_thresholds(path: str, found: LabelThresholds) -> str:
    """Writes a file of thresholds. Returns its URI.

    Raises:
      ConfigError: the name does not end in .json, or the file cannot be written.
      RunError: its store does not respond now.
    """
    if not path.endswith(".json"):
        raise ConfigError(f"--write_thresholds {path} is not the name of a JSON file: pass a name that ends in .json")
    place = storage.normalize(path)
    text = json.dumps(json_object(found), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        storage.replace_file(place, f"{text}\n".encode())
    except StorageError as error:
        raise _unusable(f"--write_thresholds {path} cannot be written ({error}): pass another name", error) from error
    return place


def _unusable(message: str, error: StorageError) -> ReelbeamError:
    return (RunError if error.transient else ConfigError)(message)
