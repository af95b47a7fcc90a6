"""The measured costs of a video in CPU-seconds. `costs.json` is generated from the results of the benchmarks.

    python -m benchmarks.cost_table     generates it

The cost of a model that was not measured is its GFLOPs times the cost of a GFLOP of measured models. CPU-seconds are
those of the measuring machine. Another machine may need half or twice as many; ratios between models vary less.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.typed_json import from_json


class ModelCost(NamedTuple):
    """The CPU-seconds of one clip, and whether they were measured or computed from the model's GFLOPs."""

    seconds_per_clip: float
    measured: bool


@dataclasses.dataclass(frozen=True)
class DecodeCost:
    """The CPU-seconds of decoding and scaling a second of video: minimum, median and maximum over the files."""

    low: float
    typical: float
    high: float


@dataclasses.dataclass(frozen=True)
class CostTable:
    """The measured CPU-seconds: of a clip by engine and model, of a GFLOP by engine, of a second of video."""

    seconds_per_clip: Mapping[str, Mapping[str, float]]
    seconds_per_gflop: Mapping[str, float]
    decode_seconds_per_video_second: DecodeCost


@functools.cache
def cost_table() -> CostTable:
    """Returns the measured costs from `costs.json`."""
    text = resources.files("reelbeam.pipeline.costs").joinpath("costs.json").read_text("utf-8")
    return from_json(CostTable, json.loads(text))


def model_cost(spec: ModelSpec, engine: str) -> ModelCost | None:
    """Returns the cost of a clip for a model; None if neither a measurement nor the GFLOPs are known."""
    table = cost_table()
    measured = table.seconds_per_clip.get(engine, {}).get(spec.name)
    if measured is not None:
        return ModelCost(measured, measured=True)
    per_gflop = table.seconds_per_gflop.get(engine)
    if per_gflop is None or spec.gflops is None:
        return None
    return ModelCost(spec.gflops * per_gflop, measured=False)


def decode_cost() -> DecodeCost:
    """Returns the cost of decoding a second of video."""
    return cost_table().decode_seconds_per_video_second
