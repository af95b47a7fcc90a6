"""The expected cost of clips. `reelbeam plan` and the run document use the same figures."""

from __future__ import annotations

from typing import NamedTuple

from reelbeam.pipeline.costs.table import DecodeCost, ModelCost, decode_cost, model_cost
from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.output.run_counts import PlannedCost


class ClipCost(NamedTuple):
    """The CPU-seconds of one clip: of decoding and scaling it, and of the model (None: not known)."""

    decoding: DecodeCost
    model: ModelCost | None


def clip_cost(spec: ModelSpec, sampling: ClipSampling, engine: str, num_crops: int = 1) -> ClipCost:
    """Returns the expected cost of a clip. It is decoded once, and each of its crops goes through the model."""
    second, seconds = decode_cost(), float(sampling.clip_seconds)
    decoding = DecodeCost(second.low * seconds, second.typical * seconds, second.high * seconds)
    model = model_cost(spec, engine)
    return ClipCost(decoding, model and model._replace(seconds_per_clip=num_crops * model.seconds_per_clip))


def planned_cost_of_clip(settings: LabelerSettings) -> PlannedCost:
    """Returns the expected cost of a clip for the run document."""
    cost = clip_cost(settings.model, settings.sampling, settings.engine, settings.geometry.num_crops)
    return PlannedCost(cost.decoding.typical, cost.model.seconds_per_clip if cost.model else None)
