"""How much sooner two workers finish one long film than one worker does.

    python -m benchmarks.scaling [--minutes 40] [--rounds 3] [FLAG OF LABEL …]

One film (H.264, 640x360, 30 frames a second) is labeled by `reelbeam label` with --direct_num_workers 1 and 2, each in
a fresh process on the same two cores, in turns. The start-up, measured by labeling one second of the same film, is
printed apart and taken off in the last line. CPU-seconds say whether the machine did something else meanwhile: where
wall time is longer than they allow, the figures are not worth much.
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


def label(video: pathlib.Path, output: pathlib.Path, num_workers: int, flags: list[str]) -> tuple[float, float]:
    """Labels a video; returns wall and CPU-seconds, those of all its processes."""
    command = [sys.executable, "-m", "pipeline", "label", str(video), "--output", str(output), *flags]
    command += ["--direct_num_workers", str(num_workers), "--num_threads", str(num_workers)]
    before, start = _cpu_seconds(), time.monotonic()
    subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - start, _cpu_seconds() - before


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
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        film = films.make_film(folder / "film.mp4", args.minutes, 640, 360)
        short = films.make_film(folder / "short.mp4", 1, 64, 48, fps=5)
        found: dict[tuple[str, int], list[tuple[float, float]]] = {}
        print(f"{'':8} {'workers':>8} {'wall, s':>9} {'CPU, s':>9} {'load':>6}")
        for turn in range(args.rounds):
            for video in (short, film):
                for num_workers in (1, 2):
                    output = folder / f"{turn}_{video.stem}_{num_workers}"
                    wall, cpu = label(video, output, num_workers, flags)
                    found.setdefault((video.stem, num_workers), []).append((wall, cpu))
                    load = os.getloadavg()[0]
                    print(f"{video.stem:8} {num_workers:8} {wall:9.2f} {cpu:9.2f} {load:6.2f}", flush=True)
    walls = {key: statistics.median(wall for wall, _ in taken) for key, taken in found.items()}
    one, two = walls["film", 1], walls["film", 2]
    print(f"two workers take {two / one:.3f} of one worker's time")
    one, two = one - walls["short", 1], two - walls["short", 2]
    print(f"start-up ({walls['short', 1]:.1f} s and {walls['short', 2]:.1f} s) taken off: {two / one:.3f}")


if __name__ == "__main__":
    main()
