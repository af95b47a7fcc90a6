"""Measure the memory of a worker by its number of threads.

    python -m benchmarks.worker a0-base=FOLDER [--video FILE] [--threads 1 2 4] [--json FILE]

`reelbeam label` runs in a separate process on copies of one video, which should have the largest expected pictures. The
result is the peak proportional set size (shared pages count once) of the process and its decoders. The memory per
thread is the slope between the fewest and the most threads: a decoder, its frames, a batch of clips and the model's
buffers.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass

from benchmarks.clips import named_models
from benchmarks.decode import ROOT, default_videos
from reelbeam.transforms.models.registry.catalog import ModelSpec

_COPIES_A_THREAD = 2
_SECONDS_BETWEEN_SAMPLES = 0.1


@dataclass(frozen=True)
class Worker:
    """The memory of a worker in MB (1e6 bytes) by its threads, and the line through the first and the last value."""

    machine: str
    cores: int
    model: str
    video: str
    memory_mb: dict[int, float]
    base_mb: float
    thread_mb: float


def main() -> None:
    """Measures, prints the results and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--video", type=pathlib.Path, help="default: the 1080p video next to the project")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4], metavar="N")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = args.video or next(x for x in default_videos(pathlib.Path(folder)) if "1080p" in x.name)
        workers = [measure(spec, video, sorted(args.threads)) for spec in named_models(args.models)]
    for worker in workers:
        print(f"{worker.model} on {worker.video}: {worker.base_mb:.0f} MB and {worker.thread_mb:.0f} MB a thread")
    if args.json:
        args.json.write_text(json.dumps([asdict(worker) for worker in workers], indent=2) + "\n", "utf-8")


def measure(spec: ModelSpec, video: pathlib.Path, threads: list[int]) -> Worker:
    """Returns the memory of a worker with one model."""
    memory = {}
    for number in threads:
        memory[number] = peak_mb(spec, video, number, _COPIES_A_THREAD * number)
        print(f"{spec.name}, {number} threads: {memory[number]:.0f} MB", flush=True)
    few, many = threads[0], threads[-1]
    thread_mb = (memory[many] - memory[few]) / (many - few) if many > few else 0.0
    return Worker(
        machine=cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        model=spec.name,
        video=video.name,
        memory_mb=memory,
        base_mb=memory[few] - few * thread_mb,
        thread_mb=thread_mb,
    )


def peak_mb(spec: ModelSpec, video: pathlib.Path, threads: int, copies: int) -> float:
    """Labels copies of a video. Returns the peak memory in MB."""
    preset = spec.preset
    model = spec.handle if pathlib.Path(spec.handle).is_dir() else spec.name
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for number in range(copies):
            (folder / f"{number}{video.suffix}").symlink_to(video.resolve())
        command = [sys.executable, "-m", "reelbeam", "label", "--model=demo", *map(str, sorted(folder.iterdir()))]
        command += [f"--output={folder / 'out'}", f"--model={model}", f"--direct_num_workers={threads}"]
        command += [f"--num_threads={threads}", f"--labels={spec.labels}"]
        command += [f"--num_frames={preset.num_frames}", f"--target_fps={preset.target_fps}"]
        command += [f"--resize={preset.resize}", f"--size={preset.size}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
        peak = Peak(process.pid)
        _, complaints = process.communicate()
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed: {complaints.decode()}")
        return peak.stop()


class Peak:
    """Watches a process and its descendants, and keeps the highest sum of their proportional set sizes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Returns the highest sum in MB."""
        self._over.set()
        self._thread.join()
        return self._most / 1e6

    def _watch(self) -> None:
        while not self._over.wait(_SECONDS_BETWEEN_SAMPLES):
            self._most = max(self._most, sum(map(pss_bytes, family(self._pid))))


def cpu_name() -> str:
    """Returns the name of the processor from the kernel."""
    found = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.processor()


def family(pid: int) -> list[int]:
    """Returns a process and its running descendants."""
    found = [pid]
    for process in found:
        for path in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:  # the process has ended
                continue
    return found


def pss_bytes(pid: int) -> int:
    """Returns the proportional set size of a process; 0 if it has ended."""
    try:
        found = re.search(r"^Pss: +(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
