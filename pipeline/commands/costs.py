"""What a video costs, in CPU-seconds, as measured: `costs.json` is made from the benchmarks' results.

    python -m benchmarks.cost_table     makes it again

Where a model was not measured, its GFLOPs are multiplied with what a GFLOP cost in those that were. CPU-seconds are
those of the machine that measured; another one may take half or twice as many, the ratios between models hold better.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, NamedTuple

from reelbeam.transforms.models.registry.catalog import ModelSpec


class ModelCost(NamedTuple):
    """CPU-seconds of one clip, and whether that model was measured, or its GFLOPs were reckoned with."""

    seconds_per_clip: float
    measured: bool


class DecodeCost(NamedTuple):
    """CPU-seconds of decoding and scaling a second of video: of the cheapest, the middle and the dearest file."""

    low: float
    typical: float
    high: float


@functools.cache
def cost_table() -> dict[str, Any]:
    """Returns the measured costs as they stand in the file."""
    return json.loads(resources.files("reelbeam.pipeline.commands").joinpath("costs.json").read_text("utf-8"))


def model_cost(spec: ModelSpec, engine: str) -> ModelCost | None:
    """Returns what a clip costs the model; None where neither a measurement nor the GFLOPs tell."""
    table = cost_table()
    measured = table["seconds_per_clip"].get(engine, {}).get(spec.name)
    if measured is not None:
        return ModelCost(measured, measured=True)
    per_gflop = table["seconds_per_gflop"].get(engine)
    if per_gflop is None or spec.gflops is None:
        return None
    return ModelCost(spec.gflops * per_gflop, measured=False)


def decode_cost() -> DecodeCost:
    """Returns what a second of video costs the decoder."""
    return DecodeCost(**cost_table()["decode_seconds_per_video_second"])
