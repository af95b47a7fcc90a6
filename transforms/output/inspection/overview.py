"""An overview of an output: its committed runs, its uncommitted runs, and totals over the current rows."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.commits import pending_commits, read_rejection_record, staged_runs
from reelbeam.transforms.output.lock.lock_file import LockProgress, LockRecord, is_free, read_lock
from reelbeam.transforms.output.run_counts import Counts, PlannedCost, RunCost
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.output.tables import ROWS_IN_MEMORY, Output, answers, count_by, current_rows
from reelbeam.transforms.redaction import without_query

_TOP = 10

State = Literal["running", "committing", "interrupted", "rejected", "interrupted in its commit"]


@dataclasses.dataclass(frozen=True)
class RunEntry:
    """A committed run. The fields are those of `RunDocument`."""

    run_id: str
    started_at: str
    finished_at: str
    model: str
    engine: str
    precision: str
    counts: Counts
    skipped: Mapping[str, int]
    errors: Mapping[str, int]
    compacted_into: str | None
    cost: RunCost | None = None
    planned_cost: PlannedCost | None = None


@dataclasses.dataclass(frozen=True)
class UncommittedRun:
    """A run that is not committed.

    Attributes:
      host, process_id, since, progress: the lock's values, if the run holds the lock.
      message: why the run was rejected.
    """

    run_id: str
    state: State
    host: str | None = None
    process_id: int | None = None
    since: str | None = None
    progress: LockProgress | None = None
    message: str | None = None


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the current rows of all videos; `errors`, `labels` and `models` count videos."""

    videos: int
    ok: int
    partial: int
    failed: int
    clips: int
    video_ms: int
    errors: Mapping[str, int]
    labels: Mapping[str, int]
    models: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Overview:
    """The content of `reelbeam status`.

    Attributes:
      num_files: the number of files by table.
      last_success: when the last run was committed; None if none was.
      now: the runs that are not committed.
      runs: the last committed runs.
    """

    output: str
    num_runs: int
    num_compactions: int
    num_files: Mapping[str, int]
    last_success: str | None
    now: tuple[UncommittedRun, ...]
    runs: tuple[RunEntry, ...]
    totals: Totals


def overview(
    output: Output,
    num_runs: int,
    on_file: Callable[[str], None] = lambda path: None,
    rows_in_memory: int = ROWS_IN_MEMORY,
) -> Overview:
    """Returns the content of `reelbeam status`.

    Args:
      output: the output. It may hold no committed run yet.
      num_runs: the number of committed runs to return.
      on_file: called for each file that is read.
      rows_in_memory: the maximum number of rows that are read at once.

    Raises:
      ConfigError: there is neither a committed nor an uncommitted run.
      StorageError: a file cannot be read.
    """
    runs = output.labeling_runs()
    now = _uncommitted_runs(output.uri)
    if not output.runs and not now:
        raise output.nothing_there()
    return Overview(
        output=output.uri,
        num_runs=len(runs),
        num_compactions=len(output.runs) - len(runs),
        num_files={table: len(output.files(table)) for table in ("videos", "clips", "errors")},
        last_success=runs[-1].summary.finished_at if runs else None,
        now=tuple(now),
        runs=tuple(map(_run, runs[-num_runs:])) if num_runs else (),
        totals=_totals(current_rows(output, on_file, rows_in_memory)),
    )


def _run(run: Run) -> RunEntry:
    document = run.labeled
    return RunEntry(
        run.run_id,
        document.started_at,
        document.finished_at,
        document.model,
        document.engine,
        document.precision,
        document.counts,
        document.skipped,
        {entry.code: entry.count for entry in document.errors},
        run.compacted_into,
        document.cost,
        document.planned_cost,
    )


def _uncommitted_runs(output: str) -> list[UncommittedRun]:
    """Returns the run that holds the lock and the runs in the staging folder: running, interrupted or rejected."""
    lock = read_lock(output)
    holder = lock.holder if lock and not lock.released_at else None
    alive = bool(lock and holder and not is_free(lock))
    found = []
    pending = pending_commits(output)
    names = set(staged_runs(output)) | ({holder} if holder else set())
    for run_id in sorted(names):
        mine = holder is not None and (run_id == holder or run_id.startswith(f"{holder}-part"))
        entry = UncommittedRun(run_id, _state(output, run_id, mine and alive, run_id in pending))
        rejected = read_rejection_record(RunPaths(output, run_id))
        if rejected is not None:
            entry = dataclasses.replace(entry, message=without_query(rejected.rejection.message))
        found.append(_with_lock(entry, lock) if lock and mine else entry)
    return found


def _with_lock(entry: UncommittedRun, lock: LockRecord) -> UncommittedRun:
    facts = {name: getattr(lock, name) for name in ("host", "process_id", "since", "progress")}
    return dataclasses.replace(entry, **facts)


def _state(output: str, run_id: str, alive: bool, pending: bool) -> State:
    if pending:
        return "committing" if alive else "interrupted in its commit"
    if read_rejection_record(RunPaths(output, run_id)) is not None:
        return "rejected"
    return "running" if alive else "interrupted"


def _totals(tables: Iterable[pa.Table]) -> Totals:
    status: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[str] = collections.Counter()
    labels: collections.Counter[str] = collections.Counter()
    models: collections.Counter[str] = collections.Counter()
    num_clips = duration_ms = 0
    for rows in tables:
        status.update(_counted(rows, "status"))
        errors.update(_counted(rows, "error_code"))
        labels.update(_counted(rows.append_column("answer", answers(rows["top_label"], rows["status"])), "answer"))
        models.update(_counted(rows, "model"))
        num_clips += pc.sum(rows["num_clips"]).as_py() or 0
        duration_ms += pc.sum(rows["duration_ms"]).as_py() or 0
    return Totals(
        videos=status.total(),
        ok=status["ok"],
        partial=status["partial"],
        failed=status["failed"],
        clips=num_clips,
        video_ms=duration_ms,
        errors=dict(sorted(errors.items(), key=lambda entry: (-entry[1], entry[0]))),
        labels=dict(sorted(labels.items(), key=lambda entry: (-entry[1], entry[0]))[:_TOP]),
        models=dict(sorted(models.items())),
    )


def _counted(rows: pa.Table, name: str) -> dict[str, int]:
    """Returns the number of rows by value, without null."""
    return {value: number for value, number in count_by(rows, name).items() if value is not None}
