"""Measure the memory of a run for a video of one minute and for one of three hours.

    python -m benchmarks.memory [--container mkv] [--minutes 180] [FLAG OF LABEL …]

`reelbeam label` labels each video in a separate process with one worker thread. The table has the peak resident memory
of that process, of its decoder process, and of both, and the ratios. The videos are H.264, 192x144, 30 fps. For an MP4,
FFmpeg holds an index entry for each frame in memory while the file is open; for Matroska it does not.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks import films

_ROOT = pathlib.Path(__file__).resolve().parents[1]


def label(video: pathlib.Path, output: pathlib.Path, flags: list[str]) -> tuple[float, float]:
    """Labels a video; returns the peaks of the worker and of its decoder, in MiB."""
    command = [sys.executable, "-m", "reelbeam", "label", "--model=demo", str(video), "--output", str(output), *flags]
    command += ["--direct_num_workers", "1", "--num_threads", "1"]
    worker = decoder = 0.0
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None:
            peaks = films.peaks_mib(run.pid)
            worker, decoder = max(worker, peaks[0]), max(decoder, peaks[1])
            time.sleep(0.05)
    if run.returncode:
        raise RuntimeError(f"label ended with exit code {run.returncode}")
    return worker, decoder


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--container", default="mp4")
    parser.add_argument("--minutes", type=int, default=180)
    args, flags = parser.parse_known_args()
    flags = flags or ["--model", "demo"]
    print(f"{'highest resident memory, MiB':30} {'worker':>9} {'decoder':>9} {'both':>9}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, args.minutes):
            video = films.make_film(pathlib.Path(folder) / f"{minutes}.{args.container}", minutes, 192, 144)
            worker, decoder = label(video, pathlib.Path(folder) / f"labels_{minutes}", flags)
            rows.append((worker, decoder, worker + decoder))
            print(
                f"{f'{minutes} min, {args.container}':30}" + "".join(f" {peak:9.1f}" for peak in rows[-1]), flush=True
            )
    ratios = [later / first for first, later in zip(*rows, strict=True)]
    print(f"{'ratio':30}" + "".join(f" {ratio:9.3f}" for ratio in ratios))


if __name__ == "__main__":
    main()
