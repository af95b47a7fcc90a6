"""The file of thresholds: the score from which on a label counts, for each label.

    {"format_version": 1, "default": 0.62, "labels": {"archery": 0.9, "yoga": 0, "crying": 1}}

A label passes if its score is at least its threshold. 0 passes always; 1 never does, not even with a score of 1. A list
of allowed labels has the default 1 and these labels with 0. A list of denied ones has the default 0 and these with 1.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError, ReelbeamError, RunError, StorageError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.typed_json import MISSING, Rule, WrongValueError, from_json, json_object, parse_json

FORMAT_VERSION = 1
NEVER = 1.0
"""The threshold of a label that never passes."""

MAX_BYTES = 16 << 20
_MAX_LABELS, _MAX_LABEL = 100_000, 500
_RANKINGS = ("mean", "max")


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _are_labels(value: object) -> bool:
    labels = cast(Mapping[str, object], value)
    return len(labels) <= _MAX_LABELS and all(_is_label(label) for label in labels)


def _is_label(label: str) -> bool:
    """Returns whether a text can be a label in SQL: not blank, and without control characters and lone surrogates."""
    is_plain = not any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in label)
    return bool(label.strip()) and len(label) <= _MAX_LABEL and is_plain


Score = Annotated[float, Rule(_is_score, {"minimum": 0, "maximum": 1})]
Labels = Annotated[Mapping[str, Score], Rule(_are_labels, {"maxProperties": _MAX_LABELS})]
Version = Annotated[int, Rule(lambda value: value == FORMAT_VERSION, {"const": FORMAT_VERSION})]
Ranking = Annotated[str, Rule(lambda value: value in _RANKINGS, {"enum": list(_RANKINGS)})]


@dataclasses.dataclass(frozen=True)
class LabelThresholds:
    """The score from which on a label counts.

    Attributes:
      format_version: of the file.
      default: the threshold of the labels that are not in `labels`.
      labels: the thresholds of the others.
      ranking: which score of a video it applies to: the "mean" over its clips, or the "max".
      precision: the part of the labels that is right at these thresholds, as far as that was shown; None: not shown.
      models: the models for whose scores it was made; empty: any.
    """

    format_version: Version
    default: Score
    labels: Labels = dataclasses.field(default_factory=dict)
    ranking: Ranking = "mean"
    precision: Score | None = None
    models: tuple[str, ...] = ()

    def of(self, label: str) -> float:
        """Returns the threshold of a label."""
        return self.labels.get(label, self.default)

    def passes(self, label: str, score: float) -> bool:
        """Returns whether a label with this score counts."""
        threshold = self.of(label)
        return threshold < NEVER and score >= threshold

    @property
    def score_column(self) -> Literal["score", "max_score"]:
        """The field of the labels of a video that is compared."""
        return "score" if self.ranking == "mean" else "max_score"


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
        return from_json(LabelThresholds, parse_json(data))
    except WrongValueError as error:
        raise ConfigError(f"--thresholds {shown}: {_wrong(error)}") from error
    except ValueError as error:
        raise ConfigError(f"--thresholds {shown} is not JSON ({error}): pass a file of thresholds") from error


def _wrong(error: WrongValueError) -> str:
    name = error.name or "the document"
    if error.value is MISSING:
        return f"{name} is missing: write format_version, default and labels"
    value = json.dumps(error.value, default=str)[:100]
    if error.name == "format_version":
        return f"format_version is {value}: this release reads version {FORMAT_VERSION}"
    if error.name == "labels" and isinstance(error.value, dict):
        wrong = next((label for label in error.value if not _is_label(label)), None)
        shown = f"a label is {json.dumps(wrong)[:100]}" if wrong is not None else "there are too many labels"
        return f"{shown}: write up to {_MAX_LABELS} labels of up to {_MAX_LABEL} printable characters"
    if error.name in ("", "labels"):
        return f"{name} is {value}: write an object"
    return f"{name} is {value}: " + (
        f"write {' or '.join(_RANKINGS)}" if name == "ranking" else "write a score, 0 to 1"
    )


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
