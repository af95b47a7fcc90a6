"""Run checks. A check that crashes, or that does not end, is unknown, and the others run.

Checks that compute with native code run in a process of their own: a CPU without an instruction, or a container without
memory, kills a process, and the others must run.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence

import reelbeam
from reelbeam.pipeline import __version__
from reelbeam.pipeline.doctor.findings import (
    SCHEMA_VERSION,
    CheckResult,
    DoctorReport,
    Finding,
    HostChecks,
    exit_code,
    worst,
)
from reelbeam.pipeline.doctor.registry import Check, find_checks
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.errors import ReelbeamError

_MAX_SECONDS = 300.0
"""A check may convert a large model on first use. Nothing else takes so long, except a dead network disk."""

_log = logging.getLogger(__name__)


def examine(checks: Iterable[Check], subject: Subject, strict: bool = False, named: bool = False) -> DoctorReport:
    """Runs checks one after another.

    Args:
      checks: the checks.
      subject: what to check.
      strict: whether warnings and unknown results fail.
      named: whether the checks were asked for by name: one that does not apply is then unknown instead of left out.
    """
    results: list[CheckResult] = []
    hosts: list[HostChecks] = []
    for check in checks:
        if check.applies(subject) or named:
            result, found = run_check(check, subject)
            results.append(result)
            hosts += found
    return make_report(results, hosts, strict)


def make_report(results: Sequence[CheckResult], hosts: Sequence[HostChecks], strict: bool = False) -> DoctorReport:
    """Returns the document for results on this machine and on workers."""
    everywhere = [*results, *(result for host in hosts for result in host.checks)]
    status = worst(result.status for result in everywhere)
    return DoctorReport(SCHEMA_VERSION, __version__, status, exit_code(status, strict), tuple(results), tuple(hosts))


def run_check(
    check: Check, subject: Subject, max_seconds: float = _MAX_SECONDS
) -> tuple[CheckResult, tuple[HostChecks, ...]]:
    """Returns the result of a check, and of the checks on workers that it ran."""
    start = time.monotonic()
    found: list[Finding] = []
    # A daemon: a thread that waits for a dead disk would keep the program from ending.
    thread = threading.Thread(target=lambda: found.append(_found(check, subject)), daemon=True)
    thread.start()
    thread.join(max_seconds)
    late = Finding("unknown", f"no result within {max_seconds:g} s", "a result", "run again on an idle machine")
    finding = (found or [late])[0]
    return finding.result(check.id, round((time.monotonic() - start) * 1000)), finding.hosts


def _found(check: Check, subject: Subject) -> Finding:
    if not check.applies(subject):
        return Finding("unknown", "nothing to check", check.needs, f"pass {check.needs}")
    try:
        return _run_apart(check, subject) if check.is_native else check.run(subject)
    except ReelbeamError as error:
        what, _, remedy = str(error).rpartition("; ")  # messages end with what to do
        return Finding("error", what or remedy, check.purpose, remedy)
    except Exception as error:  # noqa: BLE001  whatever one check meets, the others run
        _log.info("the check %s crashed", check.id, exc_info=True)
        text = f"the check crashed: {type(error).__name__}: {error}"
        return Finding("unknown", text, check.purpose, f"run `reelbeam doctor {check.id} --verbose`")


def _run_apart(check: Check, subject: Subject) -> Finding:
    """Runs a check in a process of its own, with the same modules."""
    root = str(pathlib.Path(reelbeam.__file__).absolute().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *(entry for entry in sys.path if entry)])}
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
        input=pickle.dumps((check.id, subject)),
        stdout=subprocess.PIPE,
        env=environment,
        timeout=_MAX_SECONDS,
        check=False,
    )
    if done.returncode < 0:
        text = f"the check was killed by {signal.Signals(-done.returncode).name}"
        remedy = "SIGILL: use a newer CPU, see the check cpu; SIGKILL: give the container more memory"
        return Finding("error", text, check.purpose, remedy)
    found: Finding = pickle.loads(done.stdout)
    return found


def serve() -> None:
    """Runs the check that stdin names and writes its finding to stdout; only for `_run_apart`."""
    name, subject = pickle.load(sys.stdin.buffer)
    (check,) = find_checks([name])
    answer = os.dup(1)
    os.dup2(2, 1)  # what libraries print is not an answer
    found = _found(dataclasses.replace(check, is_native=False), subject)
    with os.fdopen(answer, "wb") as file:
        pickle.dump(found, file)
