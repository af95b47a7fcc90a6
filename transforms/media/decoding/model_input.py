"""Everything that determines the pixels of the model's input, and how to read it from a run document."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal, cast

from reelbeam.transforms.media.decoding.geometry import CROPS, Crops, Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling, TailPolicy
from reelbeam.transforms.records.exact_numbers import parse_exact
from reelbeam.transforms.typed_json import MISSING, Rule, WrongValueError, from_json


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """The pixels that the model gets of a video: the instants, and scale and crop of the frames."""

    sampling: ClipSampling
    geometry: Geometry

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change if and only if the pixels change: the column `sampling_fingerprint`."""
        text = f"{self.sampling.fingerprint} {self.geometry.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class UnrecordedError(ValueError):
    """A run document does not have the settings that determine the pixels, or has other ones."""


def _whole(least: int, most: int) -> Rule:
    return Rule(lambda value: isinstance(value, int) and least <= value <= most, {"minimum": least, "maximum": most})


def _exact(least: Fraction, most: Fraction) -> Rule:
    def holds(value: object) -> bool:
        with contextlib.suppress(ValueError):
            return least <= parse_exact(value) <= most
        return False

    return Rule(holds, {})


_CROPS = Rule(lambda value: value in CROPS, {"enum": list(CROPS)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedSettings:
    """The settings in `configuration` of a run document that determine pixels, and the limits of its decoders.

    The bounds are those of the flags: a document is not trusted, and planning takes memory for each frame of a clip.
    """

    model_kind: Annotated[str, Rule(lambda value: value in ("base", "stream"), {})]
    num_frames: Annotated[int, _whole(1, 10_000)]
    target_fps: Annotated[str, _exact(Fraction(1, 100), Fraction(1000))]
    resize: Annotated[int, _whole(1, 8192)]
    size: Annotated[int, _whole(1, 8192)]
    tail_policy: str
    warm_up_seconds: Annotated[str, _exact(Fraction(0), Fraction(86_400))]
    clip_stride_seconds: Annotated[str, _exact(Fraction(1, 1000), Fraction(1_000_000))] | None
    clips_per_video: Annotated[int, _whole(1, 1_000_000)] | None
    decoder_limits: DecoderLimits
    max_video_bytes: int
    crops: Annotated[str, _CROPS] = "center"
    carry_state: bool = True
    """Runs of an earlier version do not record it, and always carried the state of a Stream model."""

    @classmethod
    def of(cls, configuration: Mapping[str, object]) -> RecordedSettings:
        """Returns the settings in the configuration of a run document.

        Raises:
          UnrecordedError: a setting is missing, or is not one that a run writes.
        """
        try:
            return from_json(cls, configuration)
        except WrongValueError as error:
            said = "is missing" if error.value is MISSING else "is not one that a run writes"
            raise UnrecordedError(f"configuration.{error.name} {said}") from error

    def model_input(self) -> ModelInput:
        """Returns instants, scale and crop. Raises UnrecordedError if the settings do not fit each other."""
        stride = self.clip_stride_seconds
        is_carried = self.carry_state and self.model_kind == "stream"
        try:
            sampling = ClipSampling(
                num_frames=self.num_frames,
                target_fps=parse_exact(self.target_fps),
                clip_stride_seconds=None if stride is None else parse_exact(stride),
                clips_per_video=self.clips_per_video,
                tail_policy=cast(TailPolicy, self.tail_policy),
                kind=cast(Literal["base", "stream"], self.model_kind),
                carry_state=is_carried,
                warm_up_seconds=parse_exact(self.warm_up_seconds) if is_carried else None,
            )
            return ModelInput(sampling, Geometry(self.resize, self.size, crops=cast(Crops, self.crops)))
        except ValueError as error:
            raise UnrecordedError(str(error)) from error
