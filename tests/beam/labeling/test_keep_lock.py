"""KeepLock: a running job keeps the lock of its output, and a dead job loses it soon."""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import time
import types
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.job.execution import HeldRun, OneJob
from reelbeam.pipeline.job.labeling import label
from reelbeam.pipeline.job.outcome import Outcome
from reelbeam.pipeline.job.preparation import check_request, prepare
from reelbeam.pipeline.job.run_model import RunModel
from reelbeam.pipeline.runners.dataflow import DataflowRunner
from reelbeam.pipeline.runners.flink import FlinkRunner
from reelbeam.pipeline.runners.flink_cluster import Cluster
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.runners.runner import Runner
from reelbeam.transforms.errors import OutputLockedError
from reelbeam.transforms.keep_lock import KeepLock
from reelbeam.transforms.output.lock.lock_file import LockFile, LockRecord, is_free, read_lock
from reelbeam.transforms.output.lock.output_lock import (
    FIRST_JOB_LEASE_SECONDS,
    JOB_LEASE_SECONDS,
    JOB_RENEWAL_SECONDS,
    LockTicket,
    OutputLock,
)
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.storage import store_for


def submitted(output: pathlib.Path) -> LockTicket:
    """Locks an output as a launcher does that has submitted its job and is gone."""
    ticket = LockTicket(str(output), "job", outlives_launcher=True)
    with OutputLock(ticket, FIRST_JOB_LEASE_SECONDS) as held:
        held.leave_to_job()
    return ticket


def found(output: pathlib.Path) -> LockRecord:
    lock = read_lock(str(output))
    assert lock is not None
    return lock


def change(output: pathlib.Path, **values: Any) -> None:
    uri = f"{output}/.staging/lock.json"
    store = store_for(uri)
    content = store.read_versioned(uri)
    assert content is not None
    assert store.write_if(uri, json.dumps(json.loads(content.data) | values).encode(), content.version)


def left(output: pathlib.Path) -> float:
    return found(output).lease_ends_at - time.time()


def work(lock: LockTicket | None, renewal_seconds: float = JOB_RENEWAL_SECONDS) -> None:
    """A job that passes a hundred elements."""
    with LocalPipeline() as pipeline:
        passed = pipeline | beam.Create(range(100)) | KeepLock(lock, renewal_seconds)
        assert_that(passed, equal_to(range(100)))


def test_a_job_that_waits_for_its_workers_keeps_its_output_for_hours(tmp_path: pathlib.Path) -> None:
    submitted(tmp_path)
    assert FIRST_JOB_LEASE_SECONDS - 60 < left(tmp_path) <= FIRST_JOB_LEASE_SECONDS
    with pytest.raises(OutputLockedError):
        OutputLock(LockTicket(str(tmp_path), "second")).__enter__()


@pytest.mark.slow
@pytest.mark.parametrize("minutes_left", [300, 0.1, -1])
def test_workers_renew_the_lease(tmp_path: pathlib.Path, minutes_left: float) -> None:
    """At first they shorten it: from now on something is heard of the job, for as long as it lives."""
    ticket = submitted(tmp_path)
    change(tmp_path, lease_ends_at=time.time() + 60 * minutes_left)
    work(ticket)
    assert JOB_LEASE_SECONDS - 60 < left(tmp_path) <= JOB_LEASE_SECONDS
    assert not is_free(found(tmp_path))


def test_a_process_renews_it_once_in_a_while(tmp_path: pathlib.Path) -> None:
    ticket = submitted(tmp_path)
    work(ticket)
    change(tmp_path, lease_ends_at=time.time() + 60)
    work(ticket)  # a moment later: nothing is asked of the store
    assert left(tmp_path) <= 60
    work(ticket, renewal_seconds=0)
    assert left(tmp_path) > JOB_LEASE_SECONDS - 60


def test_a_thousand_processes_write_it_once_in_a_while(tmp_path: pathlib.Path) -> None:
    ticket = submitted(tmp_path)
    ticket.keep()
    written = (tmp_path / ".staging/lock.json").stat().st_mtime_ns
    ticket.keep()
    assert (tmp_path / ".staging/lock.json").stat().st_mtime_ns == written
    change(tmp_path, lease_ends_at=time.time() + JOB_LEASE_SECONDS - JOB_RENEWAL_SECONDS - 1)
    ticket.keep()
    assert left(tmp_path) > JOB_LEASE_SECONDS - 60


@pytest.mark.parametrize("now", [{"holder": "other"}, {"released_at": "2026-01-01T00:00:00+00:00"}])
def test_a_lock_that_is_gone_is_left_alone(tmp_path: pathlib.Path, now: dict[str, str]) -> None:
    ticket = submitted(tmp_path)
    change(tmp_path, **now)
    before = found(tmp_path)
    work(ticket)
    assert found(tmp_path) == before


def test_a_store_that_does_not_respond_loses_no_element(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    work(LockTicket(str(tmp_path / "file"), "job", outlives_launcher=True))
    assert "could not be renewed" in caplog.text


def test_where_the_launcher_keeps_the_lock_nothing_is_added_to_the_job(tmp_path: pathlib.Path) -> None:
    for lock in (None, LockTicket(str(tmp_path), "run")):
        work(lock)
        pipeline = beam.Pipeline()
        pipeline | beam.Create([1]) | KeepLock(lock)
        names = [t.unique_name for t in pipeline.to_runner_api().components.transforms.values()]
        assert not [name for name in names if name.startswith("KeepLock/")]


class RenewedAfterReading(LockFile):
    """A lock that a worker renews after the first reading, before anything is written."""

    def __init__(self, ticket: LockTicket) -> None:
        super().__init__(ticket.output)
        self._workers = iter([ticket])

    def read(self) -> tuple[LockRecord | None, str | None]:
        found = super().read()
        for worker in self._workers:
            worker.keep()
        return found


def test_a_lock_that_is_renewed_while_it_is_released_is_released(tmp_path: pathlib.Path) -> None:
    ticket = submitted(tmp_path)
    RenewedAfterReading(ticket).release(ticket.holder)
    assert found(tmp_path).released_at and found(tmp_path).lease_seconds == JOB_LEASE_SECONDS


def test_a_launcher_that_waits_renews_the_short_lease(tmp_path: pathlib.Path) -> None:
    ticket = LockTicket(str(tmp_path), "job", outlives_launcher=True)
    renewals = threading.Semaphore(0)
    with OutputLock(ticket, lease_seconds=1.0, progress=renewals.release):
        ticket.keep()
        for _ in range(3):  # each begins after the one before has written
            assert renewals.acquire(timeout=20)
        assert found(tmp_path).lease_seconds == JOB_LEASE_SECONDS
        assert left(tmp_path) > JOB_LEASE_SECONDS - 60


@pytest.mark.slow
def test_a_run_renews_it_on_its_way(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    args, beam_flags = options.parse_flags(["--model=demo", str(samples_dir / "growing.mp4"), f"--output={tmp_path}"])
    prepared = prepare(check_request(options.to_config(args), runner_of(beam_flags)))
    ticket = submitted(tmp_path)
    outcome = label(prepared, RunModel(prepared).load(), ticket)
    assert outcome.exit_code == 0 and found(tmp_path).released_at
    assert found(tmp_path).lease_seconds == JOB_LEASE_SECONDS


def label_on_cluster(output: pathlib.Path, runner: Runner, end: Outcome | BaseException) -> None:
    """Labels in one job, which ends so."""
    ticket = LockTicket(str(output), "job", outlives_launcher=True)

    class EndedJob(OneJob):
        def _label(self, tables: Mapping[str, pa.Schema]) -> Outcome:
            if isinstance(end, BaseException):
                raise end
            return end

    nothing: Any = types.SimpleNamespace(runner=runner, load=dict)
    with contextlib.suppress(ValueError, KeyboardInterrupt), OutputLock(ticket) as held:
        list(EndedJob(HeldRun(nothing, nothing, ticket, held, nothing)).outcomes())


FAILED = Outcome(1, RunPaths("o", "r"), None, "failed")
RUNNERS = {
    "flink": FlinkRunner(PipelineOptions([]), Cluster("127.0.0.1:1")),
    "dataflow": DataflowRunner(PipelineOptions([])),
}


@pytest.mark.parametrize("end", [FAILED, ValueError("a bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_launcher_releases_the_output_if_no_job_continues(
    tmp_path: pathlib.Path, end: Outcome | BaseException, runner: str
) -> None:
    label_on_cluster(tmp_path, RUNNERS[runner], end)
    continues = isinstance(end, KeyboardInterrupt) and runner == "dataflow"  # that job is not cancelled
    assert is_free(found(tmp_path)) == (not continues)


def test_a_launcher_that_does_not_wait_leaves_the_output_to_the_job(tmp_path: pathlib.Path) -> None:
    label_on_cluster(tmp_path, RUNNERS["flink"], Outcome(0, RunPaths("o", "r"), None, job="job-1"))
    assert not is_free(found(tmp_path))
