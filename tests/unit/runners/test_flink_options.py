"""What is read from a Flink cluster, and the options made from it. Real clusters: tests/e2e/test_flink.py."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.portability.flink_runner import FlinkRunner
from processes import wait_until

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job import jobs
from reelbeam.pipeline.job.jobs import plain_message
from reelbeam.pipeline.runners import flink, flink_job
from reelbeam.pipeline.runners.flink_cluster import Cluster
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms.errors import ConfigError, RunError

OVERVIEW = {"flink-version": "1.20.3", "taskmanagers": 2, "slots-total": 4}


class JobManager(http.server.ThreadingHTTPServer):
    """Answers as a JobManager's REST API does."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"/overview": OVERVIEW, "/jobmanager/config": []}
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: JobManager

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        answer = self.server.answers[self.path]
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def do_PATCH(self) -> None:
        self.server.answers["/jobs/overview"]["jobs"][0]["state"] = "CANCELED"
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def manager() -> Iterator[JobManager]:
    with JobManager() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def job_server() -> Iterator[str]:
    """Something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def flags_of(manager: JobManager, *given: str) -> dict[str, str]:
    flags = ["--runner=FlinkRunner", f"--flink_master={manager.address}", *given]
    completed = flink.complete_flags(flags, Cluster(manager.address))
    return dict(flag.removeprefix("--").split("=", 1) for flag in completed)


def configuration(**entries: str) -> list[dict[str, str]]:
    return [{"key": "reelbeam." + key.replace("_", "-"), "value": value} for key, value in entries.items()]


def test_missing_options_are_read_from_the_cluster(manager: JobManager, job_server: str) -> None:
    manager.answers["/jobmanager/config"] = configuration(
        job_endpoint=job_server, environment_type="EXTERNAL", environment_config="localhost:50000"
    )
    flags = flags_of(manager)
    assert flags["job_endpoint"] == job_server
    assert (flags["environment_type"], flags["environment_config"]) == ("EXTERNAL", "localhost:50000")
    assert flags["parallelism"] == "4" and flags["job_name"].startswith("reelbeam-")
    assert flags_of(manager)["job_name"] != flags["job_name"]


def test_what_the_command_line_says_goes_first(manager: JobManager, job_server: str) -> None:
    manager.answers["/jobmanager/config"] = configuration(job_endpoint="127.0.0.1:1", environment_type="EXTERNAL")
    given = {"job_endpoint": job_server, "parallelism": "3", "environment_type": "DOCKER", "job_name": "nightly"}
    flags = flags_of(manager, *(f"--{name}={value}" for name, value in given.items()))
    assert flags["job_name"].startswith("nightly-")
    assert {name: flags[name] for name in given} | {"job_name": "nightly"} == given


def test_without_a_job_server_beam_starts_one_for_the_clusters_version(manager: JobManager) -> None:
    flags = flags_of(manager)
    assert flags["flink_version"] == "1.20" and "job_endpoint" not in flags and "environment_type" not in flags


@pytest.mark.parametrize(
    ("change", "given", "error", "message"),
    [
        ({}, ["--flink_version=2.2"], ConfigError, "runs Flink 1.20.3: leave the flag out"),
        ({"flink-version": "1.15.4"}, [], ConfigError, "runs Flink 1.15.4, and Beam has job servers for 1.19"),
        ({}, ["--parallelism=5"], ConfigError, "has 4 slots"),
        ({"slots-total": 0}, [], RunError, "no TaskManager has joined"),
        ({}, ["--job_endpoint=127.0.0.1:1"], RunError, "job server does not answer at 127.0.0.1:1"),
        ({}, ["--job_endpoint=nonsense"], RunError, "job server does not answer at nonsense"),
    ],
)
def test_options_that_do_not_fit_are_reported(
    manager: JobManager, change: dict[str, Any], given: list[str], error: type[Exception], message: str
) -> None:
    manager.answers["/overview"] = OVERVIEW | change
    with pytest.raises(error, match=message):
        flags_of(manager, *given)


def test_an_address_that_is_not_a_job_manager_is_reported(manager: JobManager) -> None:
    manager.answers["/overview"] = ["something else"]
    with pytest.raises(ConfigError, match="is not a Flink JobManager"):
        flags_of(manager)


@pytest.mark.parametrize("answer", [b"<html>a proxy</html>", ["text"], [{"value": "no key"}], 7])
def test_a_response_that_is_not_flinks_configuration_is_reported(manager: JobManager, answer: Any) -> None:
    manager.answers["/jobmanager/config"] = answer
    with pytest.raises(ConfigError, match="is not a Flink JobManager"):
        flags_of(manager)


def test_a_cluster_that_does_not_answer_is_one_line_and_exit_code_1(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--output", str(tmp_path / "out"), "--runner=FlinkRunner", "--flink_master=127.0.0.1:1"]
    assert main(["label", "--model=demo", "x.mp4", *flags]) == 1
    printed = capsys.readouterr().err
    assert "127.0.0.1:1: no Flink JobManager answers there" in printed and "flink_cluster.sh up" in printed
    assert printed.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_job_is_cancelled_by_its_name(manager: JobManager) -> None:
    jobs = [{"jid": "a", "name": "other", "state": "RUNNING"}, {"jid": "b", "name": "mine", "state": "FINISHED"}]
    manager.answers["/jobs/overview"] = {"jobs": jobs}
    for name in ("mine", "gone"):
        assert flink_job.Job(Cluster(manager.address), name).cancel(may_appear=False)
    assert {*manager.requests} == {"GET /jobs/overview"}


def test_a_job_that_is_still_being_submitted_is_cancelled_once_it_is_there(manager: JobManager) -> None:
    def submit() -> None:
        wait_until(lambda: len(manager.requests) >= 2)
        manager.answers["/jobs/overview"] = {"jobs": [{"jid": "b", "name": "mine", "state": "RUNNING"}]}

    manager.answers["/jobs/overview"] = {"jobs": []}
    manager.answers["/jobs/b?mode=cancel"] = {}
    threading.Thread(target=submit, daemon=True).start()
    assert flink_job.Job(Cluster(manager.address), "mine").cancel()
    assert manager.requests.count("PATCH /jobs/b?mode=cancel") == 1


def test_each_part_of_a_run_is_a_job_of_its_own_name(
    manager: JobManager, job_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, str]] = []  # on the cluster, the newest first
    manager.answers["/jobs/overview"] = {"jobs": found}

    class Submitted:
        """What Beam gives back for a job; the first one ends well, the second is interrupted."""

        def __init__(self, name: str) -> None:
            assert name not in [job["name"] for job in found]
            found.insert(0, {"jid": f"job{len(found)}", "name": name, "state": "RUNNING"})
            manager.answers[f"/jobs/{found[0]['jid']}?mode=cancel"] = {}

        def wait_until_finish(self) -> None:
            if len(found) == 2:
                raise KeyboardInterrupt
            found[0]["state"] = "FINISHED"

    def submit(_: Any, pipeline: Any, given: Any) -> Submitted:
        return Submitted(given.view_as(GoogleCloudOptions).job_name)

    monkeypatch.setattr(FlinkRunner, "run_pipeline", submit)
    flags = ["--runner=FlinkRunner", f"--flink_master={manager.address}", f"--job_endpoint={job_server}"]
    runner = runner_of([*flags, "--job_name=nightly-2026"])
    assert runner.cancels_interrupted_jobs
    assert jobs.run_job(jobs.make_program(runner), runner) == jobs.JobEnd()
    with pytest.raises(KeyboardInterrupt):
        jobs.run_job(jobs.make_program(runner), runner)
    assert all(re.fullmatch(r"nightly-2026-[0-9a-f]{8}", job["name"]) for job in found)
    assert [request for request in manager.requests if "PATCH" in request] == ["PATCH /jobs/job1?mode=cancel"]


def test_progress_is_reported_while_the_job_runs(manager: JobManager) -> None:
    job = flink_job.Job(Cluster(manager.address), "mine")
    manager.answers["/jobs/overview"] = {"jobs": []}
    assert job.progress() == "waiting for the cluster to take the job"
    manager.answers["/jobs/overview"] = {"jobs": [{"jid": "b", "name": "mine", "state": "RUNNING"}]}
    vertices = [
        {"name": "{SelectVideos}", "status": "FINISHED", "metrics": {}},
        {"name": "{LabelSelected, ClipRows}", "status": "RUNNING", "metrics": {"read-records": 7}},
    ]
    manager.answers["/jobs/b"] = {"state": "RUNNING", "vertices": vertices}
    assert job.progress() == "running, 1 of 2 steps done, videos and segments started: 7"


JAVA = "\n\tat org.apache.flink.Task.run(Task.java:77)\n\t... 7 more\n]"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            f"java.lang.Exception: failed{JAVA}\nCaused by: java.io.IOException: full{JAVA}",
            "Caused by: java.io.IOException: full",
        ),
        (f"Error received from SDK harness: Traceback\n  File x\nKeyError: 'bug'\n{JAVA}", "KeyError: 'bug'"),
        (f"RestHandlerException: Failed to deserialize JobGraph.{JAVA}", "another Flink version"),
    ],
)
def test_of_javas_traces_the_cause_is_left(text: str, cause: str) -> None:
    assert cause in plain_message(flink_job.reason(text))
