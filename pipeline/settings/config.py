"""The configuration of a run: a frozen, validated dataclass, created from flags and read by graph.py. No Beam."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from operator import attrgetter
from typing import Self

from reelbeam.pipeline.settings.declaration import assembled, settings_of
from reelbeam.pipeline.settings.label_settings import (
    LABEL_SETTINGS,
    CommitSettings,
    IncrementalSettings,
    InputSettings,
    LabelSettings,
    LimitSettings,
    RemoteSettings,
    SandboxSettings,
)
from reelbeam.pipeline.settings.model_settings import EngineSettings, PictureSettings
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.decoding.geometry import Geometry
from reelbeam.transforms.media.decoding.model_input import ModelInput
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sandbox.ring import max_clips_in_memory
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.records import LabelThresholds, SkipRules
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.selection.row_options import RowOptions

_MAX_RECORDED = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelerSettings(EngineSettings, PictureSettings, LimitSettings, SandboxSettings, RemoteSettings, LabelSettings):
    """The settings that determine what is known of a video after it was labeled.

    Attributes:
      model: the model, with the preset in use.
      sampling: the parameters of clip sampling.
      label_thresholds: the content of the file `thresholds`, once it was read.

    Raises:
      ConfigError: a value is out of range, or settings do not fit each other.
    """

    model: ModelSpec
    sampling: ClipSampling
    label_thresholds: LabelThresholds | None = None

    def __post_init__(self) -> None:
        for each in settings_of(type(self)):
            each.require(getattr(self, each.name))
        self._require_room_for_clips()

    def _require_room_for_clips(self) -> None:
        """Checks that a decoder has memory for its clips: those with a long warm-up may not fit."""
        sampling = self.sampling
        num_open = math.ceil(sampling.clip_seconds / sampling.stride_seconds)  # more than one if clips overlap
        num_clips = max_clips_in_memory(num_open)
        needed = num_clips * self.clip_frames * math.prod(self.geometry.shape) * 3
        if needed > self.decoder_limits.memory_bytes:
            shorten = "shorten --warm_up_seconds" if sampling.warm_up else "lower --num_frames"
            shorten = "raise --clip_stride_seconds" if num_open > 1 else shorten
            shorten += ", or pass --crops center" if self.geometry.num_crops > 1 else ""
            raise ConfigError(
                f"a clip has up to {self.clip_frames} frames, and a decoder needs {needed} bytes for {num_clips} of"
                f" them, more than --decoder_memory_bytes {self.decoder_limits.memory_bytes}: raise it, or {shorten}"
            )

    def with_model(self, model: ModelSpec) -> Self:
        """Returns the configuration for an updated model, whose kind determines how clips are sampled.

        Raises:
          ConfigError: the flags do not fit a model of this kind.
        """
        try:
            return dataclasses.replace(self, model=model, sampling=dataclasses.replace(self.sampling, kind=model.kind))
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @property
    def clip_frames(self) -> int:
        """The maximum number of frames of a clip, including the warm-up."""
        return self.sampling.num_frames + math.floor(self.sampling.warm_up * self.sampling.target_fps)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The values to keep for each clip besides its scores."""
        wanted = {"logits": self.save_logits, "embedding": self.save_embeddings}
        return tuple(name for name, is_kept in wanted.items() if is_kept)

    @property
    def label_filter(self) -> LabelFilter:
        """Which labels a row keeps."""
        return LabelFilter(self.top_k, self.min_score, self.label_thresholds)

    @property
    def thresholds_fingerprint(self) -> str | None:
        """The hash of the thresholds; None without them."""
        return None if self.label_thresholds is None else self.label_thresholds.fingerprint

    @property
    def decoder_limits(self) -> DecoderLimits:
        """The limits of a video and of a decoder process."""
        return assembled(DecoderLimits, "decoder_limits", self)

    @property
    def geometry(self) -> Geometry:
        """Scale and crops; by default as in the model's training."""
        return Geometry(self.model.preset.resize, self.model.preset.size, crops=self.crops)

    @property
    def sampling_fingerprint(self) -> str:
        """The hash of everything that determines the pixels of the model input: instants, scale and crop."""
        return ModelInput(self.sampling, self.geometry).fingerprint


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelingConfig(InputSettings, LabelerSettings, IncrementalSettings, CommitSettings):
    """The settings that determine the rows of a run. Beam's options determine where it runs.

    Most attributes are settings, which `label_settings.py` and `model_settings.py` declare. In addition:

    Attributes:
      base_dir: the base of relative local paths.

    Raises:
      ConfigError: a value is out of range, or settings do not fit each other.
    """

    base_dir: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inputs and not self.input_list:
            raise ConfigError("nothing to label: name files, folders or patterns, or give --input_list FILE")

    @property
    def row_options(self) -> RowOptions:
        """The options for rows."""
        return RowOptions(**{field.name: getattr(self, field.name) for field in dataclasses.fields(RowOptions)})

    @property
    def skip_rules(self) -> SkipRules:
        """Which of the listed videos are labeled."""
        return assembled(SkipRules, "skip_rules", self)

    def to_json(self) -> dict[str, object]:
        """Returns the configuration for the run's JSON: settings by their names, and what else determines its rows."""
        settings = (each for each in LABEL_SETTINGS if each.flag.is_recorded and not each.is_nested)
        more = {
            "num_input_arguments": len(self.inputs),
            "model_kind": self.model.kind,
            "model_handle": self.model.handle,
            "thresholds_fingerprint": self.thresholds_fingerprint,
        }
        found = {each.name: attrgetter(each.attribute)(self) for each in settings} | more
        nested = {"decoder_limits": self.decoder_limits, "skip_rules": self.skip_rules}
        return {name: _recorded(value) for name, value in (found | nested).items()}


def _recorded(value: object) -> object:
    """Returns a value for the run's JSON, which has no secrets and no long lists."""
    if isinstance(value, DecoderLimits | SkipRules):
        return {name: _recorded(each) for name, each in vars(value).items()}
    if isinstance(value, tuple | frozenset):
        return [_recorded(each) for each in (value if isinstance(value, tuple) else sorted(value))[:_MAX_RECORDED]]
    if isinstance(value, str):
        return without_query(value)
    return str(value) if isinstance(value, Fraction) else value
