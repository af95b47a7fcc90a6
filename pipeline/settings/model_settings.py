"""Settings of the model and of its clips, each declared once."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Literal

from reelbeam.pipeline.settings import values
from reelbeam.pipeline.settings.bounds import MOST_THREADS
from reelbeam.pipeline.settings.declaration import Flag, required, setting
from reelbeam.pipeline.settings.values import Range
from reelbeam.transforms import wording
from reelbeam.transforms.media.decoding.geometry import Crops
from reelbeam.transforms.media.sampling.clip_sampling import DEFAULT_WARM_UP_SECONDS, TailPolicy
from reelbeam.transforms.models.batches import MAX_BATCH_BYTES
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.registry.catalog import KINETICS_600, OutputActivation

_OF_MODEL = "that of the catalog or of the export"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelName:
    """The name of the model."""

    model: str = required(
        str,
        Flag(
            "Catalog name (see `reelbeam models`), URL, local archive (.tar.gz, .tar, .zip), or folder of a SavedModel "
            "or of an exported model, local or in an object store; a0-base is the smallest for real videos",
            "NAME",
            is_location=True,
            hint="--model a0-base is the smallest for real videos, fetched at its first use; `reelbeam models` lists "
            "others, and the bundled toy, demo",
            attribute="model.name",
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """The properties of a model that the catalog does not have, or that replace those of the catalog."""

    labels: str | None = setting(
        None,
        Flag(
            f"File with one label per line, by class id, local or in an object store; or {KINETICS_600}",
            "FILE",
            is_location=True,
            unset=_OF_MODEL,
            attribute="model.labels",
            is_recorded=False,
        ),
    )
    num_frames: int | None = setting(
        None,
        Flag("Number of frames of a clip", "N", Range(1, 10_000), unset=_OF_MODEL, attribute="model.preset.num_frames"),
    )
    target_fps: Fraction | None = setting(
        None,
        Flag(
            "Frames per second of a clip: 5, 12.5 or 30000/1001",
            "R",
            Range(Fraction(1, 100), 1000),
            unset=_OF_MODEL,
            attribute="model.preset.target_fps",
        ),
    )
    resize: int | None = setting(
        None,
        Flag(
            "Short side of the picture after scaling",
            "PX",
            Range(1, 8192),
            unset=_OF_MODEL,
            attribute="model.preset.resize",
        ),
    )
    size: int | None = setting(
        None,
        Flag(
            "Side of the square cut from its center",
            "PX",
            Range(1, 8192),
            unset=_OF_MODEL,
            attribute="model.preset.size",
        ),
    )
    output_activation: Literal["auto", OutputActivation] = setting(
        "auto",
        Flag(
            "Kind of the model's outputs: logits, or scores of a softmax or of sigmoids; auto: as its graph shows",
            attribute="model.output_activation",
        ),
    )
    model_fingerprint: str | None = setting(
        None,
        Flag(
            "Refuse any other model; the value is model_fingerprint of a run's JSON",
            "HEX",
            attribute="model.pin",
            is_recorded=False,
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How the model runs."""

    engine: EngineName = setting(
        "auto",
        Flag(
            "Engine of the model; auto: tensorflow if a GPU or TPU is visible, otherwise openvino; on a "
            "cluster openvino"
        ),
    )
    precision: Precision = setting(
        "float32", Flag("Arithmetic of the model; bfloat16 needs openvino and a CPU that supports it")
    )
    max_batch_bytes: int = setting(
        MAX_BATCH_BYTES,
        Flag(
            "Maximum bytes of pixels in a batch, which has at least one clip",
            "N",
            Range(1, 1 << 40),
            show=values.byte_text,
        ),
    )
    num_threads: int | None = setting(
        None, Flag("Number of threads of the model", "N", Range(1, MOST_THREADS), unset="all cores", is_recorded=False)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """The clips of a video. The names are those of `ClipSampling`."""

    clip_stride_seconds: Fraction | None = setting(
        None,
        Flag(
            "Time from the start of a clip to the start of the next one",
            "S",
            Range(Fraction(1, 1000), 1_000_000),
            unset="no gap",
            attribute="sampling.clip_stride_seconds",
        ),
    )
    clips_per_video: int | None = setting(
        None,
        Flag(
            "Maximum number of clips per video, evenly spread",
            "K",
            Range(1, 1_000_000),
            attribute="sampling.clips_per_video",
        ),
    )
    tail_policy: TailPolicy | None = setting(
        None,
        Flag(
            "Treatment of a rest that is shorter than a clip: move the clip back (a short video loops), repeat the "
            "last frame, or drop the rest; Stream models do not loop or repeat, but can keep it as a short clip",
            unset="shift_back; with --carry_state keep",
            attribute="sampling.tail",
        ),
    )
    carry_state: bool = setting(
        False,
        Flag(
            "Carry the state of a Stream model from clip to clip; otherwise each clip starts from an empty state",
            attribute="sampling.carry_state",
        ),
    )
    warm_up_seconds: Fraction | None = setting(
        None,
        Flag(
            "With --carry_state: video that the model sees before it restarts within a video",
            "S",
            Range(0, 86_400),
            unset=wording.duration(float(DEFAULT_WARM_UP_SECONDS)),
            attribute="sampling.warm_up",
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """The part of the pictures that the model gets."""

    crops: Crops = setting(
        "center",
        Flag(
            "Part of the picture that the model sees: the square in its center; three squares along its long side, for "
            "the mean of their scores and three times the cost of the model; or all of it, squeezed into a square"
        ),
    )
