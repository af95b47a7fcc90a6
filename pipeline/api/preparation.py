"""Keyword arguments -> what the steps that label videos need: the checks before anything runs."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping

from reelbeam.pipeline.api.options import checked
from reelbeam.pipeline.flags.model_flags import sampled_kind, to_model_spec
from reelbeam.pipeline.job.label_thresholds import warn_of_thresholds, with_thresholds
from reelbeam.pipeline.job.labeler import labeler_config, labeler_facts
from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.model_settings import ClipSettings
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.labeling.config import LabelerConfig
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.engine import choose_engine, with_found_kind
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.manifest import require_pin
from reelbeam.transforms.records import LabelerFacts
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.stored_models.fetching import localized
from reelbeam.transforms.stored_models.labels import load_labels


@dataclasses.dataclass(frozen=True)
class Labeler:
    """What the steps need, checked.

    Attributes:
      config: of the steps.
      facts: in the rows.
    """

    config: LabelerConfig
    facts: LabelerFacts


def prepare(model: str, options: Mapping[str, object], *, runs_here: bool) -> Labeler:
    """Returns what the steps need. Fetches the model if it is not on this machine, and reads its labels.

    Args:
      model: the name, as of `--model`.
      options: those of `LabelOptions`.
      runs_here: whether the model runs on this machine; then the engine "auto" depends on its devices.

    Raises:
      TypeError: an option does not exist.
      ConfigError: an option is out of range, or options do not fit each other.
      ModelError: the model or its labels cannot be used.
    """
    with _errors_of_options():
        settings = with_thresholds(_settings(model, checked(options), runs_here))
    local = localized(settings.model)
    folder = resolver.resolve(local.handle, settings.model.mirrors)
    require_pin(folder, settings.model.pin, without_query(settings.model.handle))
    labels = load_labels(settings.model.labels)
    if settings.label_thresholds is not None:
        warn_of_thresholds(settings.label_thresholds, labels, without_query(settings.model.name))
    return Labeler(labeler_config(settings, labels), labeler_facts(settings, folder, labels))


def _settings(model: str, values: Mapping[str, object], runs_here: bool) -> LabelerSettings:
    if not isinstance(model, str):
        raise ConfigError(f"model is {model!r}: it must be a name, a URL or a folder; see `reelbeam models`")
    spec = with_found_kind(to_model_spec(argparse.Namespace(model=model, **values)))
    clips = from_values(ClipSettings, values)
    try:
        sampling = ClipSampling(
            num_frames=spec.preset.num_frames,
            target_fps=spec.preset.target_fps,
            kind=sampled_kind(spec, clips),
            **vars(clips),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    spool_dir = values["spool_dir"]
    settings = from_values(
        LabelerSettings,
        values,
        model=spec,
        sampling=sampling,
        spool_dir=spool_dir and str(pathlib.Path(str(spool_dir)).resolve()),
    )
    return dataclasses.replace(settings, engine=choose_engine(settings.engine, localized(spec), runs_here=runs_here))


@contextlib.contextmanager
def _errors_of_options() -> Iterator[None]:
    """Names options without the dashes of flags in messages."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(re.sub(r"--(?=[a-z]+_?[a-z])", "", str(error))) from error
