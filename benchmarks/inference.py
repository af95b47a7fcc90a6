"""Measure the cost of a clip: our engines, OpenVINO's benchmark_app on the same converted model, and TensorFlow.

    python -m benchmarks.inference a0-base a0-stream=FOLDER --tensorflow --json inference.json
    python -m benchmarks.inference a0-base --batches          time and memory of larger batches

Results are CPU-seconds of one thread, so other load on the machine has little effect. Our engine and benchmark_app
alternate. A clip of a Stream model has as many frames as that of the Base model of its size, in chunks. TensorFlow,
which takes minutes for larger models, runs only with --tensorflow. Results are written after each model, and later
calls with the same file add to it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.clips import named_models
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.models.engine import EngineName
from reelbeam.transforms.models.engines.openvino_import import import_openvino
from reelbeam.transforms.models.export import export
from reelbeam.transforms.models.loading import load_engine, load_stream_engine
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels
from reelbeam.transforms.models.registry.resolver import resolve

_APP_SECONDS = 6.0
_Classify = Callable[[npt.NDArray[np.uint8]], object]


@dataclass(frozen=True)
class Cost:
    """The CPU-seconds of a clip; None if not measured, or if the noise of starting the program is larger."""

    model: str
    openvino: float
    benchmark_app: float | None
    tensorflow: float | None
    clips_per_second: float


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--runs", type=int, default=9, help="number of measured clips; default 9")
    parser.add_argument("--tensorflow", action="store_true", help="time TensorFlow too")
    parser.add_argument("--batches", action="store_true", help="compare batches of 1, 2, 4 and 8 clips instead")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.batches:
        compare_batches(list(named_models(args.models)), args.runs, args.json)
        return
    print("| model | CPU s a clip | benchmark_app | ours / its | TensorFlow | its / ours | clips/s, all cores |")
    print("|---|---|---|---|---|---|---|")
    found = {entry["model"]: entry for entry in _read(args.json)}
    for spec in named_models(args.models):
        cost = measure(spec, args.runs, args.tensorflow)
        found[spec.name] = asdict(cost)
        print(row(cost), flush=True)
        if args.json:
            costs = [found[name] for name in CATALOG if name in found]
            args.json.write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")


def _read(path: Path | None) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else []


def compare_batches(specs: list[ModelSpec], runs: int, target: Path | None) -> None:
    """Prints the cost of clips in batches of several sizes, in one thread as in the pipeline."""
    print("| model | clips a batch | CPU s a clip | resident MB |\n|---|---|---|---|")
    costs = []
    for spec in specs:
        preset = spec.preset
        shape = (preset.num_frames, preset.size, preset.size, 3)
        frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        run = classifier(spec, "openvino", 1)
        for size in (1, 2, 4, 8):
            batches = [[frames.copy() for _ in range(size)] for _ in range(max(1, -(-runs // size)))]
            run(np.stack(batches[0]))
            seconds = []
            for clips in batches:
                start = time.process_time()
                run(np.stack(clips))
                seconds.append((time.process_time() - start) / size)
            del batches[1:]
            cost = {"model": spec.name, "clips": size, "cpu_seconds": min(seconds), "resident_mb": _resident_mb()}
            costs.append(cost)
            print(f"| {spec.name} | {size} | {min(seconds):.4f} | {cost['resident_mb']:.0f} |", flush=True)
    if target:
        target.write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def row(cost: Cost) -> str:
    """Returns a line of the table."""
    theirs = (
        ("", "") if cost.tensorflow is None else (f"{cost.tensorflow:.2f}", f"{cost.tensorflow / cost.openvino:.0f}")
    )
    its = cost.benchmark_app
    compared = ("", "") if its is None else (f"{its:.4f}", f"{cost.openvino / its:.2f}")
    return (
        f"| {cost.model} | {cost.openvino:.4f} | {compared[0]} | {compared[1]} "
        f"| {theirs[0]} | {theirs[1]} | {cost.clips_per_second:.2f} |"
    )


def measure(spec: ModelSpec, runs: int, tensorflow: bool) -> Cost:
    """Returns the cost of a model. Our engine and benchmark_app alternate, so that other load affects both."""
    clip = np.random.default_rng(1).integers(
        0, 256, (1, spec.preset.num_frames, spec.preset.size, spec.preset.size, 3), dtype=np.uint8
    )
    ours = classifier(spec, "openvino", 1)
    ours(clip)
    mine, its = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export(spec, resolve(spec.handle), LabelMap.load(resolve_labels(spec.labels)), folder)
        for _ in range(3):
            mine += [cpu_seconds(ours, clip) for _ in range(max(1, runs // 3))]
            # Its start takes seconds and varies by tenths of seconds, so enough clips are needed.
            its.append(benchmark_app_seconds(spec, folder, max(1, runs // 3, math.ceil(_APP_SECONDS / fastest(mine)))))
    theirs = None
    if tensorflow:
        run = classifier(spec, "tensorflow", cpu_count())
        run(clip)
        theirs = cpu_seconds(run, clip)
    app = float(np.median(its))
    return Cost(spec.name, float(np.median(mine)), app if app > 0 else None, theirs, throughput(spec, clip, runs))


def classifier(spec: ModelSpec, engine: EngineName, num_threads: int) -> _Classify:
    """Returns a function that runs a clip through the model."""
    if spec.kind == "base":
        return load_engine(spec, engine, num_threads).classify
    stream = load_stream_engine(spec, engine, num_threads)
    return lambda clips: stream.classify_next([stream.initial_state()] * len(clips), clips)


def cpu_seconds(run: _Classify, clip: npt.NDArray[np.uint8]) -> float:
    """Returns the CPU time of one run, of all threads together."""
    start = time.process_time()
    run(clip)
    return time.process_time() - start


def fastest(seconds: list[float]) -> float:
    """Returns the mean of the fastest third."""
    return float(np.mean(sorted(seconds)[: max(1, len(seconds) // 3)]))


def throughput(spec: ModelSpec, clip: npt.NDArray[np.uint8], runs: int) -> float:
    """Returns clips per second of the clock with a thread for each core."""
    cores = cpu_count()
    run = classifier(spec, "openvino", cores)
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        list(pool.map(run, [clip] * cores))
        start = time.monotonic()
        list(pool.map(run, [clip] * runs * cores))
    return runs * cores / (time.monotonic() - start)


def benchmark_app_seconds(spec: ModelSpec, folder: Path, runs: int) -> float:
    """Returns benchmark_app's CPU-seconds per clip, from the difference of two runs, which excludes its start."""
    flags, runs_of_a_clip = benchmark_app_flags(spec, folder)
    few, many = (_child_cpu_seconds([*flags, "-niter", str(n * runs_of_a_clip)]) for n in (1, 1 + runs))
    return (many - few) / runs


def benchmark_app_flags(spec: ModelSpec, folder: Path) -> tuple[list[str], int]:
    """Returns flags with which benchmark_app does the same as our engine, and its number of runs per clip."""
    shapes, runs_of_a_clip, image = _shapes(spec, folder)
    flags = ["-m", str(folder / "model.xml"), "-d", "CPU", "-hint", "none", "-api", "sync", "-infer_precision", "f32"]
    flags += ["-nstreams", "1", "-nthreads", "1", "-pin", "NO", "-inference_only", "False"]
    flags += ["-shape", ",".join(f"{name}[{','.join(map(str, shape))}]" for name, shape in shapes.items())]
    return [*flags, "-iop", f"{image}:u8"], runs_of_a_clip


def _shapes(spec: ModelSpec, folder: Path) -> tuple[dict[str, Any], int, str]:
    from reelbeam.transforms.models.engines.stream import find_stream_signatures
    from reelbeam.transforms.models.registry.manifest import read_manifest

    preset = spec.preset
    exported = read_manifest(folder).to_spec(folder)
    if spec.kind == "base":
        openvino = import_openvino()
        (image,) = openvino.Core().read_model(folder / "model.xml").inputs
        name = image.get_any_name()
        return {name: (1, preset.num_frames, preset.size, preset.size, 3)}, 1, name
    engine = load_stream_engine(exported, "openvino", 1)
    image_name = find_stream_signatures(folder, preset).image.name
    shapes = {name: state.shape for name, state in engine.initial_state().tensors.items()}
    shapes[image_name] = (1, engine.chunk_frames, preset.size, preset.size, 3)
    return shapes, preset.num_frames // engine.chunk_frames, image_name


def _child_cpu_seconds(flags: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "from openvino.tools.benchmark.main import main; main()", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"benchmark_app failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
