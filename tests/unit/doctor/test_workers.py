"""Checks on workers: their results come back through a folder, and hosts are compared."""

from __future__ import annotations

import os
import pathlib

import apache_beam as beam
import object_stores
import pytest

from reelbeam.pipeline.doctor import tables, workers
from reelbeam.pipeline.doctor.findings import CheckResult, HostChecks
from reelbeam.pipeline.doctor.running import make_report
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.pipeline.runners.local import LocalRunner
from reelbeam.transforms.errors import ConfigError


class _Cluster(LocalRunner):
    """The local runner as if it were a cluster."""

    is_local = False


def test_workers_run_the_checks_of_the_machine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "runner_of", lambda flags: _Cluster(LocalRunner.in_this_thread().options))
    monkeypatch.setattr(workers, "CHECKS", [check for check in workers.CHECKS if check.id in ("python", "precision")])
    found = workers.check_runner(Subject(output=str(tmp_path)))
    assert found.status == "ok"
    (host,) = found.hosts
    assert (host.host, [check.id for check in host.checks]) == (os.uname().nodename, ["python", "precision"])
    assert os.listdir(tmp_path) == []


def test_results_come_back_through_a_store(s3: object_stores.S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with object_stores.used_by_beam(object_stores.s3_flags(s3.url)):
        monkeypatch.setattr(workers, "runner_of", lambda flags: _Cluster(LocalRunner.in_this_thread().options))
        monkeypatch.setattr(workers, "CHECKS", [check for check in workers.CHECKS if check.id == "python"])
        found = workers.check_runner(Subject(output=f"{s3.uri}/labels"))
        assert found.status == "ok" and len(found.hosts) == 1
        assert s3.objects("") == []


def test_a_cluster_needs_a_place_for_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "runner_of", lambda flags: _Cluster(LocalRunner.in_this_thread().options))
    with pytest.raises(ConfigError, match="pass --output DIR"):
        workers.check_runner(Subject())


def test_a_job_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(beam.DoFn):
        def process(self, element: int) -> None:
            raise KeyError("a bug")

    monkeypatch.setattr(workers, "_CheckHost", lambda *_: Fails())
    found = workers.check_runner(Subject(beam_flags=("--runner=DirectRunner",)))
    assert found.status == "error" and "a bug" in found.found


def host(name: str, found: str, status: str = "ok") -> HostChecks:
    return HostChecks(name, (CheckResult("cpu", status, found, "", "", 1), CheckResult("disk", "ok", "x", "", "", 1)))


def test_hosts_that_differ_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    hosts = [host("a", "AVX-512"), host("b", "AVX", "warning"), host("c", "AVX-512")]
    found = workers.judge_hosts(hosts, "Flink")
    assert (found.status, len(found.hosts)) == ("warning", 3)
    tables.print_report(make_report([found.result("runner", 1)], found.hosts))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines if "cpu" in line] == [
        ["ok", "cpu", "a", "AVX-512"],
        ["warning", "cpu", "b", "≠"],
        ["ok", "cpu", "c", "AVX-512"],
    ]
    assert sum("disk" in line for line in lines) == 1


def test_no_answer_is_an_error() -> None:
    assert workers.judge_hosts([], "Flink").status == "error"
