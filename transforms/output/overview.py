"""An overview of an output: its runs, what is under way, and what holds now of every video."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import pyarrow.compute as pc

from reelbeam.transforms.output.commits import Run, decided_runs, read_refusal, staged_runs
from reelbeam.transforms.output.lock_file import is_free, read_lock
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.tables import Output, count_by, current_rows
from reelbeam.transforms.redaction import without_query

_TOP = 10


def overview(output: Output, num_runs: int, on_file: Callable[[str], None] = lambda path: None) -> dict[str, Any]:
    """Returns what `reelbeam status` tells, JSON-serializable.

    Args:
      output: to look at; its first run may be under way.
      num_runs: how many of the last runs are told of.
      on_file: is told of each file that is read.

    Raises:
      ConfigError: nothing is committed there, and nothing is under way.
      MediaError: a file cannot be read.
    """
    runs = output.labeling_runs()
    now = _under_way(output.uri)
    if not output.runs and not now:
        raise output.nothing_there()
    last_success = runs[-1].summary["finished_at"] if runs else None
    return {
        "output": output.uri,
        "num_runs": len(runs),
        "num_compactions": len(output.runs) - len(runs),
        "num_files": {table: len(output.files(table)) for table in ("videos", "clips", "errors")},
        "last_success": last_success,
        "now": now,
        "runs": [_run(run) for run in runs[-num_runs:]] if num_runs else [],
        "totals": _totals(output, on_file),
    }


def _run(run: Run) -> dict[str, Any]:
    summary = run.summary
    return {
        "run_id": run.run_id,
        **{name: summary.get(name) for name in ("started_at", "finished_at", "model", "engine", "precision")},
        "counts": summary["counts"],
        "skipped": summary.get("skipped", {}),
        "errors": {entry["code"]: entry["count"] for entry in summary["errors"]},
        "compacted_into": run.compacted_into,
    }


def _under_way(output: str) -> list[dict[str, Any]]:
    """What holds the output, and what stands in its staging folder: runs at work, cut off or refused."""
    lock = read_lock(output)
    holder = lock["holder"] if lock and not lock.get("released_at") else None
    alive = bool(lock and holder and not is_free(lock))
    found = []
    decided = decided_runs(output)
    names = set(staged_runs(output)) | ({holder} if holder else set())
    for run_id in sorted(names):
        mine = holder is not None and (run_id == holder or run_id.startswith(f"{holder}-part"))
        entry: dict[str, Any] = {"run_id": run_id, "state": _state(output, run_id, mine and alive, run_id in decided)}
        if lock and mine:
            entry |= {name: lock[name] for name in ("host", "process_id", "since", "progress") if name in lock}
        refusal = read_refusal(RunPaths(output, run_id))
        if refusal is not None:
            entry["message"] = without_query(refusal["refused"]["message"])
        found.append(entry)
    return found


def _state(output: str, run_id: str, alive: bool, decided: bool) -> str:
    if decided:
        return "committing" if alive else "cut off in its commit"
    if read_refusal(RunPaths(output, run_id)) is not None:
        return "refused"
    return "running" if alive else "dead"


def _totals(output: Output, on_file: Callable[[str], None]) -> dict[str, Any]:
    status: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[str] = collections.Counter()
    labels: collections.Counter[str] = collections.Counter()
    models: collections.Counter[str] = collections.Counter()
    num_clips = duration_ms = 0
    for rows in current_rows(output, on_file):
        status.update(count_by(rows, "status"))
        errors.update({code: n for code, n in count_by(rows, "error_code").items() if code is not None})
        labels.update({label: n for label, n in count_by(rows, "top_label").items() if label is not None})
        models.update(count_by(rows, "model"))
        num_clips += pc.sum(rows["num_clips"]).as_py() or 0
        duration_ms += pc.sum(rows["duration_ms"]).as_py() or 0
    return {
        "videos": status.total(),
        **{name: status[name] for name in ("ok", "partial", "failed")},
        "clips": num_clips,
        "video_ms": duration_ms,
        "errors": dict(sorted(errors.items(), key=lambda entry: (-entry[1], entry[0]))),
        "labels": dict(sorted(labels.items(), key=lambda entry: (-entry[1], entry[0]))[:_TOP]),
        "models": dict(sorted(models.items())),
    }
