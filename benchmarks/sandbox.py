"""Measure the overhead of the sandbox: CPU-seconds of decoding in decoder processes and in the caller's process.

    python -m benchmarks.sandbox VIDEO…

Both methods probe a video and decode the same clips (A0's: 50 frames at 5 fps, 172 x 172), alternately, `--rounds`
times with `--repeats` repetitions. The result is the median. CPU-seconds include all processes and threads, kernel
time, and the start and end of each decoder process. The start of the fork server, once per worker, is measured
separately.
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import statistics
from collections.abc import Callable
from fractions import Fraction

from reelbeam.transforms.media.decoding import decoder
from reelbeam.transforms.media.decoding import probe as library
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import sandboxed

SAMPLING = ClipSampling(50, Fraction(5))
GEOMETRY = Geometry(192, 172)


def in_process(path: str) -> int:
    """Probes and decodes in this process. Returns the number of clips."""
    media = library.probe(path)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    return sum(1 for _ in decoder.decode_clips(path, media, spans, GEOMETRY))


def in_sandbox(path: str) -> int:
    """Probes and decodes in decoder processes. Returns the number of clips."""
    media = sandboxed.probe(path, DEFAULT_LIMITS)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    return sum(1 for _ in sandboxed.decode_clips(path, media, spans, GEOMETRY, DEFAULT_LIMITS))


def start_only(path: str) -> int:
    """Starts a decoder process and the fork server."""
    with sandboxed.acquire(DEFAULT_LIMITS.memory_bytes):
        return 0


def cpu_seconds(work: Callable[[str], int], video: str, repeats: int) -> float:
    """Returns the CPU-seconds of `work` in this process and its children."""
    sandboxed.close_idle()
    before = _all_cpu_seconds()
    for _ in range(repeats):
        work(video)
    sandboxed.close_idle()  # a process's time is counted after it was reaped
    return _all_cpu_seconds() - before


def _all_cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    start_only(args.videos[0])
    server = statistics.median(cpu_seconds(start_only, args.videos[0], 1) for _ in range(args.rounds))
    print(f"start of the first decoder process: {server:.3f} s")
    print(f"{'video':32} {'clips':>5} {'in process':>11} {'in sandbox':>11} {'overhead':>9}")
    for video in args.videos:
        num_clips = in_process(video)
        assert num_clips == in_sandbox(video)
        rounds = []
        for _ in range(args.rounds):
            free = cpu_seconds(in_process, video, args.repeats) / args.repeats
            rounds.append((free, (cpu_seconds(in_sandbox, video, args.repeats) - server) / args.repeats))
        free, confined = (statistics.median(column) for column in zip(*rounds, strict=True))
        name = pathlib.Path(video).name
        print(f"{name:32} {num_clips:5} {free:9.4f} s {confined:9.4f} s {confined / free - 1:+9.1%}")


if __name__ == "__main__":
    main()
