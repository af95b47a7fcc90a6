"""Compare the results of OpenVINO and TensorFlow on real frames, for every available model.

    REELBEAM_OFFICIAL_MODELS=FOLDER python -m benchmarks.parity VIDEO... --json benchmarks/results/parity.json

FOLDER holds a0-base ... a5-stream. Pictures have the size of the model's preset. TensorFlow takes minutes for a clip of
a large model; `--frames` reduces the number of frames. Stream models get their frames in two calls, so that states are
carried over. Results are written after each model, and later calls with the same file add to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.clips import real_clips
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.models.engine import EngineName
from reelbeam.transforms.models.loading import load_engine, load_stream_engine
from reelbeam.transforms.models.registry import catalog
from reelbeam.transforms.models.registry.catalog import ModelSpec

_FOLDERS = "REELBEAM_OFFICIAL_MODELS"


@dataclasses.dataclass(frozen=True)
class Parity:
    """The differences between OpenVINO's and TensorFlow's logits."""

    model: str
    clips: int
    frames: int
    size: int
    largest_logit_difference: float
    logit_deviation: float
    same_top5: bool


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--models", nargs="*", default=[name for name in catalog.CATALOG if name != "demo"])
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--frames", type=int, help="frames of a clip; default: that of the model's preset")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    folders = Path(os.environ.get(_FOLDERS) or sys.exit(f"{_FOLDERS} names no folder with a0-base ... a5-stream"))
    found = {row["model"]: Parity(**row) for row in _read(args.json)}
    print("| model | clips | frames | size | largest logit difference | deviation of the logits | same top-5 |")
    print("|---|---|---|---|---|---|---|")
    for name in args.models:
        if not (folders / name).is_dir():
            continue
        spec = dataclasses.replace(catalog.find(name), handle=str(folders / name))
        if args.frames:
            preset = dataclasses.replace(spec.preset, num_frames=args.frames)
            spec = dataclasses.replace(spec, preset=preset)
        found[name] = measure(spec, real_clips(args.videos, spec.preset, args.clips))
        print(row(found[name]), flush=True)
        if args.json:
            rows = [dataclasses.asdict(found[name]) for name in catalog.CATALOG if name in found]
            args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _read(path: Path | None) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else []


def row(found: Parity) -> str:
    """Returns a line of the table."""
    return (
        f"| {found.model} | {found.clips} | {found.frames} | {found.size} | {found.largest_logit_difference:.1e} "
        f"| {found.logit_deviation:.2g} | {'yes' if found.same_top5 else 'NO'} |"
    )


def measure(spec: ModelSpec, clips: npt.NDArray[np.uint8]) -> Parity:
    """Runs one model over the clips with both engines."""
    ours, theirs = (classify(spec, engine, clips) for engine in ("openvino", "tensorflow"))
    best, reference = (np.argsort(-logits)[:, :5] for logits in (ours, theirs))
    return Parity(
        model=spec.name,
        clips=len(clips),
        frames=clips.shape[1],
        size=clips.shape[2],
        largest_logit_difference=float(np.abs(ours - theirs).max()),
        logit_deviation=float(theirs.std()),
        same_top5=bool((best == reference).all()),
    )


def classify(spec: ModelSpec, engine: EngineName, clips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Returns logits [N, C]. For a Stream model, they are those after the last frame, with two calls."""
    if spec.kind == "base":
        base = load_engine(spec, engine, cpu_count())
        return np.concatenate([base.classify(clip[None]) for clip in clips])
    stream = load_stream_engine(spec, engine, cpu_count())
    answers = []
    for clip in clips:
        middle = len(clip) // 2
        _, states = stream.classify_next([stream.initial_state()], clip[None, :middle])
        answers.append(stream.classify_next(states, clip[None, middle:])[0])
    return np.concatenate(answers)


if __name__ == "__main__":
    main()
