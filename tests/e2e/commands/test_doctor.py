"""`reelbeam doctor` from its command line: exit codes, JSON, what is named, the network, and a runner."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jsonschema
import object_stores
import pytest
from audit_events import audited

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.doctor.registry import CHECKS
from tools import make_doctor_schema


def examined(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    """Returns the exit code and the document."""
    code = main(["doctor", "--json", *argv])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads(make_doctor_schema.SCHEMA.read_text("utf-8")))
    return code, document


def test_a_machine_that_runs_the_tests_is_fine_and_no_network_is_used(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    asked = []

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
            asked.append((event, arguments))

    with audited(on_event, in_all_threads=True):
        code, document = examined(
            capsys,
            "--model=a0-base",
            f"--input={samples_dir}",
            "--input=s3://bucket/videos",
            f"--output={tmp_path / 'labels'}",
        )
    assert asked == []
    statuses = {check["id"]: check["status"] for check in document["checks"]}
    assert set(statuses) == {check.id for check in CHECKS} - {"stores", "hub", "runner"}
    assert (code, document["exit_code"]) == (0, 0), document
    assert statuses["model"] == "warning" and statuses["decoder"] == statuses["demo"] == "ok"


def test_names_select_checks(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = examined(capsys, "cores", "python")
    assert (code, [check["id"] for check in document["checks"]]) == (0, ["python", "cores"])
    assert main(["doctor", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(check.id in listed for check in CHECKS)


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "output", "--output=/proc/labels"]) == 1
    printed = capsys.readouterr().out
    assert "expected:" in printed and "remedy:" in printed
    assert main(["doctor", "output"]) == 0
    assert main(["doctor", "output", "--strict"]) == 1
    assert main(["doctor", "shared_memory", "model", "--model=no-such-model"]) == 1
    for wrong in (["--frobnicate"], ["no-such-check"], ["--precision=int4"]):
        with pytest.raises(SystemExit) as stopped:
            main(["doctor", *wrong])
        assert stopped.value.code == 2
    assert main(["doctor", "--output= "]) == 2
    assert capsys.readouterr().out.count("remedy") == 3


def test_a_store_is_reached_with_the_flags_of_the_run(
    capsys: pytest.CaptureFixture[str], s3: object_stores.S3Server, without_aws_keys: pytest.MonkeyPatch
) -> None:
    flags = ["stores", "credentials", f"--output={s3.uri}/labels", *object_stores.s3_flags(s3.url)]
    with object_stores.used_by_beam([]):
        code, document = examined(capsys, *flags, "--reach")
        assert (code, document["status"]) == (0, "ok")
        assert "test-secret" not in json.dumps(document) and "test-key" not in json.dumps(document)
        assert examined(capsys, *flags)[1]["checks"][1]["remedy"].startswith("pass --reach")


def test_what_is_fine_takes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "cores"]) == 0
    printed = capsys.readouterr().out
    assert "remedy" not in printed and printed.rstrip().endswith("1 check: 1 ok")


def test_a_runner_on_this_machine_runs_a_small_job(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = examined(capsys, "runner", "--runner=DirectRunner")
    (check,) = document["checks"]
    assert (code, check["status"], document["hosts"]) == (0, "ok", [])
    assert "1 host" in check["found"]


def test_a_cluster_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    flags = ["--runner=FlinkRunner", "--flink_master=localhost:1", f"--output={tmp_path}"]
    code, document = examined(capsys, "runner", *flags)
    assert (code, document["checks"][0]["status"]) == (1, "error")
