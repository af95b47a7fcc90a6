"""Measure the time of a Base model by kind of layer, relative to the peak of one core.

    python -m benchmarks.layers a0-base=FOLDER [a2-base=FOLDER ...] [--json FILE]

The model runs one clip at a time on one thread, as in the engine. OpenVINO's counters give the time of each layer after
fusion. Operations are counted from the shapes of the convolutions. The peak is the rate of the same library on one core
for a large matrix product. Bytes are those of a layer's inputs, outputs and weights, the minimum of memory traffic.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clips import named_models
from reelbeam.transforms.models.engines import openvino_cache
from reelbeam.transforms.models.engines.openvino_engine import cpu_config, with_uint8_input
from reelbeam.transforms.models.engines.openvino_import import import_openvino
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import ModelSpec

_RUNS = 9


@dataclasses.dataclass
class Share:
    """The cost of the layers of one kind for one clip."""

    seconds: float = 0.0
    gigaops: float = 0.0
    gigabytes: float = 0.0
    layers: int = 0


def main() -> None:
    """Measures, prints one table per model and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    peak = peak_gigaops()
    print(f"peak of one core, float32: {peak:.0f} GFLOP/s in a matrix product")
    results: dict[str, Any] = {"peak_gflops": peak, "models": {}}
    for spec in named_models(args.models):
        shares = profile(spec)
        print_table(spec, shares, peak)
        results["models"][spec.name] = {kind: dataclasses.asdict(share) for kind, share in shares.items()}
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def peak_gigaops(size: int = 1536) -> float:
    """Returns the GFLOP/s of one core in a product of two square matrices."""
    openvino = import_openvino()
    ops = openvino.opset13

    left, right = (ops.parameter([size, size], np.float32) for _ in range(2))
    model = openvino.Model([ops.matmul(left, right, False, False)], [left, right])
    request = openvino.Core().compile_model(model, "CPU", cpu_config(1)).create_infer_request()
    matrix = np.ones((size, size), np.float32)
    seconds = []
    for _ in range(_RUNS):
        start = time.process_time()
        request.infer([matrix, matrix])
        seconds.append(time.process_time() - start)
    return 2 * size**3 / min(seconds) / 1e9


def profile(spec: ModelSpec) -> dict[str, Share]:
    """Returns the cost of each kind of layer, the most expensive first."""
    openvino = import_openvino()
    core = openvino.Core()
    model = openvino_cache.read_converted(core, resolver.resolve(spec.handle))[openvino_cache.MODEL]
    shape = [1, spec.preset.num_frames, spec.preset.size, spec.preset.size, 3]
    model.reshape(shape)
    compiled = core.compile_model(with_uint8_input(model), "CPU", {**cpu_config(1), "PERF_COUNT": True})
    request = compiled.create_infer_request()
    clip = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(_RUNS):
        request.infer([clip])
        for layer in request.profiling_info:
            times[layer.node_name].append(layer.real_time.total_seconds())
    shares: dict[str, Share] = collections.defaultdict(Share)
    for node in compiled.get_runtime_model().get_ordered_ops():
        seconds = statistics.median(times.get(node.get_friendly_name(), [0.0]))
        share = shares[_kind(node)]
        share.seconds += seconds
        share.gigaops += _operations(node) / 1e9
        share.gigabytes += _bytes(node) / 1e9 if seconds else 0
        share.layers += bool(seconds)
    used = {kind: share for kind, share in shares.items() if share.seconds}
    return dict(sorted(used.items(), key=lambda item: -item[1].seconds))


def _kind(node: Any) -> str:
    facts = node.get_rt_info()
    if facts["layerType"].value != "Convolution":
        return str(facts["layerType"].value).lower()
    kernel = "x".join(str(n) for n in _weights(node)[-3:])
    if "_dw" in facts["primitiveType"].value:
        return f"depthwise {kernel}"
    return "pointwise" if kernel == "1x1x1" else f"full {kernel}"


def _weights(convolution: Any) -> list[int]:
    """Returns [outputs, inputs of an output, time, height, width]."""
    return list(convolution.input(1).get_shape())


def _operations(node: Any) -> int:
    """Returns the number of operations: a multiplication and an addition for each weight of each output."""
    if node.get_rt_info()["layerType"].value != "Convolution":
        return 0
    return 2 * int(np.prod(node.output(0).get_shape())) * int(np.prod(_weights(node)[1:]))


def _bytes(node: Any) -> int:
    ports = [*node.inputs(), *node.outputs()]
    return sum(int(np.prod(port.get_shape())) * port.get_element_type().size for port in ports)


def print_table(spec: ModelSpec, shares: dict[str, Share], peak: float) -> None:
    """Prints the kinds of layers of one model."""
    total = sum(share.seconds for share in shares.values())
    print(f"\n{spec.name}: {total * 1000:.1f} ms in layers a clip")
    print("| layers | number | ms | share | GFLOP | GFLOP/s | of the peak | GB/s |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, share in shares.items():
        rate = share.gigaops / share.seconds
        print(
            f"| {kind} | {share.layers} | {share.seconds * 1000:.1f} | {share.seconds / total:.0%} "
            f"| {share.gigaops:.3f} | {rate:.1f} | {rate / peak:.0%} | {share.gigabytes / share.seconds:.1f} |"
        )


if __name__ == "__main__":
    main()
