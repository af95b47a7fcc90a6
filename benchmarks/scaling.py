"""Measure the speed-up of two workers over one worker for one long film.

    python -m benchmarks.scaling [--minutes 40] [--rounds 3] [FLAG OF LABEL …]

`reelbeam label` labels one film (H.264, 640x360, 30 fps) alternately, in new processes: with one worker on one core,
with one worker on two cores, where the second core runs its decoder process, and with two workers on two cores. The
start-up is measured with one second of the same film, printed separately, and subtracted in the last lines. If the wall
time is longer than the CPU-seconds explain, the machine was busy and the figures are not reliable.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import films

_ROOT = pathlib.Path(__file__).resolve().parents[1]


_SETUPS = ((1, 1), (1, 2), (2, 2))
"""The numbers of workers and cores."""


def label(
    video: pathlib.Path, output: pathlib.Path, num_workers: int, cores: list[int], flags: list[str]
) -> tuple[float, float]:
    """Labels a video. Returns the wall time and the CPU-seconds of all its processes."""
    command = [sys.executable, "-m", "reelbeam", "label", "--model=demo", str(video), "--output", str(output), *flags]
    command += ["--direct_num_workers", str(num_workers), "--num_threads", str(num_workers)]
    before, allowed = _cpu_seconds(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # inherited by the child
    try:
        start = time.monotonic()
        subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, check=True)
        wall = time.monotonic() - start
    finally:
        os.sched_setaffinity(0, allowed)
    return wall, _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    args, flags = parser.parse_known_args()
    flags = flags or ["--model", "demo"]
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        film = films.make_film(folder / "film.mp4", args.minutes, 640, 360)
        short = films.make_film(folder / "short.mp4", 1, 64, 48, fps=5)
        found: dict[tuple[str, int, int], list[float]] = {}
        print(f"{'':8} {'workers':>8} {'cores':>6} {'wall, s':>9} {'CPU, s':>9} {'load':>6}")
        for turn in range(args.rounds):
            for video in (short, film):
                for setup in _SETUPS:
                    num_workers, num_cores = setup
                    output = folder / f"{turn}_{video.stem}_{num_workers}_{num_cores}"
                    wall, cpu = label(video, output, num_workers, cores[:num_cores], flags)
                    found.setdefault((video.stem, *setup), []).append(wall)
                    load = os.getloadavg()[0]
                    print(
                        f"{video.stem:8} {num_workers:8} {num_cores:6} {wall:9.2f} {cpu:9.2f} {load:6.2f}", flush=True
                    )
    walls = {key: statistics.median(taken) for key, taken in found.items()}
    two, start_of_two = walls["film", 2, 2], walls["short", 2, 2]
    for num_cores, of_what in ((1, "with one core"), (2, "with two cores")):
        one, start_of_one = walls["film", 1, num_cores], walls["short", 1, num_cores]
        print(f"two workers take {two / one:.3f} of the time of one worker {of_what}")
        ratio = (two - start_of_two) / (one - start_of_one)
        print(f"  start-up ({start_of_one:.1f} s and {start_of_two:.1f} s) taken off: {ratio:.3f}")


if __name__ == "__main__":
    main()
