"""Keyword arguments -> what the steps that label videos need: the checks before anything runs."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator, Mapping

from reelbeam.pipeline.api.options import all_options, checked
from reelbeam.pipeline.flags.model_flags import to_model_spec, to_sampling
from reelbeam.pipeline.job.label_thresholds import warn_of_thresholds, with_thresholds
from reelbeam.pipeline.job.labeler import labeler_config, labeler_facts
from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.model_settings import ClipSettings
from reelbeam.transforms.errors import ConfigError, ModelError
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.labeling.config import LabelerConfig
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.engine import Engine, check_embeddings, choose_engine, with_found_kind
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.manifest import require_pin
from reelbeam.transforms.records import LabelerFacts
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.stored_models.fetching import localized
from reelbeam.transforms.stored_models.labels import load_labels

_FLAG = re.compile(rf"(?<![^\s(`'\"])--({'|'.join(all_options())}|model|num_workers)\b")
"""A flag at the start of a word: not a part of a name such as my--model."""


@dataclasses.dataclass(frozen=True)
class Labeler:
    """What the steps need, checked.

    Attributes:
      config: of the steps.
      facts: in the rows.
    """

    config: LabelerConfig
    facts: LabelerFacts


def prepare(model: str | os.PathLike[str], options: Mapping[str, object], *, runs_here: bool) -> Labeler:
    """Returns what the steps need. Fetches the model if it is not on this machine, and reads its labels.

    Args:
      model: the name, as of `--model`; a path for a folder or an archive.
      options: those of `LabelOptions`.
      runs_here: whether the model runs on this machine; then the engine "auto" depends on its devices.

    Raises:
      TypeError: an option does not exist.
      ConfigError: an option is out of range, or options do not fit each other.
      ModelError: the model or its labels cannot be used.
    """
    with errors_of_options():
        values = checked(options)
        settings = with_thresholds(labeler_settings(model_spec(model, values), values))
        local = localized(settings.model)
        engine = choose_engine(settings.engine, local, runs_here=runs_here)
        settings = dataclasses.replace(settings, engine=engine)
        folder = resolver.resolve(local.handle, settings.model.mirrors)
        require_pin(folder, settings.model.pin, without_query(settings.model.handle))
        labels = load_labels(settings.model.labels)
        if settings.label_thresholds is not None:
            warn_of_thresholds(settings.label_thresholds, labels, without_query(settings.model.name))
        return Labeler(labeler_config(settings, labels), labeler_facts(settings, folder, labels))


def load_checked(config: ClassifierConfig) -> Engine | StreamEngine:
    """Returns the engine of a model, after checking what only a loaded model shows.

    Raises:
      ConfigError: the engine cannot run the model with these options, or the model has no embeddings.
      ModelError: the model cannot be loaded, or its labels are those of another model.
    """
    with errors_of_options():
        engine = ClipClassifier(config).load()
        if "embedding" in config.outputs:
            check_embeddings(engine, config.model)
        return engine


def model_spec(model: str | os.PathLike[str], values: Mapping[str, object]) -> ModelSpec:
    """Returns the model that a name and options describe. Fetches it if only its files show its kind.

    Args:
      model: the name, as of `--model`.
      values: the settings of ModelDescription.

    Raises:
      ConfigError: options are missing, or do not fit each other.
      ModelError: the name is not known, or the model cannot be fetched.
    """
    if not isinstance(model, str | os.PathLike) or not os.fspath(model).strip():
        raise ConfigError(f"model is {model!r}: it must be a name, a URL or a folder; see `reelbeam models`")
    return with_found_kind(to_model_spec(argparse.Namespace(model=os.fspath(model), **values)))


def labeler_settings(spec: ModelSpec, values: Mapping[str, object]) -> LabelerSettings:
    """Returns the settings for a model.

    Args:
      spec: the model.
      values: those of all options, see `checked`.

    Raises:
      ConfigError: options do not fit each other, or the model.
    """
    spool_dir = values["spool_dir"]
    return from_values(
        LabelerSettings,
        values,
        model=spec,
        sampling=to_sampling(spec, from_values(ClipSettings, values)),
        spool_dir=spool_dir and str(pathlib.Path(str(spool_dir)).resolve()),
    )


@contextlib.contextmanager
def errors_of_options() -> Iterator[None]:
    """Names options without the dashes of flags in messages. Other names with dashes stay as they are."""
    try:
        yield
    except (ConfigError, ModelError) as error:
        error.args = (_FLAG.sub(r"\1", str(error)),)
        raise
