"""`reelbeam label` on a real Flink session cluster: the same rows, no pixel on the wire, and processes that die."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import data_generation as generate
import pytest
from duckdb_queries import select
from flink_sessions import script, started_cluster
from processes import DECODER, is_running, program, wait_until

from reelbeam.pipeline.runners.flink_job import CLIP_ROWS
from tools.flink import processes
from tools.flink.cluster import Cluster

pytestmark = pytest.mark.slow
EVERY_FAULT = pytest.mark.skipif(
    os.environ.get("REELBEAM_FLINK_TESTS") != "all", reason="a minute or more each: `make test-flink` runs them all"
)
ROOT = pathlib.Path(__file__).resolve().parents[2]
COPIES = 8
FRAMES_OF_A_CLIP = 8 * 64 * 64 * 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A session cluster of the script's, for all tests here."""
    yield from started_cluster(tmp_path_factory.mktemp("flink"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Each bundled sample a dozen times, the broken one too."""
    folder = tmp_path_factory.mktemp("corpus")
    for copy in range(COPIES):
        for sample in (ROOT / "pipeline" / "demo" / "videos").iterdir():
            shutil.copy(sample, folder / f"{copy:02d}_{sample.name}")
    return folder


class Run:
    """`reelbeam label` as a process of its own."""

    def __init__(self, output: pathlib.Path, corpus: pathlib.Path, *flags: str) -> None:
        self.output = output
        command = program("label", "--model=demo", corpus, f"--output={output}", "--num_threads=1")
        self.started_ms = time.time() * 1000
        self._process = subprocess.Popen(
            [*command, "--clip_stride_seconds=1/4", *flags],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.printed = ""

    def wait(self) -> int:
        """Returns the exit code."""
        self.printed = self._process.communicate(timeout=400)[0]
        return self._process.returncode

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Asks it to end, as schedulers do."""
        self._process.terminate()

    def rows(self, table: str) -> list[tuple]:
        """Returns the rows of all committed runs, without the columns that identify a run."""
        columns = select(f"FROM '{self.output}/{table}/*/*.parquet'").columns
        apart = [name for name in ("run", "run_id", "labeled_at") if name in columns]
        return select(
            f"SELECT * EXCLUDE ({', '.join(apart)}) FROM '{self.output}/{table}/*/*.parquet' ORDER BY ALL"
        ).fetchall()

    def cost(self) -> dict[str, float]:
        """Returns the cost that its JSON has."""
        (document,) = self.output.glob("runs/*.json")
        return json.loads(document.read_text())["cost"]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, corpus: pathlib.Path) -> Run:
    """The same videos, labeled by the local runner."""
    run = Run(tmp_path_factory.mktemp("local"), corpus)
    assert run.wait() == 0, run.printed
    return run


@pytest.fixture
def start(cluster: Cluster, corpus: pathlib.Path, tmp_path: pathlib.Path) -> Callable[[], Run]:
    """Starts a run on the cluster, with nothing but its address."""
    return lambda: Run(tmp_path / "out", corpus, "--runner=FlinkRunner", f"--flink_master={cluster.address}")


def same(run: Run, local: Run, table: str) -> None:
    assert rounded(run.rows(table)) == rounded(local.rows(table))


def rounded(value: Any) -> Any:
    """Scores of a clip differ in the last bits with the batch that it was in."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def newest_job(cluster: Cluster) -> dict[str, Any]:
    """The job that was submitted last, with its steps."""
    jobs = sorted(cluster.get("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    if not jobs:
        return {"state": "", "vertices": []}
    # Flink's details of a job may be three seconds old; the overview is current.
    return cluster.get(f"/jobs/{jobs[-1]['jid']}") | {"state": jobs[-1]["state"]}


def heavy_step(job: dict[str, Any]) -> dict[str, Any] | None:
    """The first of the steps that decode and classify: that of the short videos, which plans, too."""
    return next((step for step in job["vertices"] if CLIP_ROWS in step["name"]), None)


def while_decoding(cluster: Cluster, run: Run) -> None:
    """Waits until decoder processes of both TaskManagers work for the run."""

    def decodes() -> bool:
        job = newest_job(cluster)
        step = heavy_step(job)
        assert run.is_running(), (run.wait(), run.printed)
        # Decoders of the previous job may still run, and Flink may still report that job as running.
        return (
            job.get("start-time", 0) > run.started_ms
            and step is not None
            and step["status"] == "RUNNING"
            and len(parts(cluster, DECODER)) >= 2
        )

    wait_until(decodes, seconds=200)


def parts(cluster: Cluster, command: str) -> list[int]:
    return [process.pid for process in processes.find(cluster.folder) if command in process.command]


def test_the_rows_are_those_of_the_local_runner_and_no_pixel_travels(
    cluster: Cluster, start: Callable[[], Run], local: Run
) -> None:
    run = start()
    assert run.wait() == 0, run.printed
    for table in ("videos", "clips", "errors"):
        same(run, local, table)
    assert "steps done" in run.printed and f"{10 * COPIES} videos" in run.printed
    for cost in (run.cost(), local.cost()):
        assert cost["decode_cpu_seconds"] > 0 and cost["model_cpu_seconds"] > 0
    job = newest_job(cluster)
    step = heavy_step(job)
    assert step is not None, "decoding and inference are one step"
    pixels = len(run.rows("clips")) * FRAMES_OF_A_CLIP
    sent = sum(step["metrics"]["write-bytes"] for step in job["vertices"])
    assert step["metrics"]["write-bytes"] * 10 < pixels and sent * 3 < pixels
    shares = [
        subtask["metrics"]["read-records"]
        for subtask in cluster.get(f"/jobs/{job['jid']}/vertices/{step['id']}")["subtasks"]
    ]
    # All videos, also those that cannot be planned: short videos are decoded where they were planned.
    assert len(shares) == 2 and min(shares) > 0 and sum(shares) == 10 * COPIES


def test_both_workers_share_a_long_video(cluster: Cluster, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    film = generate.make_video(tmp_path / "in" / "film.mp4", 25 * 60, 1, 64, 48)
    flags = ["--runner=FlinkRunner", f"--flink_master={cluster.address}"]
    run = Run(tmp_path / "out", film.parent, *flags)
    assert run.wait() == 0, run.printed
    steps = [step for step in newest_job(cluster)["vertices"] if CLIP_ROWS in step["name"]]
    short, long = ([subtask["metrics"]["read-records"] for subtask in subtasks(cluster, step)] for step in steps)
    assert sum(short) == 1 and min(long) > 0 and sum(long) > 10


def subtasks(cluster: Cluster, step: dict[str, Any]) -> list[dict[str, Any]]:
    return list(cluster.get(f"/jobs/{newest_job(cluster)['jid']}/vertices/{step['id']}")["subtasks"])


def test_a_killed_task_manager_is_replaced_and_the_run_ends_right(
    cluster: Cluster, start: Callable[[], Run], local: Run
) -> None:
    run = start()
    while_decoding(cluster, run)
    name = next(name for name in processes.leaders(cluster.folder) if name.startswith("taskmanager"))
    parts_of_it = [process.pid for process in processes.find(cluster.folder) if process.name == name]
    assert len(parts_of_it) >= 3, "itself, its worker and a decoder"
    os.kill(processes.leaders(cluster.folder)[name], signal.SIGKILL)
    assert "has joined" in script(cluster, "add").stdout
    assert run.wait() == 0, run.printed
    same(run, local, "videos")
    same(run, local, "clips")
    wait_until(lambda: not any(map(is_running, parts_of_it)), seconds=60)


@EVERY_FAULT
def test_a_killed_worker_is_replaced_and_the_run_ends_right(
    cluster: Cluster, start: Callable[[], Run], local: Run
) -> None:
    run = start()
    while_decoding(cluster, run)
    os.kill(parts(cluster, "worker_boot.py")[0], signal.SIGKILL)
    assert run.wait() == 0, run.printed
    same(run, local, "videos")
    same(run, local, "clips")


@EVERY_FAULT
def test_a_killed_decoder_fails_only_its_video(cluster: Cluster, start: Callable[[], Run], local: Run) -> None:
    run = start()
    while_decoding(cluster, run)
    os.kill(parts(cluster, DECODER)[0], signal.SIGKILL)
    assert run.wait() == 0, run.printed
    here, there = ({row[0]: rounded(row) for row in rows} for rows in (run.rows("videos"), local.rows("videos")))
    assert here.keys() == there.keys() and len(run.rows("videos")) == len(here)
    hurt = [uri for uri in here if here[uri] != there[uri]]
    assert len(hurt) <= 1
    crashed = [row for row in run.rows("errors") if "decoder_crashed" in row]
    assert [row[0] for row in crashed] == hurt


@EVERY_FAULT
def test_without_its_job_server_a_run_fails_and_the_next_one_labels_each_video_once(
    cluster: Cluster, start: Callable[[], Run], local: Run
) -> None:
    run = start()
    while_decoding(cluster, run)
    os.kill(processes.leaders(cluster.folder)["jobserver"], signal.SIGKILL)
    assert run.wait() == 1, run.printed
    assert "job server broke" in run.printed and "the job was cancelled" in re.sub(r"\s+", " ", run.printed)
    assert "Traceback" not in run.printed
    assert newest_job(cluster)["state"] == "CANCELED"
    assert not list(run.output.glob("*/*/*.parquet"))

    again = start()
    assert again.wait() == 1
    assert "job server does not answer" in again.printed and "flink_cluster.sh up" in again.printed

    assert script(cluster, "up").stdout.splitlines()[-1] == cluster.address
    again = start()
    assert again.wait() == 0, again.printed
    same(again, local, "videos")


@EVERY_FAULT
def test_a_launcher_that_is_ended_takes_its_job_along(cluster: Cluster, start: Callable[[], Run]) -> None:
    run = start()
    while_decoding(cluster, run)
    run.terminate()
    assert run.wait() == 130, run.printed
    assert "interrupted: the next run labels what was not committed" in run.printed and "Traceback" not in run.printed
    assert newest_job(cluster)["state"] == "CANCELED"
    assert not list(run.output.glob("*/*/*.parquet")) and not list(run.output.glob("runs/*"))


@EVERY_FAULT
def test_a_launcher_that_is_ended_amid_a_part_takes_that_parts_job_along(
    cluster: Cluster, corpus: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--runner=FlinkRunner", f"--flink_master={cluster.address}", f"--videos_per_part={20 * COPIES}"]
    run = Run(tmp_path / "out", corpus, *flags)
    while_decoding(cluster, run)  # so the job that finds out what is to be labeled has ended
    run.terminate()
    assert run.wait() == 130, run.printed
    assert "Traceback" not in run.printed and newest_job(cluster)["state"] == "CANCELED"
    *_, listing, part = sorted(cluster.get("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    assert (listing["state"], part["state"]) == ("FINISHED", "CANCELED") and listing["name"] != part["name"]
    assert not list(run.output.glob("*/*/*.parquet"))


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--flink_version=2.2"], 2, "runs Flink {version}"),
        (["--parallelism=50"], 2, "has 2 slots"),
        (["--no_such_flag=1"], 2, "unrecognized arguments: --no_such_flag=1"),
        (["--job_endpoint=127.0.0.1:1"], 1, "job server does not answer at 127.0.0.1:1"),
    ],
)
def test_options_that_do_not_fit_the_cluster_are_reported_in_one_line(
    cluster: Cluster, corpus: pathlib.Path, tmp_path: pathlib.Path, flags: list[str], code: int, message: str
) -> None:
    run = Run(tmp_path / "out", corpus, "--runner=FlinkRunner", f"--flink_master={cluster.address}", *flags)
    assert run.wait() == code
    version = cluster.get("/overview")["flink-version"]
    assert message.format(version=version) in run.printed and "Traceback" not in run.printed
    assert not (tmp_path / "out").exists()


@EVERY_FAULT
def test_too_many_failures_exit_with_3_there_too(cluster: Cluster, tmp_path: pathlib.Path) -> None:
    samples = ROOT / "pipeline" / "demo" / "videos"
    folder = tmp_path / "in"
    folder.mkdir()
    for name, sample in {"a.mp4": "broken.mp4", "b.mp4": "broken.mp4", "c.mp4": "growing.mp4"}.items():
        shutil.copy(samples / sample, folder / name)
    run = Run(tmp_path / "out", folder, "--runner=FlinkRunner", f"--flink_master={cluster.address}")
    assert run.wait() == 3, run.printed
    assert "2 of 3 inputs failed" in run.printed and "Traceback" not in run.printed
    assert not list(run.output.glob("*/*/*.parquet"))


def test_up_twice_says_so(cluster: Cluster) -> None:
    again = script(cluster, "up")
    assert "is up already" in again.stderr and again.stdout == f"{cluster.address}\n"
    assert cluster.get("/overview")["taskmanagers"] == 2


def test_doctor_checks_the_workers(cluster: Cluster, tmp_path: pathlib.Path) -> None:
    flags = ["--runner=FlinkRunner", f"--flink_master={cluster.address}", f"--output={tmp_path}"]
    done = subprocess.run(
        program("doctor", "runner", "--json", *flags), capture_output=True, text=True, timeout=240, check=False
    )
    document = json.loads(done.stdout)
    (host,) = document["hosts"]
    assert (done.returncode, host["host"]) == (0, os.uname().nodename)
    statuses = {check["id"]: check["status"] for check in host["checks"]}
    assert statuses["sandbox"] == statuses["decoder"] == statuses["demo"] == "ok"
    assert os.listdir(tmp_path) == []
