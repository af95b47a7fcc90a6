"""How `reelbeam status`, `verify` and `diff` look on a terminal."""

from __future__ import annotations

import datetime
from typing import Any

from rich.console import Console
from rich.table import Column
from rich.text import Text

from reelbeam.pipeline.reports.reasons import skipped_text
from reelbeam.pipeline.terminal.console import make_console, make_table, printable, right, whole
from reelbeam.transforms.wording import counted, duration, first_and_more

_ROWS_SHOWN = 20
_WIDTH_OF_PIPES = 10_000
_STATE_TEXTS = {"dead": "interrupted: start the same `reelbeam label` again, and it does the rest"}
_STATES = {"running": "green", "committing": "green", "dead": "red", "refused": "red", "cut off in its commit": "red"}


def _console() -> Console:
    """Returns a console that cuts nothing off where a program reads: lines are as long as they need to be."""
    console = make_console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_PIPES
    return console


def print_status(found: dict[str, Any]) -> None:
    """Prints an overview, see `reelbeam.transforms.output.overview.overview`."""
    console = _console()
    _print_runs(found, console)
    for entry in found["now"]:
        where = f" on {entry['host']} (process {entry['process_id']}) since {entry['since']}" if "host" in entry else ""
        line = Text(printable(f"{entry['run_id']}{where}: "))
        line.append(_STATE_TEXTS.get(entry["state"], entry["state"]), style=_STATES[entry["state"]])
        line.append(_progress(entry["progress"]) if "progress" in entry else "")
        line.append(f", {printable(entry['message'])}" if "message" in entry else "")
        console.print(line)
        if entry["state"] == "cut off in its commit":
            console.print("  the next `reelbeam label` or `reelbeam compact` finishes it")
    if not found["num_runs"]:
        console.print("no run is committed yet")
        return
    totals = found["totals"]
    if totals["errors"]:
        table = make_table("error, current rows", right("videos"))
        for code, number in totals["errors"].items():
            table.add_row(Text(printable(code), style="red"), str(number))
        console.print(table)
    if totals["labels"]:
        table = make_table("most frequent labels, current rows", right("videos"))
        for label, number in totals["labels"].items():
            table.add_row(Text(printable(label)), str(number))
        console.print(table)
    console.print(
        f"{counted(totals['videos'], 'video')} ({duration(totals['video_ms'] / 1000)}): {totals['ok']} ok, "
        f"{totals['partial']} partial, {totals['failed']} failed; {counted(totals['clips'], 'clip')}; "
        f"last success {found['last_success']}"
    )
    files = ", ".join(f"{n} of {table}" for table, n in found["num_files"].items())
    runs, compactions = counted(found["num_runs"], "run"), counted(found["num_compactions"], "compaction")
    console.print(f"files: {files}; {runs}, {compactions}", style="dim")


def _progress(progress: dict[str, Any]) -> str:
    """Returns how far a run is, as its lock says it.

    >>> _progress({"videos_done": 12, "videos": 30, "at": "2026-01-31T06:00:00+00:00"})
    ', 12 of 30 videos (40%) at 06:00:00 UTC'
    """
    done, videos = progress["videos_done"], progress["videos"]
    at = datetime.datetime.fromisoformat(progress["at"])
    return f", {done} of {counted(videos, 'video')} ({done / max(videos, 1):.0%}) at {at:%H:%M:%S} UTC"


def _print_runs(found: dict[str, Any], console: Console) -> None:
    names = ("videos", "ok", "partial", "failed", "skipped", "clips", "took")
    table = make_table(Column("run", no_wrap=True), "finished", "model", *map(right, names))
    for run in found["runs"]:
        counts = run["counts"]
        table.add_row(
            Text(run["run_id"]),
            Text(run["finished_at"][5:16].replace("T", " ")),
            Text(printable(run["model"].rsplit("/", 1)[-1])),
            *(str(counts[name]) for name in names[:-1]),
            _took(run["started_at"], run["finished_at"]),
        )
    if found["runs"]:
        console.print(table)
    if len(found["runs"]) < found["num_runs"]:
        console.print(
            f"the last {len(found['runs'])} of {counted(found['num_runs'], 'run')}; --runs N shows more", style="dim"
        )


def _took(started_at: str, finished_at: str) -> str:
    times = (datetime.datetime.fromisoformat(text) for text in (finished_at, started_at))
    seconds = round((next(times) - next(times)).total_seconds())
    return str(datetime.timedelta(seconds=seconds))


def print_faults(found: dict[str, Any]) -> None:
    """Prints each fault on a line that begins with its file; for grep, so never wrapped."""
    for fault in found["faults"]:
        print(printable(f"{fault['path']}: {fault['message']}"))
    if not found["faults"]:
        print(printable(f"{found['output']}: everything adds up"))


def print_difference(found: dict[str, Any]) -> None:
    """Prints a comparison, see `reelbeam.transforms.output.comparison.compare`."""
    console = _console()
    _print_pairs("changed top label", found["relabeled"], ("top_label", "top_score"), console)
    _print_pairs("changed status", found["status_changed"], ("status", "error_code"), console)
    for name, title in (("new", "only in the second run"), ("lost", "only in the first run")):
        if found[name]:
            table = make_table(whole(f"{title}: {len(found[name])}"))
            shown, more = first_and_more(found[name], _ROWS_SHOWN)
            for text in [*shown, *filter(None, [more])]:
                table.add_row(Text(printable(text)))
            console.print(table)
    if found["errors"]:
        table = make_table("error", right("before"), right("after"), right("drift"))
        for code, number in found["errors"].items():
            drift = number["after"] - number["before"]
            table.add_row(
                Text(printable(code), style="red"), str(number["before"]), str(number["after"]), f"{drift:+d}"
            )
        console.print(table)
    if found["work"]:
        console.print(Text(_work_line(found["work"])))
    videos, skipped = found["num_videos"], found["skipped"]
    console.print(
        f"{counted(videos['before'], 'video')} before, {videos['after']} after, {videos['both']} in both: "
        f"{len(found['relabeled'])} with another top label, {len(found['status_changed'])} with another status, "
        f"{_only_in('second', 'new', len(found['new']), skipped['before'])}, "
        f"{_only_in('first', 'lost', len(found['lost']), skipped['after'])}"
    )
    for side, run in (("before", "first"), ("after", "second")):
        if skipped[side]:
            reasons = skipped_text(found["skipped_by_reason"][side])
            console.print(
                Text(f"The {run} run skipped {counted(skipped[side], 'input')}, which have no row in it: {reasons}"),
                style="dim",
            )


def _only_in(run: str, word: str, number: int, num_skipped: int) -> str:
    """Returns how many videos only one run has rows of; a video that the other run skipped is neither new nor lost.

    >>> _only_in("first", "lost", 3, num_skipped=0), _only_in("first", "lost", 3, num_skipped=9)
    ('3 lost', '3 in the first run only')
    >>> _only_in("first", "lost", 3, num_skipped=1)
    '3 in the first run only (at least 2 lost)'
    """
    if not number or not num_skipped:
        return f"{number} {word}"
    sure = max(0, number - num_skipped)
    return f"{number} in the {run} run only" + (f" (at least {sure} {word})" if sure else "")


_WORK_TEXTS = {
    "model": "the model ({before}, then {after})",
    "label_map_fingerprint": "the labels",
    "sampling_fingerprint": "the sampling of clips",
    "precision": "--precision ({before}, then {after})",
    "output_activation": "the output activation ({before}, then {after})",
    "schema_version": "the schema version ({before}, then {after})",
}


def _work_line(work: dict[str, dict[str, Any]]) -> str:
    """Says in what the work of two runs differs."""
    texts = [text.format_map(work[name]) for name, text in _WORK_TEXTS.items() if name in work]
    return printable(f"The two runs differ in {', '.join(texts)}: labels and scores may differ for that reason")


def _print_pairs(title: str, rows: list[dict[str, Any]], names: tuple[str, str], console: Console) -> None:
    if not rows:
        return
    table = make_table(whole(f"{title}: {len(rows)}"), "before", "after")
    shown, more = first_and_more(rows, _ROWS_SHOWN)
    for row in shown:
        sides = (" ".join(_shown(row[f"{name}_{side}"]) for name in names).strip() for side in ("before", "after"))
        table.add_row(Text(printable(row["video_uri"])), *(Text(printable(side) or "-") for side in sides))
    if more:
        table.add_row(more, "", "")
    console.print(table)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
