"""What the cage costs: CPU-seconds of decoding in a decoder process against decoding in the caller's own.

    python benchmarks/cage.py VIDEO…

Both ways decode the same clips of each video (A0's: 50 frames at 5 fps, 172 x 172), in turns, `--rounds` times; the
median counts. CPU-seconds are those of all processes and threads, the child's kernel time included. The start of the
process is measured apart: it is paid once a thread, not once a video.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable
from fractions import Fraction

from transforms.media import decoder, sandbox
from transforms.media import probe as library
from transforms.media.limits import DEFAULT_LIMITS
from transforms.media.picture import Geometry
from transforms.media.sampling import ClipSampling, plan_clip_spans

SAMPLING = ClipSampling(50, Fraction(5))
GEOMETRY = Geometry(192, 172)


def in_process(path: str) -> int:
    """Probes and decodes here; returns the number of clips."""
    media = library.probe(path)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    return sum(1 for _ in decoder.decode_clips(path, media, spans, GEOMETRY))


def in_cage(path: str) -> int:
    """Probes and decodes in a decoder process; returns the number of clips."""
    media = sandbox.probe(path, DEFAULT_LIMITS)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    return sum(1 for _ in sandbox.decode_clips(path, media, spans, GEOMETRY, DEFAULT_LIMITS))


def cpu_seconds(work: Callable[[str], int], video: str) -> float:
    """Returns what `work` takes in this process and in the idle decoder process that it uses."""
    before = _all_cpu_seconds()
    work(video)
    return _all_cpu_seconds() - before


def _all_cpu_seconds() -> float:
    with sandbox.borrow(DEFAULT_LIMITS.memory_bytes) as process:
        # The scheduler's own count, in nanoseconds: the one in clock ticks is too coarse for short videos.
        tasks = pathlib.Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        child = sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    return child + time.process_time()


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    start = time.monotonic()
    with sandbox.borrow(DEFAULT_LIMITS.memory_bytes):
        print(f"start of a decoder process: {time.monotonic() - start:.2f} s")
    print(f"{'video':32} {'clips':>5} {'in process':>11} {'in cage':>9} {'overhead':>9}")
    for video in args.videos:
        num_clips = in_process(video)
        assert num_clips == in_cage(video)
        rounds = [(cpu_seconds(in_process, video), cpu_seconds(in_cage, video)) for _ in range(args.rounds)]
        free, caged = (statistics.median(column) for column in zip(*rounds, strict=True))
        name = pathlib.Path(video).name
        print(f"{name:32} {num_clips:5} {free:9.3f} s {caged:7.3f} s {caged / free - 1:+9.1%}")


if __name__ == "__main__":
    main()
