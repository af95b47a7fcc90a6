"""Join the labels of a truth file to those of the model, by name."""

from __future__ import annotations

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.truth.truth_file import SEPARATORS, TruthFile, TruthRow
from reelbeam.transforms.models.registry.catalog import CATALOG
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows

_BETWEEN_WORDS = re.compile(r"[\s_()\-\u2010-\u2015]+")
_MAX_WITH_NEAR = 200
"""The maximum number of unknown labels whose nearest names are searched, each of which takes milliseconds."""


class LabelNames:
    """The labels that a model may give.

    Args:
      names: the labels.
      source: where they are from, for messages.
      is_complete: whether these are all classes of the model.
    """

    def __init__(self, names: Iterable[str], source: str, is_complete: bool) -> None:
        self.names = tuple(dict.fromkeys(names))
        self.source = source
        self.is_complete = is_complete
        self._exact = frozenset(self.names)
        self._normalized: dict[str, list[str]] = {}
        for name in self.names:
            self._normalized.setdefault(normalized(name), []).append(name)

    @property
    def separators(self) -> str:
        """The separators of several labels in one text that no label contains."""
        return "".join(char for char in SEPARATORS if not any(char in name for name in self.names))

    def find(self, label: str) -> str | None:
        """Returns the label with this name, or else the only one with the same normalized name; None for neither."""
        if label in self._exact:
            return label
        found = self._normalized.get(normalized(label), [])
        return found[0] if len(found) == 1 else None

    def nearest(self, label: str) -> tuple[str, ...]:
        """Returns up to three labels that a mistyped name may mean, the nearest first."""
        near = difflib.get_close_matches(normalized(label), self._normalized, n=3, cutoff=0.6)
        return tuple(name for key in near for name in self._normalized[key])


def normalized(label: str) -> str:
    """Returns a label without differences of case, spaces, underscores, hyphens, parentheses and Unicode form.

    >>> normalized("Fencing_(Sport)")
    'fencing sport'
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return _BETWEEN_WORDS.sub(" ", text).strip()


def label_names_of(rows: ShownRows, given: LabelMap | None = None, on_file: OnFile = lambda path: None) -> LabelNames:
    """Returns the labels that the models of an output may give.

    The fingerprint of a run's label map identifies a bundled one, such as Kinetics-600, or the given one. For others,
    the labels in the tables are used: these are not all, because a class that is never among the best has no row.

    Args:
      rows: the rows of the output.
      given: the label map that the user names; None: no such file.
      on_file: called for each file that is read.

    Raises:
      ConfigError: `given` is the label map of no shown run.
      StorageError: a file cannot be read.
    """
    needed = list(dict.fromkeys(run.labeled.label_map_fingerprint for run in rows.runs()))
    known = {} if given is None else {given.sha256: given}
    if needed and given is not None and given.sha256 not in needed:
        raise ConfigError(
            f"--labels {given.source} is not the label map of the run: its digest is {given.sha256[:12]}…, that of the "
            f"run is {needed[-1][:12]}…; pass the file that was --labels of `reelbeam label`"
        )
    for file in dict.fromkeys(spec.labels for spec in CATALOG.values()):
        bundled = LabelMap.load(resolve_labels(file))
        known.setdefault(bundled.sha256, bundled)
    maps = [known[fingerprint] for fingerprint in needed if fingerprint in known]
    names = [name for found in maps for name in found.labels]
    sources = [found.source.rsplit("/", 1)[-1] for found in maps]
    is_complete = len(maps) == len(needed)
    if not is_complete:
        names += _seen(rows, on_file)
        sources.append("the labels in the tables")
    return LabelNames(names, ", ".join(sources), is_complete)


def _seen(rows: ShownRows, on_file: OnFile) -> list[str]:
    found: set[str] = set()
    for table in ("videos", "clips"):
        for batch in rows.batches(table, ["labels"], on_file):
            found.update(batch["labels"].flatten().field("label").unique().to_pylist())
    return sorted(found)


@dataclasses.dataclass(frozen=True)
class UnknownLabel:
    """A label of the truth that is not a label of the model.

    Attributes:
      num_rows: the rows of the truth file that have it.
      first_row: the number of the first of them.
      near: labels that it may mean.
    """

    label: str
    num_rows: int
    first_row: int
    near: tuple[str, ...]


class NamedTruth(NamedTuple):
    """The truth with the labels of the model.

    Attributes:
      rows: the rows, with the names of the model's labels.
      only_unknown: the numbers of the rows whose labels are all unknown. Their labels are empty.
      unknown: the unknown labels, the most frequent first.
      renamed: labels of the truth that the model writes in another way.
    """

    rows: tuple[TruthRow, ...]
    only_unknown: frozenset[int]
    unknown: tuple[UnknownLabel, ...]
    renamed: dict[str, str]

    @property
    def has_segments(self) -> bool:
        """Whether a row is about a part of a video, a segment."""
        return any(row.is_segment for row in self.rows)


def name_labels(truth: TruthFile, names: LabelNames) -> NamedTruth:
    """Replaces the labels of the truth by those of the model.

    An unknown label is removed and reported. If `names` is not complete, it stays: it may be a class of the model that
    is never among the best ones, and then the model missed it.

    Raises:
      ConfigError: all labels are numbers, and the model has no such names.
    """
    found: dict[str, str | None] = {}
    uses: dict[str, list[int]] = {}  # of an unknown label, the numbers of its rows
    named: dict[tuple[str, ...], tuple[str, ...]] = {}
    rows, only_unknown = [], set()

    def with_names(labels: tuple[str, ...]) -> tuple[str, ...]:
        known = [found.setdefault(label, names.find(label)) for label in labels]
        kept = [each or (None if names.is_complete else label) for each, label in zip(known, labels, strict=True)]
        return tuple(dict.fromkeys(each for each in kept if each is not None))

    for row in truth.rows:
        for labels in (row.labels, row.acceptable):
            if labels not in named:
                named[labels] = with_names(labels)
            for label in labels:
                if found[label] is None:
                    uses.setdefault(label, []).append(row.number)
        if row.labels and not named[row.labels]:
            only_unknown.add(row.number)
        rows.append(row._replace(labels=named[row.labels], acceptable=named[row.acceptable]))
    if uses and all(label.isdecimal() for label in found) and len(uses) == len(found):
        raise ConfigError(
            f"--truth {truth.path}: the labels are numbers, such as {truth.unit} {min(uses.values())[0]}, "
            f"{next(iter(uses))}: write their names, because the order of classes differs between label maps"
        )
    order = sorted(uses, key=lambda label: (-len(uses[label]), label))
    unknown = tuple(
        UnknownLabel(label, len(uses[label]), uses[label][0], names.nearest(label) if place < _MAX_WITH_NEAR else ())
        for place, label in enumerate(order)
    )
    renamed = {label: name for label, name in found.items() if name is not None and name != label}
    return NamedTruth(tuple(rows), frozenset(only_unknown), unknown, renamed)
