"""Measure what a Stream model makes of a clip alone, after a warm-up, and in an unbroken pass from the video's start.

    python -m benchmarks.warm_up a0-stream=FOLDER --videos VIDEO... --json benchmarks/results/warm_up.json

At several places of each video, the results for a clip are compared: those of an unbroken pass from the video's start,
and those of passes that start from zeros some seconds before the clip. A warm-up of 0 s is the clip alone, as the
program treats it by default. One more entry is for segments of 90 s with the default warm-up before each, as with
`--carry_state`.

The state of these models has two parts. Buffers of causal convolutions hold the last frames and are full after a few
seconds. Averages (squeeze-and-excitation, and the one before the classifier) are running means over all frames since
the start of the state. An unbroken pass keeps all frames in them, which only a warm-up over the whole video can
reproduce. So most of the measured difference is caused by the content of the video's beginning, not by a lack of
convergence. `--recent` separates this part: it compares with a pass that starts `--recent` seconds before the clip.

`--scenes VIDEO...` joins scenes of short videos in random order to a film that changes every few seconds. `--truth`
names their classes in a file with the columns `file` and `label`. Then it counts the clips whose best class is that of
a scene in the clip, which needs real weights.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.clips import frames_at, named_models
from reelbeam.transforms.media.sampling.clip_sampling import DEFAULT_WARM_UP_SECONDS
from reelbeam.transforms.models.engines.stream import State, StreamEngine
from reelbeam.transforms.models.loading import load_stream_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels

WARM_UPS = (0, 2, 5, 10, 20, 40)
_SEGMENT_SECONDS = 90
_FILM_SECONDS = 600
_Logits = npt.NDArray[np.float32]


class Film(NamedTuple):
    """Frames [T, H, W, 3], and the label of each; an empty one if it is not known, or none of the classes."""

    frames: npt.NDArray[np.uint8]
    labels: list[str]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The differences between passes with a warm-up and a reference.

    Attributes:
      reference: "unbroken", or the seconds of warm-up of the pass that is compared with.
      warm_up_seconds: the warm-up before each clip, or before each segment.
      segment_seconds: the length of segments whose clips continue each other; None: each clip has its own pass.
      relative_difference: root mean square of the logits' differences, divided by the deviation of a clip's logits.
      same_top1, same_top5: share of the clips with the same best class, the same set of five.
      right, reference_right: share of the `clips_with_class` clips whose best class is that of a scene in the clip,
        with the warm-up and in the reference. None without truth.
    """

    model: str
    reference: str
    warm_up_seconds: int
    clips: int
    relative_difference: float
    same_top1: float
    same_top5: float
    right: float | None
    reference_right: float | None
    clips_with_class: int
    segment_seconds: int | None = None


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--videos", nargs="*", type=Path, default=[])
    parser.add_argument("--scenes", nargs="*", type=Path, default=[])
    parser.add_argument("--truth", type=Path, help="the classes of the scenes: a .csv file")
    parser.add_argument("--recent", type=int, default=40, help="warm-up of the second reference in seconds; default 40")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print(
        "| model | compared with | warm-up s | clips | logit difference / deviation | same top-1 | same top-5 | right |"
    )
    print("|---|---|---|---|---|---|---|---|")
    results = []
    for spec in named_models(args.models):
        for found in measure(spec, list(films(spec.preset, args.videos, args.scenes, args.truth)), args.recent):
            results.append(dataclasses.asdict(found))
            print(row(found), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def row(found: Agreement) -> str:
    """Returns a line of the table."""
    return (
        f"| {found.model} | {found.reference} | {found.warm_up_seconds}{_segments(found)} | {found.clips} "
        f"| {found.relative_difference:.3f} | {found.same_top1:.0%} | {found.same_top5:.0%} "
        f"| {found.right} ({found.reference_right}) |"
    )


def _segments(found: Agreement) -> str:
    return f" before segments of {found.segment_seconds}" if found.segment_seconds else ""


def films(preset: Preset, videos: list[Path], scenes: list[Path], truth: Path | None) -> Iterator[Film]:
    """Yields each video, and the film made of scenes."""
    for video in videos:
        frames = np.stack(list(frames_at(video, preset)))
        yield Film(frames, [""] * len(frames))
    if scenes:
        right = _read_truth(truth) if truth else {}
        shots = [np.stack(list(frames_at(scene, preset))) for scene in scenes]
        order = np.random.default_rng(2021).integers(0, len(shots), 1000)
        film: list[npt.NDArray[np.uint8]] = []
        labels: list[str] = []
        while len(labels) < _FILM_SECONDS * preset.target_fps:
            number = order[len(film)]
            film.append(shots[number])
            labels += [right.get(scenes[number].name, "")] * len(film[-1])
        yield Film(np.concatenate(film), labels)


def _read_truth(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["label"] for row in csv.DictReader(file)}


def measure(spec: ModelSpec, films: list[Film], recent: int) -> list[Agreement]:
    """Returns the results of each warm-up, for clips with enough video before them for the longest warm-up."""
    engine = load_stream_engine(spec, "openvino")
    unbroken: list[_Logits] = []
    warmed_up: dict[int, list[_Logits]] = {seconds: [] for seconds in sorted({*WARM_UPS, recent})}
    classes = {label: number for number, label in enumerate(LabelMap.load(resolve_labels(spec.labels)).labels)}
    in_segments: list[_Logits] = []
    right: list[set[int]] = []
    for film in films:
        frames = film.frames[None]
        first = -(-max(warmed_up) // int(spec.preset.clip_seconds))
        chunks = spec.preset.num_frames // engine.chunk_frames
        answers = watch(engine, frames)[chunks - 1 :: chunks]
        in_segments += carried(engine, frames, spec.preset)[first:]
        for index in range(first, len(film.labels) // spec.preset.num_frames):
            unbroken.append(answers[index])
            end = (index + 1) * spec.preset.num_frames
            right.append({classes[label] for label in film.labels[end - spec.preset.num_frames : end] if label})
            for seconds, logits in warmed_up.items():
                start = end - spec.preset.num_frames - int(seconds * spec.preset.target_fps)
                logits.append(final_answer(engine, frames[:, start:end]))
    references = {"unbroken": unbroken, str(recent): warmed_up[recent]}
    as_run = compare((spec.name, "unbroken", int(DEFAULT_WARM_UP_SECONDS)), unbroken, in_segments, right)
    return [dataclasses.replace(as_run, segment_seconds=_SEGMENT_SECONDS)] + [
        compare((spec.name, name, seconds), reference, warmed_up[seconds], right)
        for name, reference in references.items()
        for seconds in WARM_UPS
        if str(seconds) != name
    ]


def watch(engine: StreamEngine, frames: npt.NDArray[np.uint8]) -> list[_Logits]:
    """Returns the logits after each chunk of an unbroken pass over frames [1, T, H, W, 3]."""
    answers: list[_Logits] = []
    states: list[State] = [engine.initial_state()]
    for start in range(0, frames.shape[1], engine.chunk_frames):
        logits, states = engine.classify_next(states, frames[:, start : start + engine.chunk_frames])
        answers.append(logits[0])
    return answers


def carried(engine: StreamEngine, frames: npt.NDArray[np.uint8], preset: Preset) -> list[_Logits]:
    """Returns the logits after each whole clip of frames [1, T, H, W, 3], in segments with the default warm-up."""
    length, num_clips = preset.num_frames, frames.shape[1] // preset.num_frames
    clips_per_segment = int(_SEGMENT_SECONDS / preset.clip_seconds)
    answers: list[_Logits] = []
    for first in range(0, num_clips, clips_per_segment):
        start = max(first * length - int(DEFAULT_WARM_UP_SECONDS * preset.target_fps), 0)
        stop = min(first + clips_per_segment, num_clips) * length
        chunks = length // engine.chunk_frames
        answers += watch(engine, frames[:, start:stop])[chunks - 1 :: chunks][(first * length - start) // length :]
    return answers


def final_answer(engine: StreamEngine, frames: npt.NDArray[np.uint8]) -> _Logits:
    """Returns the logits after all frames, starting from zeros."""
    return watch(engine, frames)[-1]


def compare(
    what: tuple[str, str, int], reference: list[_Logits], warmed_up: list[_Logits], right: list[set[int]]
) -> Agreement:
    """Returns the differences between logits and their references.

    Args:
      what: the model, the name of the reference, and the seconds of warm-up.
      reference: the logits of the reference, for each clip.
      warmed_up: those after the warm-up.
      right: the classes that each clip shows.
    """
    wanted, found = np.stack(reference), np.stack(warmed_up)
    best, best_found = np.argsort(-wanted)[:, :5], np.argsort(-found)[:, :5]
    return Agreement(
        *what,
        clips=len(wanted),
        relative_difference=float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std(axis=1).mean()),
        same_top1=float(np.mean(best[:, 0] == best_found[:, 0])),
        same_top5=float(np.mean([set(a) == set(b) for a, b in zip(best, best_found, strict=True)])),
        right=_share_right(best_found[:, 0].tolist(), right),
        reference_right=_share_right(best[:, 0].tolist(), right),
        clips_with_class=sum(map(bool, right)),
    )


def _share_right(best: list[int], right: list[set[int]]) -> float | None:
    hits = [label in classes for label, classes in zip(best, right, strict=True) if classes]
    return sum(hits) / len(hits) if hits else None


if __name__ == "__main__":
    main()
