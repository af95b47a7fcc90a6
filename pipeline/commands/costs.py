"""What a video costs, in CPU-seconds, as measured: `costs.json` is made from the benchmarks' results.

    python -m benchmarks.cost_table     makes it again

Where a model was not measured, its GFLOPs are multiplied with what a GFLOP cost in those that were. CPU-seconds are
those of the machine that measured; another one may take half or twice as many, the ratios between models hold better.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.storage.typed_json import from_json


class ModelCost(NamedTuple):
    """CPU-seconds of one clip, and whether that model was measured, or its GFLOPs were reckoned with."""

    seconds_per_clip: float
    measured: bool


@dataclasses.dataclass(frozen=True)
class DecodeCost:
    """CPU-seconds of decoding and scaling a second of video: of the cheapest, the middle and the dearest file."""

    low: float
    typical: float
    high: float


@dataclasses.dataclass(frozen=True)
class CostTable:
    """What was measured, in CPU-seconds: of a clip by engine and model, of a GFLOP by engine, of a second of video."""

    seconds_per_clip: Mapping[str, Mapping[str, float]]
    seconds_per_gflop: Mapping[str, float]
    decode_seconds_per_video_second: DecodeCost


@functools.cache
def cost_table() -> CostTable:
    """Returns the measured costs as they are in the file."""
    text = resources.files("reelbeam.pipeline.commands").joinpath("costs.json").read_text("utf-8")
    return from_json(CostTable, json.loads(text))


def model_cost(spec: ModelSpec, engine: str) -> ModelCost | None:
    """Returns what a clip costs the model; None where neither a measurement nor the GFLOPs tell."""
    table = cost_table()
    measured = table.seconds_per_clip.get(engine, {}).get(spec.name)
    if measured is not None:
        return ModelCost(measured, measured=True)
    per_gflop = table.seconds_per_gflop.get(engine)
    if per_gflop is None or spec.gflops is None:
        return None
    return ModelCost(spec.gflops * per_gflop, measured=False)


def decode_cost() -> DecodeCost:
    """Returns what a second of video costs the decoder."""
    return cost_table().decode_seconds_per_video_second
