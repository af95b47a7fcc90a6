"""Measure how fast OpenVINO computes here in each precision, with a few convolutions."""

from __future__ import annotations

import time

import numpy as np

from reelbeam.transforms.models.engine import Precision
from reelbeam.transforms.models.engines.openvino_engine import cpu_config
from reelbeam.transforms.models.engines.openvino_import import Graph, import_openvino

_SHAPE = (1, 64, 56, 56)
_NUM_LAYERS = 4
_SECONDS = 0.3


def seconds_per_call(precision: Precision) -> float:
    """Returns the shortest time of a call on one CPU, measured for a third of a second.

    Raises:
      RuntimeError: OpenVINO cannot compile or run the convolutions.
    """
    compiled = import_openvino().Core().compile_model(_convolutions(), "CPU", cpu_config(1, precision))
    request = compiled.create_infer_request()
    request.get_input_tensor(0).data[:] = 0.5
    request.infer()
    best, stop = float("inf"), time.monotonic() + _SECONDS
    while time.monotonic() < stop:
        start = time.perf_counter()
        request.infer()
        best = min(best, time.perf_counter() - start)
    return best


def _convolutions() -> Graph:
    ops = import_openvino().opset13
    image = ops.parameter(_SHAPE, np.float32)
    kernel = np.full((_SHAPE[1], _SHAPE[1], 3, 3), 1e-3, np.float32)
    found = image
    for _ in range(_NUM_LAYERS):
        found = ops.relu(ops.convolution(found, ops.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1]))
    return import_openvino().Model([found], [image], "convolutions")
