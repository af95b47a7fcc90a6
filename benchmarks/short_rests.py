"""Measure what a short rest does to the label of a video, for a Stream model whose clips start from an empty state.

    python -m benchmarks.short_rests a0-stream=FOLDER --videos VIDEO... --truth FILE --json short_rests.json

Each video of a known class is cut into windows of one clip and the longest rest. For each rest, three labels of the
window are compared with its class: that of the clip alone (`drop`), that of the mean of the scores of the clip and of
the rest as a short clip (`keep`), and that of the mean of the clip and a second one, moved back to end with the rest
(`shift_back`). One clip before the rest is the worst case: with more clips, the rest weighs less in the mean.

`--truth` names a file with the columns `file`, `label` and `also_acceptable`, whose labels are separated by `|`.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.clips import frames_at, named_models
from benchmarks.warm_up import final_answer
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.loading import load_stream_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels
from reelbeam.transforms.models.scores import to_scores

CLIP_FRAMES = (10, 25)
RESTS = (1, 2, 3, 5)


class Window(NamedTuple):
    """Frames [1, T, H, W, 3] of one clip and the longest rest, and the classes that are right for them."""

    frames: npt.NDArray[np.uint8]
    classes: frozenset[int]


@dataclasses.dataclass(frozen=True)
class Rest:
    """The labels of windows that end with a rest of some frames.

    Attributes:
      rest_alone, drop, keep, shift_back: the share of the windows whose label is right: from the rest alone, and for
        each treatment of the rest.
    """

    model: str
    target_fps: float
    clip_frames: int
    rest_frames: int
    windows: int
    videos: int
    rest_alone: float
    drop: float
    keep: float
    shift_back: float


def main() -> None:
    """Measures, prints the results and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="NAME[=FOLDER]")
    parser.add_argument("--videos", nargs="+", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    (spec,) = named_models([args.model])
    results = measure(spec, args.videos, args.truth)
    for found in results:
        print(found)
    if args.json:
        args.json.write_text(json.dumps(list(map(dataclasses.asdict, results)), indent=2) + "\n", encoding="utf-8")


def measure(spec: ModelSpec, videos: list[Path], truth: Path) -> list[Rest]:
    """Returns the labels for each length of the rest."""
    engine = load_stream_engine(spec, "openvino")
    results = []
    for clip_frames in CLIP_FRAMES:
        by_video = list(_windows(spec, clip_frames + max(RESTS), videos, _read_truth(truth)))
        windows = [window for of_video in by_video for window in of_video]
        for found in _measure_windows(engine, windows, clip_frames):
            results.append(Rest(spec.name, float(spec.preset.target_fps), clip_frames, videos=len(by_video), **found))
    return results


def _measure_windows(engine: StreamEngine, windows: list[Window], clip_frames: int) -> Iterator[dict[str, Any]]:
    """Yields the measured attributes of `Rest` for each length of the rest."""
    clips = [_scores(engine, window.frames[:, :clip_frames]) for window in windows]
    for rest_frames in RESTS:
        end = clip_frames + rest_frames
        rests = [_scores(engine, window.frames[:, clip_frames:end]) for window in windows]
        shifted = [_scores(engine, window.frames[:, rest_frames:end]) for window in windows]
        yield {
            "rest_frames": rest_frames,
            "windows": len(windows),
            "rest_alone": _share_right(rests, windows),
            "drop": _share_right(clips, windows),
            "keep": _share_right([a + b for a, b in zip(clips, rests, strict=True)], windows),
            "shift_back": _share_right([a + b for a, b in zip(clips, shifted, strict=True)], windows),
        }


def _windows(spec: ModelSpec, length: int, videos: list[Path], truth: dict[str, list[str]]) -> Iterator[list[Window]]:
    """Yields the windows of `length` frames of each video that is long enough and has a class."""
    numbers = {label: number for number, label in enumerate(LabelMap.load(resolve_labels(spec.labels)).labels)}
    for video in videos:
        classes = frozenset(numbers[label] for label in truth.get(video.name, []))
        frames = list(frames_at(video, spec.preset)) if classes else []
        starts = range(0, len(frames) - length + 1, length)
        if starts:
            yield [Window(np.stack(frames[start : start + length])[None], classes) for start in starts]


def _read_truth(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["file"]: [label for label in (row["label"], *row["also_acceptable"].split("|")) if label]
            for row in csv.DictReader(file)
            if row["label"]
        }


def _scores(engine: StreamEngine, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return to_scores(final_answer(engine, frames)[None], engine.output_activation)[0]


def _share_right(scores: list[npt.NDArray[np.float32]], windows: list[Window]) -> float:
    hits = [int(np.argmax(of_window)) in window.classes for of_window, window in zip(scores, windows, strict=True)]
    return sum(hits) / len(hits)


if __name__ == "__main__":
    main()
