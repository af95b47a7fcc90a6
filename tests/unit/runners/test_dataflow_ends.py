"""How a Dataflow job ends, with Beam's own result object and a fake of the service that it calls."""

from __future__ import annotations

import io
import json
import pathlib
import time
import types
from collections.abc import Callable
from typing import Any

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job import jobs
from reelbeam.pipeline.runners import dataflow

pytest.importorskip("apache_beam.runners.dataflow.internal.apiclient", reason="reelbeam[gcp] is not installed")

from apache_beam.io.gcp import gcsio
from apache_beam.runners.dataflow import dataflow_runner
from google.api_core.exceptions import ServiceUnavailable
from google.cloud import dataflow as api

SAMPLE = pathlib.Path(__file__).resolve().parents[3] / "pipeline" / "demo" / "videos" / "growing.mp4"
FLAGS = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=europe-west1",
    "--temp_location=gs://bucket/tmp",
    "--summary_json",
]
DRY = "--dry_run=True"
"""Beam does not ask for the bucket then."""


class Service:
    """Answers as Beam's client of Dataflow: the job is in one state, and may have a message."""

    def __init__(self, state: api.JobState | Exception, message: str | None) -> None:
        self._state = state
        self._message = message

    def get_job(self, job_id: str) -> api.Job:
        if isinstance(self._state, Exception):
            raise self._state
        return api.Job(id=job_id, current_state=self._state)

    def list_messages(self, job_id: str, **_: Any) -> tuple[list[api.JobMessage], None]:
        error = api.JobMessageImportance.JOB_MESSAGE_ERROR
        return [api.JobMessage(message_text=self._message, message_importance=error)] if self._message else [], None


@pytest.fixture
def label(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Labels with a job that ends so; returns the exit code, the last line, and all that was printed."""

    def run(state: api.JobState | Exception, message: str | None = None) -> tuple[int, dict[str, Any], str]:
        def submit(runner: Any, pipeline: Any, options: Any, pipeline_proto: Any = None) -> Any:
            runner.dataflow_client = Service(state, message)
            running = api.Job(id="2026-job", current_state=api.JobState.JOB_STATE_RUNNING)
            return dataflow_runner.DataflowPipelineResult(running, runner, options)

        monkeypatch.setattr(dataflow_runner.DataflowRunner, "run_pipeline", submit)
        code = main(["label", "--model=demo", str(SAMPLE), f"--output={tmp_path / 'out'}", *FLAGS, DRY])
        printed = capsys.readouterr()
        return code, json.loads(printed.out.splitlines()[-1]), printed.out + printed.err

    hurried = types.SimpleNamespace(sleep=lambda seconds: time.sleep(0.01), time=time.time)
    monkeypatch.setattr(dataflow_runner, "time", hurried)
    monkeypatch.setattr(
        dataflow.DataflowRunner, "adapt", lambda runner, config: config
    )  # the places may be on this disk
    return run


def holds_lock(output: pathlib.Path) -> bool:
    return main(["label", "--model=demo", str(SAMPLE), f"--output={output}"]) == 5


@pytest.mark.parametrize(
    ("state", "message", "reported"),
    [
        (
            "FAILED",
            "Traceback\nreelbeam.transforms.errors.run.RunError: gs://b/x is full [while running 'Write']",
            "gs://b/x is full",
        ),
        pytest.param(
            *("FAILED", "Workflow failed. Causes: quota", "Workflow failed. Causes: quota"), marks=pytest.mark.slow
        ),
        pytest.param("CANCELLED", None, "Dataflow pipeline failed. State: CANCELLED", marks=pytest.mark.slow),
    ],
)
def test_a_failed_job_is_exit_code_1_and_a_line_of_json(
    label: Callable[..., Any], tmp_path: pathlib.Path, state: str, message: str | None, reported: str
) -> None:
    code, line, printed = label(api.JobState[f"JOB_STATE_{state}"], message)
    assert (code, line["status"], line["exit_code"], line["job"]) == (1, "failed", 1, None)
    assert line["error"] == {"code": "run_failed", "message": reported}
    assert "Traceback" not in printed and "Nothing was committed" in printed
    assert not holds_lock(tmp_path / "out")


def test_what_google_does_not_answer_about_a_flag_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(*_: Any) -> None:
        raise ServiceUnavailable("no network")

    monkeypatch.setattr(gcsio, "get_or_create_default_gcs_bucket", unreachable)
    monkeypatch.setattr(dataflow.DataflowRunner, "adapt", lambda runner, config: config)
    flags = [*FLAGS, "--temp_location=gs://b/too_short_a_name_for_a_bucket"]
    assert main(["label", "--model=demo", str(SAMPLE), f"--output={tmp_path / 'out'}", *flags]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["message"].startswith("Google Cloud cannot be asked: 503 no network")
    assert printed.err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_that_can_no_longer_be_watched_keeps_its_output(
    label: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    code, line, printed = label(ServiceUnavailable("no network"))
    assert (code, line["status"], line["exit_code"], line["job"]) == (1, "failed", 1, "2026-job")
    assert "job 2026-job cannot be watched any more" in line["error"]["message"]
    assert "console.cloud.google.com" in line["error"]["message"]
    assert "Traceback" not in printed and "Nothing was committed" not in printed
    assert holds_lock(tmp_path / "out")


def test_a_stream_that_outlives_the_one_below_it_is_thrown_away_in_silence() -> None:
    below = io.StringIO()
    stream = jobs._OfThisThread(below)
    stream.write("reported")
    assert below.getvalue() == "reported"
    below.close()
    stream.close()
