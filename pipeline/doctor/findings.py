"""The result of a check, and the document of `reelbeam doctor --json`."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterable
from typing import Annotated, Literal

from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.typed_json import Rule, json_schema

SCHEMA_VERSION = 1

Status = Literal["ok", "warning", "error", "unknown"]
_STATUSES: tuple[Status, ...] = ("ok", "unknown", "warning", "error")
"""The statuses, the best first."""

_STATUS = Rule(lambda value: value in _STATUSES, {"enum": list(_STATUSES)})


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """One check.

    Attributes:
      id: the name of the check.
      status: ok, warning, error, or unknown if the check could not find out.
      found: what this machine has.
      expected: what it should have; "" if the status is ok.
      remedy: what to do; "" if the status is ok.
      ms: the duration of the check in milliseconds.
    """

    id: str
    status: Annotated[str, _STATUS]
    found: str
    expected: str
    remedy: str
    ms: int


@dataclasses.dataclass(frozen=True)
class HostChecks:
    """The checks on one worker of a runner.

    Attributes:
      host: the name of the worker's machine.
      checks: their results.
    """

    host: str
    checks: tuple[CheckResult, ...]


@dataclasses.dataclass(frozen=True)
class DoctorReport:
    """The document of `reelbeam doctor --json`.

    Attributes:
      schema_version: the version of this document.
      reelbeam: the version of Reelbeam.
      status: the worst status of all checks.
      exit_code: 0 if no check failed, 1 otherwise.
      checks: the results on this machine, in their order.
      hosts: the results on the workers of the runner.
    """

    schema_version: int
    reelbeam: str
    status: Annotated[str, _STATUS]
    exit_code: int
    checks: tuple[CheckResult, ...]
    hosts: tuple[HostChecks, ...]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
      status: see `CheckResult`, as the following.
      hosts: the checks on workers, if it ran some.
    """

    status: Status
    found: str
    expected: str = ""
    remedy: str = ""
    hosts: tuple[HostChecks, ...] = ()

    def result(self, check: str, ms: int) -> CheckResult:
        """Returns the result of a check: without secrets, and with ~ for the home folder."""
        return CheckResult(check, self.status, clean(self.found), clean(self.expected), clean(self.remedy), ms)


def ok(found: str) -> Finding:
    """Returns the finding of a check that has no complaint."""
    return Finding("ok", found)


def worst(statuses: Iterable[str]) -> Status:
    """Returns the worst status: error, then warning, then unknown.

    >>> worst(["ok", "unknown", "warning"]), worst([])
    ('warning', 'ok')
    """
    there = set(statuses)
    return max((status for status in _STATUSES if status in there), key=_STATUSES.index, default="ok")


def exit_code(status: str, strict: bool) -> int:
    """Returns the exit code for the worst status: 1 for an error, and if `strict` for all but ok.

    >>> [exit_code(status, strict) for status in ("warning", "error") for strict in (False, True)]
    [0, 1, 1, 1]
    """
    return int(status == "error" or (strict and status != "ok"))


def clean(text: str) -> str:
    """Returns a text in one line, without the secrets of addresses, and with ~ for the home folder."""
    text = without_query(" ".join(text.split()))
    try:
        home = str(pathlib.Path.home())
    except RuntimeError:  # a user without a name, in a container, has no home
        return text
    return text if home == "/" else re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)


def report_schema() -> dict[str, object]:
    """Returns the JSON Schema of the document."""
    return json_schema("The result of reelbeam doctor", DoctorReport)
