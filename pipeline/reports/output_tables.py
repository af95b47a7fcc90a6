"""The tables of `reelbeam status` and `verify`."""

from __future__ import annotations

import datetime

from rich.console import Console
from rich.table import Column
from rich.text import Text

from reelbeam.pipeline.reports.cost import cost_text
from reelbeam.pipeline.terminal.console import make_table, make_wide_console, printable, right
from reelbeam.transforms.output.inspection.overview import Overview
from reelbeam.transforms.output.inspection.verification import Verification
from reelbeam.transforms.output.lock.lock_file import LockProgress
from reelbeam.transforms.wording import counted, duration

_STATE_TEXTS = {
    "interrupted": "interrupted: start the same `reelbeam label` again to continue",
    "interrupted in its commit": "interrupted in its commit: the next `reelbeam label` or `reelbeam compact` "
    "completes it",
}
_STATE_COLORS = {
    "running": "green",
    "committing": "green",
    "interrupted": "red",
    "rejected": "red",
    "interrupted in its commit": "red",
}


def print_status(found: Overview) -> None:
    """Prints an overview."""
    console = make_wide_console()
    _print_runs(found, console)
    for entry in found.now:
        where = f" on {entry.host} (process {entry.process_id}) since {entry.since}" if entry.host is not None else ""
        line = Text(printable(f"{entry.run_id}{where}: "))
        line.append(_STATE_TEXTS.get(entry.state, entry.state), style=_STATE_COLORS[entry.state])
        line.append(_progress(entry.progress) if entry.progress else "")
        line.append("" if entry.message is None else f", {printable(entry.message)}")
        console.print(line)

    if not found.num_runs:
        console.print("no run is committed yet")
        return
    totals = found.totals
    if totals.errors:
        table = make_table("error, current rows", right("videos"))
        for code, number in totals.errors.items():
            table.add_row(Text(printable(code), style="red"), str(number))
        console.print(table)
    if totals.labels:
        table = make_table("most frequent labels, current rows", right("videos"))
        for label, number in totals.labels.items():
            table.add_row(Text(printable(label)), str(number))
        console.print(table)
    console.print(
        f"{counted(totals.videos, 'video')} ({duration(totals.video_ms / 1000)}): {totals.ok} ok, "
        f"{totals.partial} partial, {totals.failed} failed; {counted(totals.clips, 'clip')}; "
        f"last success {found.last_success}"
    )
    files = ", ".join(counted(n, f"{table} file") for table, n in found.num_files.items())
    runs, compactions = counted(found.num_runs, "run"), counted(found.num_compactions, "compaction")
    console.print(f"{files}; {runs}, {compactions}", style="dim")


def _progress(progress: LockProgress) -> str:
    """Returns the progress of a run as text.

    >>> _progress(LockProgress(12, 30, "2026-01-31T06:00:00+00:00"))
    ', 12 of 30 videos (40%) at 06:00:00 UTC'
    """
    done, videos = progress.videos_done, progress.videos
    at = datetime.datetime.fromisoformat(progress.at)
    return f", {done} of {counted(videos, 'video')} ({done / max(videos, 1):.0%}) at {at:%H:%M:%S} UTC"


def _print_runs(found: Overview, console: Console) -> None:
    names = ("videos", "ok", "partial", "failed", "skipped", "clips", "took")
    table = make_table(Column("run", no_wrap=True), Column("finished (UTC)", no_wrap=True), "model", *map(right, names))
    for run in found.runs:
        table.add_row(
            Text(run.run_id),
            Text(run.finished_at[:16].replace("T", " ")),
            Text(printable(run.model.rsplit("/", 1)[-1])),
            *(str(getattr(run.counts, name)) for name in names[:-1]),
            _took(run.started_at, run.finished_at),
        )
    if found.runs:
        console.print(table)
    if cost := cost_text((run.cost, run.counts) for run in found.runs):
        console.print(f"{cost}, in the runs above", style="dim")
    if len(found.runs) < found.num_runs:
        console.print(
            f"the last {len(found.runs)} of {counted(found.num_runs, 'run')}; --runs N shows more", style="dim"
        )


def _took(started_at: str, finished_at: str) -> str:
    times = (datetime.datetime.fromisoformat(text) for text in (finished_at, started_at))
    seconds = round((next(times) - next(times)).total_seconds())
    return str(datetime.timedelta(seconds=seconds))


def print_faults(found: Verification) -> None:
    """Prints each fault on one line that begins with its file, so that grep can process it."""
    for fault in found.faults:
        print(printable(f"{fault.path}: {fault.message}"))
    if not found.faults:
        print(printable(f"{found.output}: no faults found"))
