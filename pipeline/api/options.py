"""The settings of `LabelVideos` and of the functions for scripts: keyword arguments with the names of flags."""

from __future__ import annotations

import contextlib
import difflib
import numbers
import os
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Literal, TypedDict, cast

import numpy as np

from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.pipeline.settings.declaration import Setting, settings_of
from reelbeam.pipeline.settings.model_settings import ClipSettings, ModelDescription
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.decoding.geometry import Crops
from reelbeam.transforms.media.sampling.clip_sampling import TailPolicy
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.registry.catalog import OutputActivation
from reelbeam.transforms.records.exact_numbers import parse_exact

Seconds = int | float | Fraction | str
"""A number. A float means its shortest decimal: 0.1 is exactly one tenth."""

OPTION_KINDS = (ModelDescription, ClipSettings, LabelerSettings)
"""The dataclasses whose settings are options."""


class ClipOptions(TypedDict, total=False):
    """The clips that a model takes; the defaults are those of the catalog or of the exported model."""

    num_frames: int | None
    target_fps: Seconds | None
    resize: int | None
    size: int | None


class DecodeOptions(ClipOptions, total=False):
    """The options of `decode_clips`, with the names and defaults of the flags of `reelbeam label`."""

    clip_stride_seconds: Seconds | None
    clips_per_video: int | None
    tail_policy: TailPolicy | None
    max_video_bytes: int
    max_pixels: int
    max_duration_seconds: float
    decoder_memory_bytes: int
    decode_deadline_seconds: float
    allow_unconfined_decoder: bool
    spool_dir: str | None
    spool_bytes: int | None


class ModelOptions(ClipOptions, total=False):
    """The options of `load_model`, with the names and defaults of the flags of `reelbeam label`."""

    labels: str | None
    output_activation: Literal["auto", OutputActivation]
    model_fingerprint: str | None
    engine: EngineName
    precision: Precision
    max_batch_bytes: int
    num_threads: int | None
    top_k: int
    min_score: float
    thresholds: str | None


class LabelOptions(ModelOptions, DecodeOptions, total=False):
    """The options of `LabelVideos` and `label`, with the names and defaults of the flags of `reelbeam label`."""

    carry_state: bool
    warm_up_seconds: Seconds | None
    crops: Crops
    save_logits: bool
    save_embeddings: bool


def all_options() -> dict[str, Setting]:
    """Returns the declared settings that are options, by name."""
    return {each.name: each for kind in OPTION_KINDS for each in settings_of(kind)}


def checked(options: Mapping[str, object], accepted: Collection[str] | None = None) -> dict[str, object]:
    """Returns the value of every option, in the type of its setting. None stands for the default.

    Args:
      options: the given options.
      accepted: the names that may be given; None: all.

    Raises:
      TypeError: an option does not exist; the message names the nearest one.
      ConfigError: a value is not of the type, or out of range.
    """
    known = all_options()
    accepted = known if accepted is None else accepted
    for name in options:
        if name not in accepted:
            near = difflib.get_close_matches(name, accepted, n=1)
            raise TypeError(f"unknown option {name!r}" + (f" (did you mean {near[0]}?)" if near else ""))
    return {name: _value(each, options.get(name)) for name, each in known.items()}


def _value(setting: Setting, value: object) -> object:
    if value is None:
        return setting.default
    found = _converted(setting, value)
    if setting.choices and found not in setting.choices:
        raise ConfigError(f"{setting.name} is {value!r}: it must be one of {', '.join(setting.choices)}")
    setting.require(found)
    return found


_WANTED: dict[object, tuple[str, tuple[type, ...]]] = {
    bool: ("True or False", (bool, np.bool_)),
    int: ("an integer", (numbers.Integral,)),
    float: ("a number", (numbers.Real,)),
    Fraction: ("a number such as 5, 12.5, '30000/1001'", (numbers.Real, str)),
    str: ("a text", (str,)),
}
"""The values that an option of a type accepts, in words and as types. NumPy's numbers are numbers."""


def _converted(setting: Setting, value: object) -> object:
    """Returns a value in the type of a setting. Raises ConfigError if it is of another type."""
    kind = str if setting.choices else cast(type, setting.kind)
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    words, accepted = _WANTED[kind]
    if isinstance(value, accepted) and (kind is bool or not isinstance(value, bool)):
        with contextlib.suppress(ValueError):
            return parse_exact(str(value).strip()) if kind is Fraction else kind(value)
    raise ConfigError(f"{setting.name} is {value!r}: it must be {words}")
