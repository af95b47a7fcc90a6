"""Estimate the cost of a run from the headers of a sample of its videos."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from fractions import Fraction

from reelbeam.pipeline.commands.planning import Headers, PlannedSelection
from reelbeam.pipeline.costs.planned import clip_cost
from reelbeam.pipeline.costs.table import DecodeCost
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.settings.label_settings import LOCAL_VIDEOS_PER_PART
from reelbeam.transforms.media.sampling.clips import count_clips
from reelbeam.transforms.media.sampling.stream import count_stream_clips
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec
from reelbeam.transforms.redaction import without_query

PART_CPU_HOURS = 1.0
"""CPU-hours that the loss of a part should cost at most."""

_CONFIDENCE = 1.96
"""Standard errors to either side that contain 95 of 100 estimates."""


@dataclasses.dataclass(frozen=True)
class ModelPlan:
    """The cost of a run with one model.

    Attributes:
      model_cpu_hours, cpu_hours: of the model, and with decoding; None if the cost of the model is not known.
      measured: whether the model was measured; False: estimated from its GFLOPs.
    """

    model: str
    clips: int
    model_cpu_hours: float | None
    decode_cpu_hours: DecodeCost
    cpu_hours: float | None
    measured: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `reelbeam plan` prints.

    Attributes:
      outcomes: number of inputs by reason, see `reelbeam.transforms.output.ledger`.
      ignored: number of files and folders that the listing ignored, by kind.
      sampled: number of videos whose headers were read.
      extrapolated: whether the sample represents more videos.
      hours: of video, to label.
      hours_error: error of `hours`, with a confidence of 95 %.
      failures: number of videos that would fail, by error code.
      models: the selected one first.
      videos_per_part: a good value of the flag; None if the default is good.
    """

    output: str
    inputs: int
    outcomes: Mapping[str, int]
    ignored: Mapping[str, int]
    to_label: int
    sampled: int
    extrapolated: bool
    hours: float
    hours_error: float
    failures: Mapping[str, int]
    clips: int
    engine: str
    models: tuple[ModelPlan, ...]
    videos_per_part: int | None


def make_plan(config: LabelingConfig, selection: PlannedSelection, headers: Headers) -> Plan:
    """Returns what `reelbeam plan` prints."""
    num_sampled = len(selection.sample)
    factor = selection.num_selected / num_sampled if num_sampled else 0.0
    seconds = [float(duration) for duration in headers.seconds]
    hours = sum(seconds) * factor / 3600
    models = [_cost(config, spec, headers.seconds, factor) for spec in _models(config)]
    return Plan(
        output=config.output,
        inputs=sum(selection.outcomes.values()),
        outcomes=selection.outcomes,
        ignored=selection.ignored,
        to_label=selection.num_selected,
        sampled=num_sampled,
        extrapolated=num_sampled < selection.num_selected,
        hours=hours,
        hours_error=estimate_error(seconds + [0.0] * sum(headers.failures.values()), selection.num_selected) / 3600,
        failures={code: round(n * factor) for code, n in sorted(headers.failures.items())},
        clips=models[0].clips,
        engine=config.engine,
        models=tuple(models),
        videos_per_part=_videos_per_part(models[0].cpu_hours, selection.num_selected),
    )


def estimate_error(values: Sequence[float], num_all: int) -> float:
    """Returns the error of the extrapolated sum, with a confidence of 95 %; 0 if all values are known."""
    n = len(values)
    if n < 2 or n >= num_all:
        return 0.0
    return _CONFIDENCE * statistics.stdev(values) * num_all * math.sqrt((1 - n / num_all) / n)


def _models(config: LabelingConfig) -> list[ModelSpec]:
    """The chosen model, then the catalog's others that take the same flags."""
    kind = config.model.kind
    others = [spec for spec in CATALOG.values() if spec.kind == kind and spec.name != config.model.name]
    return [config.model, *others]


def _cost(config: LabelingConfig, spec: ModelSpec, durations: Sequence[Fraction], factor: float) -> ModelPlan:
    preset = spec.preset
    sampling = dataclasses.replace(config.sampling, num_frames=preset.num_frames, target_fps=preset.target_fps)
    count = count_clips if sampling.kind == "base" else count_stream_clips
    num_clips = sum(count(duration, sampling) for duration in durations) * factor
    clip = clip_cost(spec, sampling, config.engine, config.geometry.num_crops)
    decoding = DecodeCost(*(seconds * num_clips / 3600 for seconds in dataclasses.astuple(clip.decoding)))
    cost = clip.model
    model_hours = None if cost is None else num_clips * cost.seconds_per_clip / 3600
    return ModelPlan(
        model=without_query(spec.name),
        clips=round(num_clips),
        model_cpu_hours=model_hours,
        decode_cpu_hours=decoding,
        cpu_hours=None if model_hours is None else model_hours + decoding.typical,
        measured=bool(cost and cost.measured),
    )


def _videos_per_part(cpu_hours: float | None, num_videos: int) -> int | None:
    """Returns how many videos cost PART_CPU_HOURS, if a part of the default size would cost more; else None."""
    if not cpu_hours or num_videos == 0:
        return None
    fitting = PART_CPU_HOURS * num_videos / cpu_hours
    if cpu_hours <= PART_CPU_HOURS or fitting >= LOCAL_VIDEOS_PER_PART:
        return None
    digits = 10 ** max(0, int(math.log10(max(fitting, 1))) - 1)
    return max(1, int(fitting / digits) * digits)
