"""The thresholds of a run: their file, and whether they fit the model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TypeVar

from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.output.label_thresholds import other_models_text, read_thresholds
from reelbeam.transforms.records import LabelThresholds
from reelbeam.transforms.wording import counted, first_and_more

_MAX_SHOWN = 5
_Settings = TypeVar("_Settings", bound=LabelerSettings)


def with_thresholds(config: _Settings) -> _Settings:
    """Returns the configuration with the content of its file of thresholds, so that workers need no file.

    Raises:
      ConfigError: the file cannot be read, or its content is not valid.
      RunError: its store does not respond now.
    """
    if config.thresholds is None:
        return config
    return dataclasses.replace(config, label_thresholds=read_thresholds(config.thresholds))


def warn_of_thresholds(thresholds: LabelThresholds, labels: LabelMap, model: str) -> None:
    """Warns if thresholds were made for another model, or have labels that the model does not have.

    Args:
      thresholds: of the run.
      labels: the classes of the model.
      model: its name, as in rows.
    """
    from reelbeam.transforms.evaluation.truth.label_names import LabelNames  # few runs have thresholds

    warn = logging.getLogger(__name__).warning
    if others := thresholds.other_models([model]):
        warn("%s", other_models_text(thresholds, others))
    classes = frozenset(labels.labels)
    unknown = [label for label in thresholds.labels if label not in classes]
    if unknown:
        known = LabelNames(labels.labels, labels.source, is_complete=True)
        shown, more = first_and_more(unknown, _MAX_SHOWN)
        names = ", ".join([*(_shown(label, known.nearest(label)) for label in shown), *filter(None, [more])])
        is_one = len(unknown) == 1
        warn(
            "%s of --thresholds %s not among the labels of the model: %s",
            *(counted(len(unknown), "label"), "is" if is_one else "are", names),
        )


def _shown(label: str, nearest: Sequence[str]) -> str:
    near = " or ".join(map(repr, nearest))
    return f"{label!r} ({f'did you mean {near}?' if near else 'no similar name'})"
