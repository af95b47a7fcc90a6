"""The line of JSON with which a run ends under --summary_json: what a scheduler reads instead of the tables."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reelbeam.transforms.errors import ConfigError, ReelbeamError
from reelbeam.transforms.redaction import without_query

if TYPE_CHECKING:
    from reelbeam.pipeline.job.launch import Outcome


@dataclasses.dataclass
class Progress:
    """How far a run has come: what can be told of one that an error or an interruption ends.

    Attributes:
      output: where it writes; None before that is known.
      run_id: its name, which its parts have in common; None before it has one.
      outcomes: of its parts so far.
    """

    output: str | None = None
    run_id: str | None = None
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)

    def begin(self, run_id: str) -> None:
        """Notes that the run has got its name."""
        self.run_id = run_id


NO_PROGRESS = Progress()


def of_outcome(outcome: Outcome) -> str:
    """Returns the line of a run that began: its JSON, with how it ended and where its files are.

    `status` is committed, refused, failed or submitted; `error` is null or has a code and a message.
    """
    summary = dict(outcome.summary or {})
    refused = summary.pop("refused", None)
    if outcome.exit_code == 0:
        status = "committed" if outcome.job is None else "submitted"
    else:
        status = "refused" if refused else "failed"
    error = refused or (outcome.error and {"code": "run_failed", "message": outcome.error})
    marker = {"refused": outcome.paths.refusal, "failed": None}.get(status, outcome.paths.marker)
    return _line(
        {
            "status": status,
            "exit_code": outcome.exit_code,
            "error": error,
            "job": outcome.job,
            "output": outcome.paths.output,
            "run_json": marker,
            **summary,
            "run_id": outcome.paths.run_id,
        }
    )


def of_outcomes(outcomes: Sequence[Outcome]) -> str:
    """Returns the line of a run of one or more parts.

    Of several it is that of the last one, but for what all that were committed have in sum: counts, reasons, errors,
    labels and files. `parts` lists the runs, in order.
    """
    *earlier, last = outcomes
    if not earlier:
        return of_outcome(last)
    return _line(json.loads(of_outcome(last)) | _sums(outcomes))


def _sums(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns what all parts that were committed have in sum, and the names of all."""
    committed = committed_summaries(outcomes)
    tables = committed[0]["files"] if committed else {}
    return {
        **{name: dict(added_up(committed, name)) for name in ("counts", "taken_up", "skipped", "ignored")},
        "errors": _merged(committed, "errors", "code", "count"),
        "labels": _merged(committed, "labels", "label", "videos"),
        "files": {table: [path for summary in committed for path in summary["files"][table]] for table in tables},
        "parts": [outcome.paths.run_id for outcome in outcomes],
    }


def committed_summaries(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Returns the JSON of each part that was committed, in order."""
    return [outcome.summary for outcome in outcomes if outcome.exit_code == 0 and outcome.summary]


def added_up(summaries: Sequence[dict[str, Any]], name: str) -> collections.Counter[str]:
    """Returns the sums over runs of what stands in their JSON under a name: numbers by key."""
    sums: collections.Counter[str] = collections.Counter()
    for summary in summaries:
        sums.update(summary[name])
    return sums


def _merged(summaries: Sequence[dict[str, Any]], name: str, key: str, number: str) -> list[dict[str, Any]]:
    """Returns the entries of all summaries with equal ones added up, the most frequent first."""
    merged: dict[str, dict[str, Any]] = {}
    for entry in (entry for summary in summaries for entry in summary[name]):
        known = merged.setdefault(entry[key], entry | {number: 0})
        known[number] += entry[number]
    return sorted(merged.values(), key=lambda entry: -entry[number])


def of_error(error: ReelbeamError, exit_code: int, progress: Progress = NO_PROGRESS) -> str:
    """Returns the line of a run that never began, or that broke off."""
    return _failed(exit_code, error.code, without_query(str(error)), progress)


def of_bad_flags(message: str, exit_code: int) -> str:
    """Returns the line of a run whose flags could not be parsed."""
    return _failed(exit_code, ConfigError.code, without_query(message))


def of_interrupt(exit_code: int, progress: Progress = NO_PROGRESS) -> str:
    """Returns the line of a run that was interrupted, from the keyboard or by SIGTERM."""
    return _failed(exit_code, "interrupted", "", progress)


def _failed(exit_code: int, code: str, message: str, progress: Progress = NO_PROGRESS) -> str:
    values = {
        "status": "failed",
        "exit_code": exit_code,
        "error": {"code": code, "message": message},
        "output": progress.output,
        "run_id": progress.run_id,
    }
    return _line(values | (_sums(progress.outcomes) if progress.outcomes else {}))


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=True)
