"""Checks are run one after another: statuses, exit codes, crashes, and the document."""

from __future__ import annotations

import json
import pathlib
import threading

import jsonschema
import pytest

from reelbeam.pipeline.doctor import running
from reelbeam.pipeline.doctor.findings import (
    CheckResult,
    DoctorReport,
    Finding,
    HostChecks,
    clean,
    exit_code,
    ok,
    report_schema,
    worst,
)
from reelbeam.pipeline.doctor.registry import CHECKS, Check, find_checks
from reelbeam.pipeline.doctor.running import examine, make_report, run_check
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.typed_json import from_json, parse_json, to_json
from tools import make_doctor_schema


class Outcome(Check):
    """A check with a given finding or exception."""

    def __init__(self, name: str, outcome: Finding | Exception, needs: str = "", applies: bool = True) -> None:
        super().__init__(name, "what it checks", "", needs, lambda subject: applies)
        object.__setattr__(self, "outcome", outcome)

    def run(self, subject: Subject) -> Finding:
        outcome = vars(self)["outcome"]
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Finding)
        return outcome


FINE = Outcome("fine", ok("all is well"))
WARNED = Outcome("warned", Finding("warning", "slow", "fast", "run faster"))


def test_a_check_that_crashes_is_unknown_and_the_others_run() -> None:
    report = examine(
        [Outcome("crash", KeyError("x")), Outcome("refused", ConfigError("no; no room; make some")), FINE], Subject()
    )
    assert [check.status for check in report.checks] == ["unknown", "error", "ok"]
    crash, refused, _ = report.checks
    assert crash.found == "the check crashed: KeyError: 'x'" and "doctor crash --verbose" in crash.remedy
    assert (refused.found, refused.remedy) == ("no; no room", "make some")
    assert (report.status, report.exit_code) == ("error", 1)


@pytest.mark.parametrize(
    ("checks", "strict", "code"),
    [
        ([FINE], True, 0),
        ([FINE, WARNED], False, 0),
        ([FINE, WARNED], True, 1),
        ([Outcome("crash", KeyError())], False, 0),
        ([Outcome("crash", KeyError())], True, 1),
        ([Outcome("bad", Finding("error", "x", "y", "z")), FINE], False, 1),
    ],
)
def test_only_errors_fail_and_with_strict_all_but_ok(checks: list[Check], strict: bool, code: int) -> None:
    report = examine(checks, Subject(), strict)
    assert report.exit_code == code == exit_code(worst(check.status for check in report.checks), strict)


def test_a_check_that_does_not_end_is_unknown() -> None:
    stop = threading.Event()

    class Hangs(Check):
        def run(self, subject: Subject) -> Finding:
            stop.wait()
            return ok("")

    result, _ = run_check(Hangs("hangs", "", ""), Subject(), max_seconds=0.05)
    stop.set()
    assert (result.status, result.found) == ("unknown", "no result within 0.05 s")
    assert result.ms >= 50


def test_what_does_not_apply_is_left_out_unless_it_is_named() -> None:
    check = Outcome("output", ok("x"), needs="--output DIR", applies=False)
    assert examine([check], Subject()).checks == ()
    (result,) = examine([check], Subject(), named=True).checks
    assert (result.status, result.remedy) == ("unknown", "pass --output DIR")


def test_texts_have_no_secrets_and_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert clean("in /home/me/.cache\nand https://u:p@host/a?sig=1") == "in ~/.cache and https://host/a"
    assert clean("/home/melanie/x, /home/me.d") == "/home/melanie/x, /home/me.d"
    assert clean("/home/me, /home/me: x /home/me") == "~, ~: x ~"
    monkeypatch.setenv("HOME", "/")
    assert clean("/tmp/x") == "/tmp/x"


def test_the_document_follows_its_published_schema() -> None:
    schema = json.loads(make_doctor_schema.SCHEMA.read_text("utf-8"))
    assert schema == report_schema(), "run `python -m tools.make_doctor_schema`"
    host = HostChecks("a", (CheckResult("cpu", "warning", "x", "y", "z", 3),))
    report = make_report([CheckResult("cpu", "ok", "x", "", "", 3)], [host])
    document = json.loads(json.dumps(to_json(report)))
    jsonschema.validate(document, schema)
    assert (from_json(DoctorReport, parse_json(json.dumps(document))), report.status) == (report, "warning")
    document["checks"][0]["status"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_names_select_checks_in_their_order() -> None:
    assert [check.id for check in find_checks(["memory", "python"])] == ["python", "memory"]
    assert find_checks([]) == CHECKS
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_a_check_whose_library_is_missing_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    (result,) = examine(find_checks(["codecs"]), Subject()).checks
    assert result.status == "unknown" and "ModuleNotFoundError" in result.found


def test_all_checks_have_a_page_that_names_them() -> None:
    page = (pathlib.Path(running.__file__).resolve().parents[2] / "docs" / "doctor.md").read_text("utf-8")
    assert all(f"`{check.id}`" in page for check in CHECKS)


def test_native_code_runs_apart_and_may_kill_its_process(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [check.id for check in CHECKS if check.is_native] == ["precision", "demo", "model"]
    checks = find_checks(["precision", "python"])
    assert [check.status for check in examine(checks, Subject()).checks] == ["ok", "ok"]
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nkill -ILL $$\n")
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    python, killed = examine(checks, Subject()).checks
    assert (python.status, killed.status) == ("ok", "error")
    assert killed.found == "the check was killed by SIGILL" and "newer CPU" in killed.remedy
