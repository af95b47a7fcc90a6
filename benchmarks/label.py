"""What the whole program costs above its two heavy parts, and what a second core brings.

    python -m benchmarks.label --model a0-base [--source VIDEO] [--videos 200] [--json FILE]

Measured in one run, on the same videos, all CPU times with the children's:
    decode      probing and decoding every video, on one thread, nothing else
    inference   the model on every clip of them, on one thread, nothing else
    label       `reelbeam label` in a process of its own, on all cores: its CPU time, start-up included, over the sum of
                the two; its time on the clock over that of the same command on one core

Videos are copies of --source, 10 s each if it is; without it, a generated moving picture of 340 x 256 at 30 fps.
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
from reelbeam.transforms.media.sampling.clips import ClipSampling, plan_clip_spans
from reelbeam.transforms.models.engine import load_engine
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
    """Returns `count` files of their own with the same content."""
    folder.mkdir()
    if source is None:
        sys.path[:0] = [str(ROOT / "tests")]
        import data_generation as generate

        source = generate.make_video(
            folder.parent / "source.mp4", 300, 30, 340, 256, b_frames=3, gop=250, draw=generate.draw_moving
        )
    return [pathlib.Path(shutil.copy(source, folder / f"video_{number:05d}{source.suffix}")) for number in range(count)]


def measure(spec: ModelSpec, videos: Sequence[pathlib.Path], scratch: pathlib.Path) -> dict[str, Any]:
    """Returns CPU seconds and times of every part, and the ratios."""
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
    """Returns CPU seconds of decoding, those of inference, and the clips; one after the other, clip by clip."""
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
    """Runs the program on these cores; returns its CPU seconds, its children's included, and its time on the clock."""
    before, allowed = resource.getrusage(resource.RUSAGE_CHILDREN), os.sched_getaffinity(0)
    command = [sys.executable, "-m", "reelbeam", "label", "--model=demo", str(folder), "--output", str(output)]
    command += model_flags(spec)
    os.sched_setaffinity(0, cores)  # handed down to the child, which starts a thread for each core that it may use
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
    """Returns the flags that name the model: a folder comes without a preset."""
    if spec.handle == CATALOG[spec.name].handle:
        return ["--model", spec.name]
    preset = spec.preset
    flags = ["--model", spec.handle, "--labels", "kinetics-600", "--num_frames", str(preset.num_frames)]
    flags += ["--target_fps", str(preset.target_fps), "--resize", str(preset.resize), "--size", str(preset.size)]
    return flags


def print_table(result: dict[str, Any]) -> None:
    """Prints what was measured."""
    print(f"{result['videos']} videos, {result['clips']} clips, {result['model']}, {result['cores']} cores")
    print(f"decode alone        {result['decode_cpu_seconds']:8.1f} CPU s")
    print(f"inference alone     {result['inference_cpu_seconds']:8.1f} CPU s")
    print(f"reelbeam label      {result['label_cpu_seconds']:8.1f} CPU s = {result['label_over_parts']:.3f} of the sum")
    print(f"on all cores        {result['label_seconds']:8.1f} s")
    print(f"on one core         {result['label_seconds_on_one_core']:8.1f} s = {result['speedup']:.2f} times as long")


if __name__ == "__main__":
    main()
