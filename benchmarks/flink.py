"""Compare the throughput of two TaskManagers of a Flink cluster with that of one, on the same videos.

    tools/flink_cluster.sh up
    python -m benchmarks.flink --flink_master 127.0.0.1:8081

The times are Flink's times of the steps that decode and classify, the best of several alternating runs. The start of
a job does not grow with the corpus and is measured separately. A TaskManager has one slot, and its worker one thread.
Each TaskManager and its child processes are bound to one core, like a separate machine. Otherwise the decoder process
of a single TaskManager would use the second core. The JobManager and the job server may use both cores.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

from reelbeam.pipeline.runners.flink_cluster import Cluster
from reelbeam.pipeline.runners.flink_job import CLIP_ROWS
from tools.flink import processes
from tools.flink.cluster import from_environment

SAMPLES = pathlib.Path(__file__).resolve().parents[1] / "pipeline" / "demo" / "videos"


class Measured(NamedTuple):
    """The seconds of one run: of decoding and classification, and of the whole job."""

    step: float
    job: float


def bind_task_managers() -> None:
    """Binds each TaskManager of the cluster on this machine to a core."""
    leaders = processes.leaders(from_environment().folder)
    task_managers = sorted(name for name in leaders if name.startswith("taskmanager"))
    for name, core in zip(task_managers, sorted(os.sched_getaffinity(0)), strict=True):
        for thread in pathlib.Path(f"/proc/{leaders[name]}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def measure(master: str, corpus: pathlib.Path, parallelism: int) -> Measured:
    """Labels the corpus once with `parallelism` TaskManagers."""
    with tempfile.TemporaryDirectory() as output:
        command = [
            sys.executable,
            "-m",
            "reelbeam",
            "label",
            "--model=demo",
            str(corpus),
            "--output",
            output,
            "--num_threads=1",
        ]
        command += ["--clip_stride_seconds=1/4", "--runner=FlinkRunner", f"--flink_master={master}"]
        subprocess.run([*command, f"--parallelism={parallelism}"], check=True, capture_output=True)
    cluster = Cluster(master)
    newest = max(cluster.call("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    job = cluster.call(f"/jobs/{newest['jid']}")
    # The first of them plans, too. The other one, for long videos, begins after it.
    steps = [step for step in job["vertices"] if CLIP_ROWS in step["name"]]
    return Measured(sum(step["duration"] for step in steps) / 1000, job["duration"] / 1000)


def main() -> None:
    """Prints the times and their ratio."""
    parser = argparse.ArgumentParser(description="Two TaskManagers against one.")
    parser.add_argument("--flink_master", required=True)
    parser.add_argument("--copies", type=int, default=24, help="number of copies of each bundled sample; default 24")
    parser.add_argument("--repeats", type=int, default=2, help="number of runs of each kind; default 2")
    args = parser.parse_args()
    bind_task_managers()
    runs: dict[int, list[Measured]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for copy in range(args.copies):
            for sample in SAMPLES.iterdir():
                shutil.copy(sample, pathlib.Path(folder) / f"{copy:03d}_{sample.name}")
        for _ in range(args.repeats):
            for parallelism, measurements in runs.items():
                measurements.append(measure(args.flink_master, pathlib.Path(folder), parallelism))
    best = {parallelism: min(measurements) for parallelism, measurements in runs.items()}
    for parallelism, measured in best.items():
        print(
            f"{parallelism} TaskManager(s): {measured.step:.1f} s decoding and inference, {measured.job:.1f} s the job"
        )
    print(
        f"two against one: {best[1].step / best[2].step:.2f} times as fast ({best[1].job / best[2].job:.2f}: the job)"
    )


if __name__ == "__main__":
    main()
