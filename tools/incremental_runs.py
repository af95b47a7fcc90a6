"""Run three incremental runs over one corpus, kill each several times, and check that the rows are exact.

    python -m tools.incremental_runs [--num 20000] [--kills 4] [--videos_per_part 2000]

The bundled model labels a corpus of small generated videos. Then videos are added, changed and deleted, and the corpus
is labeled again, twice. Every run is killed with SIGKILL at random moments and restarted until it completes. In the
end, each content that ever existed must have exactly one committed row, a pattern over the files must find the same
rows, and every clip must have a row.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq

from reelbeam.transforms import storage

_BASES = 24
_SIDE = 64
_FRAMES, _FPS = 16, 8

Content = tuple[str, int | None, str]


def make_base(path: pathlib.Path, seed: int) -> bytes:
    """Encodes a two-second video of a moving square and returns its bytes."""
    background = np.random.default_rng(seed).integers(0, 120, (_SIDE, _SIDE, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = _SIDE, _SIDE, "yuv420p"
        for index in range(_FRAMES):
            picture = background.copy()
            left = (seed * 7 + index * (seed % 5 - 2)) % (_SIDE - 16)
            picture[20:36, left : left + 16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


class Corpus:
    """A folder of small videos that changes between runs."""

    def __init__(self, folder: pathlib.Path, seed: int = 1) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._made = 0
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as name:
            self._bases = [make_base(pathlib.Path(name, f"{i}.mp4"), i) for i in range(_BASES)]
        self.videos: list[pathlib.Path] = []

    def add(self, count: int) -> None:
        """Adds new videos."""
        for _ in range(count):
            path = self._folder / f"{len(self.videos) % 100:02d}" / f"{self._made:07d}.mp4"
            path.parent.mkdir(exist_ok=True)
            self._write(path)
            self.videos.append(path)

    def change(self, count: int) -> None:
        """Gives some videos other content under the same name."""
        for path in self._random.sample(self.videos, count):
            self._write(path)

    def delete(self, count: int) -> None:
        """Deletes some videos."""
        for path in self._random.sample(self.videos, count):
            path.unlink()
            self.videos.remove(path)

    def _write(self, path: pathlib.Path) -> None:
        # Each file differs from all others, because it ends with its own atom, which players ignore.
        self._made += 1
        payload = b"%d " % self._made * (1 + self._made % 7)
        atom = (8 + len(payload)).to_bytes(4, "big") + b"free" + payload
        path.write_bytes(self._bases[self._made % _BASES] + atom)

    def contents(self) -> set[Content]:
        """Returns the current contents, as in a listing."""
        found = map(storage.stat, map(str, self.videos))
        return {(file.uri, file.size_bytes, file.version) for file in found}


def run_with_kills(
    inputs: str, output: str, flags: Sequence[str], num_kills: int, chance: random.Random, most_failures: int = 0
) -> tuple[list[float], str]:
    """Runs `reelbeam label` and kills it at random moments.

    Args:
      inputs: the inputs to label.
      output: the output folder or prefix.
      flags: further flags.
      num_kills: how often to kill the run.
      chance: determines the moments.
      most_failures: how often to repeat a start that fails with exit code 1, for example because the storage fails.

    Returns:
      The seconds after which each start was killed, and the text that the last start printed.
    """
    command = [sys.executable, "-m", "reelbeam", "label", "--model=demo", inputs, "--output", output, *flags]
    killed_after: list[float] = []
    longest = 8.0
    while True:
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                limit = chance.uniform(0.5, longest) if len(killed_after) < num_kills else None
                printed, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed_after.append(round(time.monotonic() - begin, 1))
                longest *= 1.6  # so that later kills hit later stages
                continue
        if process.returncode == 1 and most_failures:
            most_failures -= 1
            continue
        if process.returncode:
            raise SystemExit(f"exit code {process.returncode}: {printed}")
        return killed_after, printed


def committed_rows(output: pathlib.Path, table: str, columns: list[str]) -> list[dict[str, Any]]:
    """Returns the rows of committed runs, each with its run. `output` may be a copy of the output."""
    rows = []
    for document in sorted(output.glob("runs/*.json")):
        for path in json.loads(document.read_text("utf-8"))["files"][table]:
            copy = output.joinpath(*path.split("/")[-3:])
            found = pq.read_table(copy, columns=columns, partitioning=None).to_pylist()
            rows += [row | {"run": document.stem} for row in found]
    return rows


def verify(output: pathlib.Path, expected: set[Content]) -> list[str]:
    """Returns what is wrong with the rows; empty if they are exact."""
    wrong = []
    columns = ["video_uri", "size_bytes", "content_version", "status", "num_clips"]
    videos = committed_rows(output, "videos", columns)
    found = collections.Counter((row["video_uri"], row["size_bytes"], row["content_version"]) for row in videos)
    if lost := expected - set(found):
        wrong.append(f"{len(lost)} contents have no row, for example {min(lost)}")
    if strange := set(found) - expected:
        wrong.append(f"{len(strange)} rows are of contents that never existed, for example {min(strange)}")
    if doubled := [content for content, count in found.items() if count > 1]:
        wrong.append(f"{len(doubled)} contents have several rows, for example {min(doubled)}")
    if failed := [row for row in videos if row["status"] != "ok"]:
        wrong.append(f"{len(failed)} rows are not ok, for example {failed[0]}")
    clips = collections.Counter(
        (row["run"], row["video_uri"]) for row in committed_rows(output, "clips", ["video_uri"])
    )
    if clips != collections.Counter({(row["run"], row["video_uri"]): row["num_clips"] for row in videos}):
        wrong.append("the numbers of clips differ from those of the videos")
    files = list(output.glob("videos/*/*.parquet"))
    seen = sum(pq.ParquetFile(path).metadata.num_rows for path in files)
    if seen != len(videos):
        wrong.append(f"a plain pattern finds {seen} rows, the committed runs have {len(videos)}")
    if left := [path for path in output.glob(".staging/*") if "lock.json" not in path.name]:
        wrong.append(f"the staging folder is not empty: {left}")
    return wrong


def main() -> None:
    """Runs the incremental runs and prints their results; exits with 1 if the rows are not exact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=20_000, help="videos of the first run")
    parser.add_argument("--add", type=int, default=500)
    parser.add_argument("--change", type=int, default=100)
    parser.add_argument("--delete", type=int, default=50)
    parser.add_argument("--kills", type=int, default=4, help="kills of each run")
    parser.add_argument("--videos_per_part", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="the working folder; default: a temporary folder")
    args = parser.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(dir=args.folder))
    corpus, output = Corpus(place / "corpus", args.seed), place / "output"
    chance = random.Random(args.seed)
    flags = [f"--videos_per_part={args.videos_per_part}"]
    expected: set[Content] = set()
    wrong: list[str] = []
    for number in range(3):
        if number == 0:
            corpus.add(args.num)
        else:
            corpus.delete(args.delete)
            corpus.change(args.change)
            corpus.add(args.add)
        before = len(expected)
        expected |= corpus.contents()
        begin = time.monotonic()
        kills, printed = run_with_kills(str(place / "corpus"), str(output), flags, args.kills, chance)
        wrong = verify(output, expected)
        print(
            f"run {number + 1}: {len(corpus.videos)} videos, {len(expected) - before} new or changed; "
            f"killed after {kills} s; {time.monotonic() - begin:.0f} s in all; "
            f"{len(list(output.glob('runs/*.json')))} runs committed so far; {'; '.join(wrong) or 'exact'}",
            flush=True,
        )
        if wrong:
            print(printed)
            raise SystemExit(1)
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
