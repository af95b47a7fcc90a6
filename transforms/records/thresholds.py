"""The score from which on a label counts, for each label."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, cast

from reelbeam.transforms.typed_json import Rule

FORMAT_VERSION = 1
NEVER = 1.0
"""The threshold of a label that never passes."""

MAX_LABELS, MAX_LABEL = 100_000, 500
RANKINGS = ("mean", "max")


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _are_labels(value: object) -> bool:
    labels = cast(Mapping[str, object], value)
    return len(labels) <= MAX_LABELS and all(is_label(label) for label in labels)


def is_label(label: str) -> bool:
    """Returns whether a text can be a label in SQL: not blank, and without control characters and lone surrogates."""
    is_plain = not any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in label)
    return bool(label.strip()) and len(label) <= MAX_LABEL and is_plain


Score = Annotated[float, Rule(_is_score, {"minimum": 0, "maximum": 1})]
Labels = Annotated[Mapping[str, Score], Rule(_are_labels, {"maxProperties": MAX_LABELS})]
Version = Annotated[int, Rule(lambda value: value == FORMAT_VERSION, {"const": FORMAT_VERSION})]
Ranking = Annotated[str, Rule(lambda value: value in RANKINGS, {"enum": list(RANKINGS)})]


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

    @property
    def fingerprint(self) -> str:
        """The hash of everything that decides which labels pass: two files with the same rule have the same one."""
        own = {label: float(threshold) for label, threshold in self.labels.items() if threshold != self.default}
        rule = json.dumps([float(self.default), own, self.ranking], sort_keys=True)
        return hashlib.sha256(rule.encode()).hexdigest()

    def other_models(self, models: Sequence[str]) -> tuple[str, ...]:
        """Returns those of some models for whose scores the thresholds were not made."""
        return tuple(model for model in models if model not in self.models) if self.models else ()
