"""Measure the overhead of the whole program over decoding and inference, and the speed-up by a second core.

    python -m benchmarks.label --model a0-base [--source VIDEO] [--videos 200] [--json FILE]

All parts are measured in one run on the same videos. CPU times include those of child processes:
    decode      probing and decoding every video, on one thread
    inference   the model on every clip, on one thread
    label       `reelbeam label` in its own process, on all cores: its CPU time, including start-up, relative to the sum
                of the other two, and its wall time relative to that of the same command on one core

The videos are copies of --source, or of a generated moving picture of 10 s, 340 x 256, 30 fps.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.clips import named_models
from reelbeam.transforms.media.decoding import decoder, probe
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.models.loading import load_engine
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="a0-base", metavar="NAME[=FOLDER]", help="a Base model; default a0-base")
    parser.add_argument("--source", type=pathlib.Path, metavar="VIDEO")
    parser.add_argument("--videos", type=int, default=200, metavar="N", help="default 200")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    (spec,) = named_models([args.model])
    with tempfile.TemporaryDirectory(prefix="reelbeam-label-") as scratch:
        videos = make_videos(pathlib.Path(scratch, "videos"), args.source, args.videos)
        result = measure(spec, videos, pathlib.Path(scratch))
    print_table(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def make_videos(folder: pathlib.Path, source: pathlib.Path | None, count: int) -> list[pathlib.Path]:
    """Returns `count` files with the same content."""
    folder.mkdir()
    if source is None:
        sys.path[:0] = [str(ROOT / "tests" / "support")]
        import data_generation as generate

        source = generate.make_video(
            folder.parent / "source.mp4", 300, 30, 340, 256, b_frames=3, gop=250, draw=generate.draw_moving
        )
    return [pathlib.Path(shutil.copy(source, folder / f"video_{number:05d}{source.suffix}")) for number in range(count)]


def measure(spec: ModelSpec, videos: Sequence[pathlib.Path], scratch: pathlib.Path) -> dict[str, Any]:
    """Returns the CPU-seconds and wall times of every part, and the ratios."""
    decode_seconds, inference_seconds, num_clips = alone(spec, videos)
    cores = sorted(os.sched_getaffinity(0))
    all_cpu, all_clock = label(spec, videos[0].parent, scratch / "all", cores)
    _, one_clock = label(spec, videos[0].parent, scratch / "one", cores[:1])
    return {
        "model": spec.name,
        "videos": len(videos),
        "clips": num_clips,
        "cores": len(cores),
        "decode_cpu_seconds": decode_seconds,
        "inference_cpu_seconds": inference_seconds,
        "label_cpu_seconds": all_cpu,
        "label_over_parts": all_cpu / (decode_seconds + inference_seconds),
        "label_seconds": all_clock,
        "label_seconds_on_one_core": one_clock,
        "speedup": one_clock / all_clock,
    }


def alone(spec: ModelSpec, videos: Sequence[pathlib.Path]) -> tuple[float, float, int]:
    """Returns the CPU-seconds of decoding and of inference, clip by clip, and the number of clips."""
    engine = load_engine(spec, "openvino", 1)
    engine.classify(np.zeros((1, spec.preset.num_frames, spec.preset.size, spec.preset.size, 3), np.uint8))
    decoding = inference = 0.0
    num_clips = 0
    for video in videos:
        start = time.process_time()
        clips = list(_decoded(spec, video))
        decoding += time.process_time() - start
        start = time.process_time()
        for clip in clips:
            engine.classify(clip[None])
        inference += time.process_time() - start
        num_clips += len(clips)
    return decoding, inference, num_clips


def _decoded(spec: ModelSpec, video: pathlib.Path) -> Iterator[np.ndarray]:
    preset = spec.preset
    media = probe.probe(str(video))
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(preset.num_frames, preset.target_fps))
    for _, frames in decoder.decode_clips(str(video), media, spans, Geometry(preset.resize, preset.size)):
        yield frames


def label(spec: ModelSpec, folder: pathlib.Path, output: pathlib.Path, cores: Sequence[int]) -> tuple[float, float]:
    """Runs the program on these cores. Returns its CPU-seconds, including its children's, and its wall time."""
    before, allowed = resource.getrusage(resource.RUSAGE_CHILDREN), os.sched_getaffinity(0)
    command = [sys.executable, "-m", "reelbeam", "label", "--model=demo", str(folder), "--output", str(output)]
    command += model_flags(spec)
    os.sched_setaffinity(0, cores)  # inherited by the child, which starts one thread per core
    try:
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        clock = time.monotonic() - start
    finally:
        os.sched_setaffinity(0, allowed)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock


def model_flags(spec: ModelSpec) -> list[str]:
    """Returns the flags for the model. A folder needs those of its preset."""
    if spec.handle == CATALOG[spec.name].handle:
        return ["--model", spec.name]
    preset = spec.preset
    flags = ["--model", spec.handle, "--labels", "kinetics-600", "--num_frames", str(preset.num_frames)]
    flags += ["--target_fps", str(preset.target_fps), "--resize", str(preset.resize), "--size", str(preset.size)]
    return flags


def print_table(result: dict[str, Any]) -> None:
    """Prints the results."""
    print(f"{result['videos']} videos, {result['clips']} clips, {result['model']}, {result['cores']} cores")
    print(f"decode alone        {result['decode_cpu_seconds']:8.1f} CPU s")
    print(f"inference alone     {result['inference_cpu_seconds']:8.1f} CPU s")
    print(f"reelbeam label      {result['label_cpu_seconds']:8.1f} CPU s = {result['label_over_parts']:.3f} of the sum")
    print(f"on all cores        {result['label_seconds']:8.1f} s")
    print(f"on one core         {result['label_seconds_on_one_core']:8.1f} s = {result['speedup']:.2f} times as long")


if __name__ == "__main__":
    main()
