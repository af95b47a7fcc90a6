"""The report on the terminal at the end of a run: its videos, its errors, and the folders of its rows."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelbeam.pipeline.job.outcome import Outcome
from reelbeam.pipeline.reports.cost import cost_lines
from reelbeam.pipeline.reports.reasons import DONE_BEFORE, skipped_text
from reelbeam.pipeline.reports.summary_json import added_up, committed_runs
from reelbeam.pipeline.terminal.console import make_table, printable, right, whole
from reelbeam.transforms import metrics
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.models.registry.catalog import DEMO
from reelbeam.transforms.output.run_counts import Counts, ErrorCount, LabelCount
from reelbeam.transforms.output.run_document import RunDocument
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.table_files import read_batches
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.schemas import RANGE, Row
from reelbeam.transforms.selection.row_options import RowOptions
from reelbeam.transforms.storage.ignored import describe
from reelbeam.transforms.wording import counted, duration

MAX_VIDEOS_SHOWN = 25
MAX_FAILED_SHOWN = 10
_LABELS_SHOWN = 3
_LOWEST_SHOWN = 0.01
_TOY = "The model demo knows nine motions of drawn shapes and nothing else: for real videos, pass --model a0-base."
_STYLES = {"ok": "green", "partial": "yellow", "failed": "red"}


def print_outcome(outcome: Outcome, console: Console, num_before: int = 0) -> None:
    """Prints the tables of a run: each video of a small run, the most frequent labels of a large one.

    Args:
      outcome: the outcome of the run or of one part of it.
      console: the console to print on.
      num_before: the number of parts that were committed before this one.
    """
    summary = outcome.summary
    if outcome.job is not None and not outcome.exit_code:
        console.print(Text(f"Submitted as job {outcome.job}. The job commits the run and then writes:"))
        console.print(Text(f"  {'summary':<7} {_shown_path(outcome.paths.document)}"), soft_wrap=True)
        return
    if summary is None:
        console.print(Text(f"The run failed: {outcome.error}", style="red"))
        committed = f"{_committed_line(num_before)} " if outcome.job is None else ""
        console.print(f"{committed}--verbose shows the whole traceback.")
        return
    if not summary.counts.videos:
        pass  # everything was skipped
    elif summary.counts.videos <= MAX_VIDEOS_SHOWN and outcome.exit_code == 0:
        _print_videos(summary, console)
    elif summary.labels:
        console.print(_labels_table(summary.labels))
    if summary.errors and not (outcome.exit_code and _lists_all_errors(summary.counts)):
        console.print(_errors_table(summary.errors))
    console.print(Text(_counts_line(summary) if summary.counts.videos else _nothing_line(summary)))
    for line in cost_lines([summary]):
        console.print(Text(line))
    if summary.model == DEMO and not num_before:
        console.print(_TOY, soft_wrap=True)
    if summary.counts.videos and summary.counts.skipped:
        console.print(Text(_skipped_line(summary)))
    if summary.ignored:
        console.print(Text(f"Ignored: {printable(describe(summary.ignored))}"))
    if duplicates := not num_before and metrics.tally()[metrics.DUPLICATES_DROPPED]:
        console.print(
            f"{counted(duplicates, 'duplicate')} left out: "
            "a video is labeled once, even if inputs or links name it more often"
        )
    if fetched := _fetched_line():
        console.print(Text(fetched))
    if outcome.exit_code:
        _print_failed(summary, console)
        console.print(Text(f"Rejected: {outcome.error}. {_committed_line(num_before)}", style="red"))
        _print_what_is_left(outcome.paths, console)
        return
    for table in ("videos", "clips", "errors"):
        if not summary.files.of(table):
            continue
        folder = f"{outcome.paths.output}/{table}/run={outcome.paths.run_id}/"
        console.print(Text(f"  {table:<7} {_shown_path(folder)}"), soft_wrap=True)
    console.print(Text(f"  {'summary':<7} {_shown_path(outcome.paths.document)}"), soft_wrap=True)


def print_total(outcomes: Sequence[Outcome], console: Console) -> None:
    """Prints the sums over the parts of a run, if there are several."""
    committed = committed_runs(outcomes)
    if len(outcomes) < 2 or not committed:
        return
    total = dataclasses.replace(
        committed[-1],
        counts=Counts.total(run.counts for run in committed),
        skipped=added_up(run.skipped for run in committed),
    )
    console.print(Text(f"Committed {counted(len(committed), 'part')}. {_counts_line(total)}"))
    for line in cost_lines(committed):
        console.print(Text(line))
    if total.skipped:
        console.print(Text(_skipped_line(total)))


def _committed_line(num_before: int) -> str:
    if not num_before:
        return "Nothing was committed."
    return f"This part was not committed. Committed before: {counted(num_before, 'part')}."


def _lists_all_errors(counts: Counts) -> bool:
    """Returns whether the list of failed videos, see `_print_failed`, shows each error of a rejected run."""
    return 0 < counts.failed <= MAX_FAILED_SHOWN and not counts.partial


def _print_failed(summary: RunDocument, console: Console) -> None:
    """Prints the first failed videos of a rejected run."""
    columns = ["video_uri", *RANGE, "status", "error_code", "error_message"]
    batches = (batch for path in summary.files.videos for batch in read_batches(path, columns))
    failed = (row for batch in batches for row in batch.to_pylist() if row["status"] == "failed")
    num_failed = summary.counts.failed
    if num_failed:
        first = f"the first {MAX_FAILED_SHOWN} of " if num_failed > MAX_FAILED_SHOWN else ""
        console.print(f"Failed: {first}{counted(num_failed, 'video')}")
    try:
        for row in itertools.islice(failed, MAX_FAILED_SHOWN):
            message = row["error_message"].removeprefix(row["video_uri"]).lstrip(": ")
            line = Text(f"  {printable(_shown_path(_shown_input(row)))} ")
            console.print(line.append(row["error_code"], "red").append(f": {printable(message)}"), soft_wrap=True)
    except StorageError as error:
        console.print(Text(f"The failed videos cannot be shown: {error}", style="red"))


def _print_what_is_left(paths: RunPaths, console: Console) -> None:
    """Prints where the rows of a rejected run are, and for how long."""
    console.print("The rows stay until the next run starts, in Parquet files with the suffix .staged:", style="dim")
    for name, place in (("videos", f"{paths.staging}/videos/"), ("errors", f"{paths.staging}/errors/")):
        console.print(Text(f"  {name:<7} {_shown_path(place)}", style="dim"), soft_wrap=True)
    console.print(Text(f"  {'summary':<7} {_shown_path(paths.rejection_record)}", style="dim"), soft_wrap=True)


def _print_videos(summary: RunDocument, console: Console) -> None:
    columns = ["video_uri", *RANGE, "status", "labels", "num_clips", "error_code"]
    try:
        batches = [batch for path in summary.files.videos for batch in read_batches(path, columns)]
    except StorageError as error:  # the run is committed anyway
        console.print(Text(f"The rows cannot be shown: {error}", style="red"))
        return
    console.print(_videos_table([row for batch in batches for row in batch.to_pylist()]))


def _videos_table(rows: Sequence[Row]) -> Table:
    table = make_table(whole("video"), "labels", right("clips"), "status")
    names = _names([_shown_input(row) for row in rows])
    for row, name in zip(rows, names, strict=True):
        labels = [x for x in row["labels"][:_LABELS_SHOWN] if x is row["labels"][0] or x["score"] >= _LOWEST_SHOWN]
        shown = ", ".join(f"{x['label']} {_shown_score(x['score'])}" for x in labels)
        shown = shown or ("-" if row["status"] == "failed" else NOTHING_RECOGNIZED)
        status = Text(row["status"], style=_STYLES[row["status"]])
        if row["error_code"]:
            status.append(f" ({row['error_code']})")
        table.add_row(Text(printable(name)), Text(shown), str(row["num_clips"]), status)
    return table


def _shown_input(row: Row) -> str:
    return shown_input(row["video_uri"], *(row.get(name) for name in RANGE))


def _shown_score(score: float) -> str:
    return f"{score:.2f}" if score >= 0.1 else f"{score:.3f}"


def _labels_table(labels: Sequence[LabelCount]) -> Table:
    table = make_table("most frequent labels", right("videos"))
    for entry in labels:
        table.add_row(Text(entry.label), str(entry.videos))
    return table


def _errors_table(errors: Sequence[ErrorCount]) -> Table:
    table = make_table("error", right("count"), whole("for example"))
    for entry in errors:
        example = Text(printable(_shown_path(entry.message or "")))
        table.add_row(Text(entry.code, style="red"), str(entry.count), example)
    return table


def _counts_line(summary: RunDocument) -> str:
    counts = summary.counts
    length = duration(counts.video_ms / 1000)
    videos, clips = counted(counts.videos, "video"), counted(counts.clips, "clip")
    return (
        f"{videos} ({length}): {counts.ok} ok, {counts.partial} partial, {counts.failed} failed; {clips}; "
        f"model {summary.model} on {summary.engine}"
    )


def _fetched_line() -> str:
    """Returns a line about the bytes fetched from object stores by this process; "" if there were none."""
    tally = metrics.tally()
    if not tally[metrics.BYTES_FETCHED]:
        return ""
    megabytes, retries = tally[metrics.BYTES_FETCHED] / 1e6, tally[metrics.STORAGE_RETRIES]
    return f"{megabytes:.1f} MB fetched from object stores; {counted(retries, 'request')} repeated"


def _nothing_line(summary: RunDocument) -> str:
    """Returns the line of a run without videos to label."""
    if not summary.skipped:
        return f"Nothing to label: {counted(summary.counts.inputs, 'input')}"
    verdict = "Nothing new" if set(summary.skipped) <= DONE_BEFORE else "Nothing to label"
    return f"{verdict}: {_skipped_line(summary)}"


def _skipped_line(summary: RunDocument) -> str:
    asked = RowOptions.of_run(summary)
    reasons = skipped_text(summary.skipped, *([f"this run's {asked.to_flags()}"] if asked else []))
    return f"{counted(summary.counts.inputs, 'input')}, {summary.counts.skipped} skipped: {reasons}"


def _names(uris: Sequence[str]) -> list[str]:
    """Returns URIs without their common folder, with an ellipsis if a result could be mistaken for a path.

    >>> _names(["/data/x/a.mp4", "/data/b.mp4"])
    ['…/x/a.mp4', '…/b.mp4']
    """
    shared = os.path.commonprefix([uri.rsplit("/", 1)[0] + "/" for uri in uris])
    start = shared.rfind("/") + 1
    if not shared[:start].strip("/") or shared[:start].endswith("://"):
        return list(uris)
    names = [uri[start:] for uri in uris]
    return [f"…/{name}" for name in names] if any("/" in name for name in names) else names


def _shown_path(path: str) -> str:
    """Returns a path relative to the working directory if it is inside, which is what the user typed."""
    cwd = str(pathlib.Path.cwd()) + "/"
    return path.removeprefix(cwd)
