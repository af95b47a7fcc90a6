"""The tables of `reelbeam status`, `verify` and `diff`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Column
from rich.text import Text

from reelbeam.pipeline.reports.cost import cost_text
from reelbeam.pipeline.reports.reasons import skipped_text
from reelbeam.pipeline.terminal.console import make_console, make_table, printable, right, whole
from reelbeam.transforms.output.inspection.comparison import Comparison, KeyDifference, Relabeled, StatusChange
from reelbeam.transforms.output.inspection.overview import Overview
from reelbeam.transforms.output.inspection.verification import Verification
from reelbeam.transforms.output.lock.lock_file import LockProgress
from reelbeam.transforms.wording import counted, duration, first_and_more

_ROWS_SHOWN = 20
_WIDTH_OF_PIPES = 10_000
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


def _console() -> Console:
    """Returns a console that does not truncate lines if its output is not a terminal."""
    console = make_console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_PIPES
    return console


def print_status(found: Overview) -> None:
    """Prints an overview."""
    console = _console()
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


def print_difference(found: Comparison) -> None:
    """Prints a comparison."""
    console = _console()
    _print_pairs("changed top label", found.relabeled, ("top_label", "top_score"), console)
    _print_pairs("changed status", found.status_changed, ("status", "error_code"), console)
    for uris, title in ((found.new, "only in the second run"), (found.lost, "only in the first run")):
        if uris:
            table = make_table(whole(f"{title}: {len(uris)}"))
            shown, more = first_and_more(uris, _ROWS_SHOWN)
            for text in [*shown, *filter(None, [more])]:
                table.add_row(Text(printable(text)))
            console.print(table)
    if found.errors:
        table = make_table("error", right("before"), right("after"), right("drift"))
        for code, number in found.errors.items():
            drift = number.after - number.before
            table.add_row(Text(printable(code), style="red"), str(number.before), str(number.after), f"{drift:+d}")
        console.print(table)
    if found.labeling_key:
        console.print(Text(_key_line(found.labeling_key)))
    videos, skipped = found.num_videos, found.skipped
    console.print(
        f"{counted(videos.before, 'video')} before, {videos.after} after, {videos.both} in both: "
        f"{len(found.relabeled)} with another top label, {len(found.status_changed)} with another status, "
        f"{_only_in('second', 'new', len(found.new), skipped.before)}, "
        f"{_only_in('first', 'lost', len(found.lost), skipped.after)}"
    )
    sides = (
        ("first", skipped.before, found.skipped_by_reason.before),
        ("second", skipped.after, found.skipped_by_reason.after),
    )
    for run, num_skipped, reasons in sides:
        if num_skipped:
            text = f"The {run} run skipped {counted(num_skipped, 'input')}, which have no row in it: "
            console.print(Text(text + skipped_text(reasons)), style="dim")


def _only_in(run: str, word: str, number: int, num_skipped: int) -> str:
    """Returns the number of videos with rows in one run only. Videos that the other run skipped are not new or lost.

    >>> _only_in("first", "lost", 3, num_skipped=0), _only_in("first", "lost", 3, num_skipped=9)
    ('3 lost', '3 in the first run only')
    >>> _only_in("first", "lost", 3, num_skipped=1)
    '3 in the first run only (at least 2 lost)'
    """
    if not number or not num_skipped:
        return f"{number} {word}"
    sure = max(0, number - num_skipped)
    return f"{number} in the {run} run only" + (f" (at least {sure} {word})" if sure else "")


_KEY_TEXTS = {
    "model": "the model ({0.before}, then {0.after})",
    "label_map_fingerprint": "the labels",
    "sampling_fingerprint": "the sampling of clips",
    "precision": "--precision ({0.before}, then {0.after})",
    "output_activation": "the output activation ({0.before}, then {0.after})",
    "schema_version": "the schema version ({0.before}, then {0.after})",
}


def _key_line(differences: Mapping[str, KeyDifference]) -> str:
    """Returns the line about the differences between the labeling keys of two runs."""
    texts = [text.format(differences[name]) for name, text in _KEY_TEXTS.items() if name in differences]
    return printable(f"The two runs differ in {', '.join(texts)}: labels and scores may differ for that reason")


def _print_pairs(
    title: str, rows: Sequence[Relabeled | StatusChange], names: tuple[str, str], console: Console
) -> None:
    if not rows:
        return
    table = make_table(whole(f"{title}: {len(rows)}"), "before", "after")
    shown, more = first_and_more(rows, _ROWS_SHOWN)
    for row in shown:
        sides = (
            " ".join(_shown(getattr(row, f"{name}_{side}")) for name in names).strip() for side in ("before", "after")
        )
        table.add_row(Text(printable(row.video_uri)), *(Text(printable(side) or "-") for side in sides))
    if more:
        table.add_row(more, "", "")
    console.print(table)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
