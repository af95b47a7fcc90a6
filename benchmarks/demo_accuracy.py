"""Measure the accuracy of the whole pipeline: listing, decoding, sampling, model, Parquet.

    python -m benchmarks.demo_accuracy --json demo_accuracy.json

Held-out videos with known labels are rendered in many sizes and frame rates and labeled by the command line. The labels
are motions. Some of them reverse if frames are sampled at wrong times, so a defect in the sampling, and not only in the
model, lowers the accuracy at some frame rates. All other flags are passed to the pipeline.
"""

import argparse
import concurrent.futures
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq

from tools import motions

RATES = (Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60))
SIZES = (
    (160, 120),
    (192, 144),
    (240, 240),
    (256, 144),
    (320, 240),
    (426, 240),
    (480, 360),
    (640, 360),
    (144, 256),
    (180, 320),
    (240, 320),
    (360, 480),
)


@dataclass(frozen=True)
class Video:
    """A video to label, and its true properties."""

    name: str
    label: str
    rate: float
    width: int
    height: int
    duration_seconds: float


@dataclass(frozen=True)
class Outcome:
    """A video, and the pipeline's result."""

    video: Video
    top_label: str | None
    top_score: float | None
    status: str

    @property
    def is_right(self) -> bool:
        """Whether the top label is the true one."""
        return self.top_label == self.video.label


def make_videos(folder: Path, count: int, seed: int) -> list[Video]:
    """Renders the videos. Labels and frame rates are evenly distributed, all other properties are random."""
    with concurrent.futures.ProcessPoolExecutor() as pool:
        return list(pool.map(make_video, [folder] * count, [seed] * count, range(count)))


def make_video(folder: Path, seed: int, index: int) -> Video:
    """Renders one video, which depends only on the seed and its index."""
    rng = np.random.default_rng([seed, index])
    label = motions.LABELS[index % len(motions.LABELS)]
    rate = RATES[index // len(motions.LABELS) % len(RATES)]
    width, height = SIZES[rng.integers(len(SIZES))]
    num_frames = round(rng.uniform(3, 6) * rate)
    duration = float(num_frames / rate)
    scene = motions.draw_scene(rng, label, duration)
    frames = (motions.render(scene, float(k / rate), width, height) for k in range(num_frames))
    options = {"crf": str(rng.integers(18, 31)), "preset": "veryfast"} | motions.STEADY_X264
    video = Video(f"{index:04}.mp4", label, round(float(rate), 2), width, height, duration)
    motions.write_video(folder / video.name, frames, rate, options=options)
    return video


def label_videos(folder: Path, output: Path, flags: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Runs the pipeline over a folder. Returns its rows by the names of the videos."""
    command = [sys.executable, "-m", "reelbeam", "label", str(folder), "--model", "demo", "--output", str(output)]
    subprocess.run([*command, *flags], check=True)
    columns = ["video_uri", "top_label", "top_score", "status"]
    files = sorted(output.glob("videos/run=*/*.parquet"))
    # One file at a time: a reader of the folder would add a column for `run=`.
    rows = [row for file in files for row in pq.ParquetFile(file).read(columns=columns).to_pylist()]
    return {unquote(row["video_uri"]).rsplit("/", 1)[-1]: row for row in rows}


def compare(videos: Iterable[Video], rows: dict[str, dict[str, Any]]) -> list[Outcome]:
    """Compares the pipeline's rows with the true labels. A video without a row counts as wrong."""
    nothing = {"top_label": None, "top_score": None, "status": "no row"}
    found = ((video, rows.get(video.name, nothing)) for video in videos)
    return [Outcome(video, row["top_label"], row["top_score"], row["status"]) for video, row in found]


def accuracy(outcomes: Sequence[Outcome]) -> float:
    """Returns the share of videos with the right label."""
    return sum(outcome.is_right for outcome in outcomes) / len(outcomes)


def accuracy_by(outcomes: Iterable[Outcome], key: Callable[[Video], str]) -> dict[str, float]:
    """Returns the accuracy of each group of videos."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome.video), []).append(outcome)
    return {name: accuracy(group) for name, group in sorted(groups.items())}


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns the figures for printing and for JSON."""
    return {
        "videos": len(outcomes),
        "accuracy": accuracy(outcomes),
        "accuracy_by_label": accuracy_by(outcomes, lambda video: video.label),
        "accuracy_by_frame_rate": accuracy_by(outcomes, lambda video: f"{video.rate:g}"),
        "wrong": [asdict(outcome) for outcome in outcomes if not outcome.is_right],
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the figures."""
    print(f"{figures['videos']} videos, accuracy {figures['accuracy']:.1%}")
    for group in ("label", "frame_rate"):
        print(f"\n{group.replace('_', ' ')}")
        for name, share in figures[f"accuracy_by_{group}"].items():
            print(f"  {name:<26} {share:7.1%}")
    print(f"\nwrong: {len(figures['wrong'])}")
    for wrong in figures["wrong"]:
        video, score = wrong["video"], wrong["top_score"]
        said = f"{wrong['top_label']} ({score:.2f})" if score is not None else wrong["status"]
        print(f"  {video['name']} {video['width']}x{video['height']} {video['rate']:g} fps {video['label']}: {said}")


def main() -> None:
    """Renders videos, labels them and compares the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=300, help="number of videos to render")
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args, flags = parser.parse_known_args()  # unknown flags are passed to the pipeline
    with tempfile.TemporaryDirectory() as scratch:
        folder, output = Path(scratch, "videos"), Path(scratch, "output")
        folder.mkdir()
        videos = make_videos(folder, args.videos, args.seed)
        figures = summarize(compare(videos, label_videos(folder, output, flags)))
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
