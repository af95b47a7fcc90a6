"""The differences of model and sampling between two sides, for people and for programs."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence

from reelbeam.transforms.output.comparison.changes import FieldChange
from reelbeam.transforms.output.comparison.side_rows import SideRows
from reelbeam.transforms.output.run_document import KEY_COLUMNS, SAMPLING_SETTINGS, LabelingKey, RunDocument

_MODEL, _LABELS, _SAMPLING = "model_fingerprint", "label_map_fingerprint", "sampling_fingerprint"
_SAMPLING_SETTINGS = (*SAMPLING_SETTINGS, "model_kind")
_OTHER_SETTINGS = ("min_score", "thresholds_fingerprint")
"""Settings that are not part of the labeling key, but change the label of a video."""
_DIGITS_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class KeyDifference:
    """A field in which two labeling keys differ."""

    before: str | int
    after: str | int


def key_differences(before: SideRows, after: SideRows) -> dict[str, KeyDifference]:
    """Returns the differences of the labeling keys by column, and the names of the models if these differ."""
    first, second = before.labeling_key, after.labeling_key
    if first is None or second is None:
        return {}
    found = {name: KeyDifference(getattr(first, name), getattr(second, name)) for name in KEY_COLUMNS}
    found = {name: sides for name, sides in found.items() if sides.before != sides.after}
    if _MODEL in found:
        found["model"] = KeyDifference(_models(before), _models(after))
    return found


def setting_changes(before: SideRows, after: SideRows) -> tuple[FieldChange, ...]:
    """Returns the settings that differ, by their names on the command line where they have one.

    Label shares are comparable if there are none.
    """
    keys = key_differences(before, after)
    changes = [FieldChange(name, str(each.before), str(each.after)) for name, each in keys.items() if name == "model"]
    readable = _SAMPLING_SETTINGS if _SAMPLING in keys else ()
    changes += _configured(before, after, (*readable, *_OTHER_SETTINGS))
    names = {change.name for change in changes if change.before != change.after}
    for name, each in keys.items():
        is_said = (name == _MODEL and "model" in names) or (name == _SAMPLING and names & {*_SAMPLING_SETTINGS})
        if name != "model" and not is_said:
            changes.append(FieldChange(name, *(str(value)[:_DIGITS_SHOWN] for value in (each.before, each.after))))
    return tuple(change for change in changes if change.before != change.after)


def _configured(before: SideRows, after: SideRows, names: Sequence[str]) -> list[FieldChange]:
    if not _documents(before) or not _documents(after):
        return []
    return [FieldChange(name, _most_frequent(before, name), _most_frequent(after, name)) for name in names]


def _documents(side: SideRows) -> list[RunDocument]:
    """Returns the documents of the runs with the labeling key of the side; those of the last run if it has no rows."""
    runs = [run.labeled for run in side.shown.runs() or side.shown.last_runs]
    return [document for document in runs if LabelingKey.of(document) == side.labeling_key]


def _most_frequent(side: SideRows, name: str) -> str:
    """Returns the value of a setting that most rows have, as text; of equally frequent ones, the first by name."""
    counts: collections.Counter[str] = collections.Counter()
    for document in _documents(side):
        counts[_text(document.configuration, name)] += side.rows_by_run.get(document.run_id, 0)
    return min(counts, key=lambda value: (-counts[value], value))


def _text(configuration: Mapping[str, object], name: str) -> str:
    value = configuration.get(name)
    if value is None:
        return "not set"
    if name.endswith("_fingerprint"):
        return str(value)[:_DIGITS_SHOWN]
    return value if isinstance(value, str) else json.dumps(value)


def _models(side: SideRows) -> str:
    return ", ".join(dict.fromkeys(document.model for document in _documents(side)))
