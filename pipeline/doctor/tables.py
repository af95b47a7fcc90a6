"""The results of checks for a terminal: one line a check, and more only where something is wrong."""

from __future__ import annotations

import collections
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelbeam.pipeline.doctor.findings import CheckResult, DoctorReport, HostChecks
from reelbeam.pipeline.doctor.registry import CHECKS
from reelbeam.pipeline.terminal.console import make_console, make_table, whole
from reelbeam.transforms.wording import counted

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red", "unknown": "magenta"}


def print_report(report: DoctorReport) -> None:
    """Prints the results, those of workers, and a last line with the numbers."""
    console = make_console()
    table = make_table("", "check", whole("found"))
    for check in report.checks:
        _add(table, check)
    console.print(table)
    if report.hosts:
        _print_hosts(report.hosts, console)
    counts = collections.Counter(check.status for check in report.checks)
    numbers = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
    console.print(Text(f"reelbeam {report.reelbeam}: {counted(len(report.checks), 'check')}: {numbers}"))


def print_list() -> None:
    """Prints the checks and what they need."""
    table = make_table("check", whole("checks"), "with")
    for check in CHECKS:
        table.add_row(check.id, check.purpose, check.needs)
    make_console().print(table)


def _add(table: Table, check: CheckResult, name: str = "") -> None:
    table.add_row(Text(check.status, style=_STYLES[check.status]), name or check.id, Text(check.found))
    if check.status != "ok":
        table.add_row("", "", Text(f"expected: {check.expected}", style="dim"))
        table.add_row("", "", Text(f"remedy: {check.remedy}"))


def _print_hosts(hosts: Sequence[HostChecks], console: Console) -> None:
    """Prints the checks of the workers: one line where all found the same, else one for each host."""
    table = make_table("", "check on workers", whole("found"))
    by_check: dict[str, dict[str, CheckResult]] = {}
    for host in hosts:
        for check in host.checks:
            by_check.setdefault(check.id, {})[host.host] = check
    for results in by_check.values():
        usual = collections.Counter(check.found for check in results.values()).most_common(1)[0][0]
        if all(check.found == usual for check in results.values()):
            _add(table, next(iter(results.values())))
            continue
        for host_name, check in results.items():
            mark = "" if check.found == usual else " ≠"
            _add(table, check, f"{check.id} {host_name}{mark}")
    console.print(table)
