"""Measure the warm-up that a Stream model needs when it starts in the middle of a video.

    python -m benchmarks.warm_up a0-stream=FOLDER --videos VIDEO... --json benchmarks/results/warm_up.json

At several places of each video, the results for a clip are compared: those of an unbroken pass from the video's start,
and those of passes that start from zeros some seconds before the clip.

The state of these models has two parts. Buffers of causal convolutions hold the last frames and are full after a few
seconds. Averages (squeeze-and-excitation, and the one before the classifier) are running means over all frames since
the start of the state. An unbroken pass keeps all frames in them, which only a warm-up over the whole video can
reproduce. So most of the measured difference is caused by the content of the video's beginning, not by a lack of
convergence. `--recent` separates this part: it compares with a pass that starts `--recent` seconds before the clip.

`--scenes VIDEO...` joins scenes of short videos in random order to a film that changes every few seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.clips import frames_at, named_models
from reelbeam.transforms.models.engines.stream import State, StreamEngine
from reelbeam.transforms.models.loading import load_stream_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset

WARM_UPS = (0, 2, 5, 10, 20, 40)
_FILM_SECONDS = 180
_Logits = npt.NDArray[np.float32]
_Film = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The differences between passes with a warm-up and a reference.

    Attributes:
      reference: "unbroken", or the seconds of warm-up of the pass that is compared with.
      relative_difference: root mean square of the logits' differences, divided by the deviation of a clip's logits.
      same_top1, same_top5: share of the clips with the same best class, the same set of five.
    """

    model: str
    reference: str
    warm_up_seconds: int
    clips: int
    relative_difference: float
    same_top1: float
    same_top5: float


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--videos", nargs="*", type=Path, default=[])
    parser.add_argument("--scenes", nargs="*", type=Path, default=[])
    parser.add_argument("--recent", type=int, default=40, help="warm-up of the second reference in seconds; default 40")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print("| model | compared with | warm-up s | clips | logit difference / deviation | same top-1 | same top-5 |")
    print("|---|---|---|---|---|---|---|")
    results = []
    for spec in named_models(args.models):
        for found in measure(spec, list(films(spec.preset, args.videos, args.scenes)), args.recent):
            results.append(dataclasses.asdict(found))
            print(row(found), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def row(found: Agreement) -> str:
    """Returns a line of the table."""
    return (
        f"| {found.model} | {found.reference} | {found.warm_up_seconds} | {found.clips} "
        f"| {found.relative_difference:.3f} | {found.same_top1:.0%} | {found.same_top5:.0%} |"
    )


def films(preset: Preset, videos: list[Path], scenes: list[Path]) -> Iterator[_Film]:
    """Yields the frames of each video, and of the film made of scenes."""
    for video in videos:
        yield np.stack(list(frames_at(video, preset)))
    if scenes:
        shots = [np.stack(list(frames_at(scene, preset))) for scene in scenes]
        order = np.random.default_rng(2021).integers(0, len(shots), 1000)
        film: list[npt.NDArray[np.uint8]] = []
        while sum(map(len, film)) < _FILM_SECONDS * preset.target_fps:
            film.append(shots[order[len(film)]])
        yield np.concatenate(film)


def measure(spec: ModelSpec, videos: list[_Film], recent: int) -> list[Agreement]:
    """Returns the results of each warm-up, for clips with enough video before them for the longest warm-up."""
    engine = load_stream_engine(spec, "openvino")
    unbroken: list[_Logits] = []
    warmed_up: dict[int, list[_Logits]] = {seconds: [] for seconds in sorted({*WARM_UPS, recent})}
    for video in videos:
        frames = video[None]
        first = -(-max(warmed_up) // int(spec.preset.clip_seconds))
        chunks = spec.preset.num_frames // engine.chunk_frames
        answers = watch(engine, frames)[chunks - 1 :: chunks]
        for index in range(first, len(video) // spec.preset.num_frames):
            unbroken.append(answers[index])
            end = (index + 1) * spec.preset.num_frames
            for seconds, logits in warmed_up.items():
                start = end - spec.preset.num_frames - int(seconds * spec.preset.target_fps)
                logits.append(final_answer(engine, frames[:, start:end]))
    references = {"unbroken": unbroken, str(recent): warmed_up[recent]}
    return [
        compare(spec.name, name, reference, seconds, warmed_up[seconds])
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


def final_answer(engine: StreamEngine, frames: npt.NDArray[np.uint8]) -> _Logits:
    """Returns the logits after all frames, starting from zeros."""
    return watch(engine, frames)[-1]


def compare(model: str, name: str, reference: list[_Logits], seconds: int, warmed_up: list[_Logits]) -> Agreement:
    """Returns the differences between logits and their references."""
    wanted, found = np.stack(reference), np.stack(warmed_up)
    best, best_found = np.argsort(-wanted)[:, :5], np.argsort(-found)[:, :5]
    return Agreement(
        model=model,
        reference=name,
        warm_up_seconds=seconds,
        clips=len(wanted),
        relative_difference=float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std(axis=1).mean()),
        same_top1=float(np.mean(best[:, 0] == best_found[:, 0])),
        same_top5=float(np.mean([set(a) == set(b) for a, b in zip(best, best_found, strict=True)])),
    )


if __name__ == "__main__":
    main()
