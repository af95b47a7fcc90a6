"""The line of JSON that --summary_json prints at the end of a run, for schedulers."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from reelbeam.transforms.errors import ConfigError, ReelbeamError
from reelbeam.transforms.redaction import without_query

if TYPE_CHECKING:
    from reelbeam.pipeline.job.outcome import Outcome
    from reelbeam.transforms.output.run_counts import ErrorCount, LabelCount
    from reelbeam.transforms.output.run_document import RunDocument


@dataclasses.dataclass
class Progress:
    """The progress of a run, for the report of a run that an error or an interruption ends.

    Attributes:
      output: the output; None until it is known.
      run_id: the name of the run, which its parts share; None until it is known.
      outcomes: the outcomes of its parts so far.
    """

    output: str | None = None
    run_id: str | None = None
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)

    def begin(self, run_id: str) -> None:
        """Sets the name of the run."""
        self.run_id = run_id


NO_PROGRESS = Progress()


def of_outcome(outcome: Outcome, report: str | None = None) -> str:
    """Returns the line of a run that started: its document, its status and the paths of its files.

    `status` is committed, rejected, failed or submitted; `error` is null or has a code and a message; `report` is there
    only if there is a report.
    """
    from reelbeam.transforms.typed_json import json_object  # imports Beam, which a flag error does not need

    summary = {} if outcome.summary is None else json_object(outcome.summary)
    rejection = summary.pop("rejection", None)
    if outcome.exit_code == 0:
        status = "committed" if outcome.job is None else "submitted"
    else:
        status = "rejected" if rejection else "failed"
    error = rejection or (outcome.error and {"code": "run_failed", "message": outcome.error})
    document = {"rejected": outcome.paths.rejection_record, "failed": None}.get(status, outcome.paths.document)
    return _line(
        {
            "status": status,
            "exit_code": outcome.exit_code,
            "error": error,
            "job": outcome.job,
            "output": outcome.paths.output,
            "run_json": document,
            **summary,
            "run_id": outcome.paths.run_id,
            **({"report": report} if report else {}),
        }
    )


def of_outcomes(outcomes: Sequence[Outcome], report: str | None = None) -> str:
    """Returns the line of a run of one or more parts.

    For several parts, it is the line of the last part with the sums over all committed parts: counts, cost, reasons,
    errors, labels and files. `parts` lists the runs in order.

    Args:
      outcomes: the outcomes of the parts.
      report: the URI of the HTML report; None if there is none.
    """
    *earlier, last = outcomes
    if not earlier:
        return of_outcome(last, report)
    return _line(json.loads(of_outcome(last, report)) | _sums(outcomes))


def _sums(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Returns the sums over all committed parts, and the names of all parts."""
    from reelbeam.transforms.output.run_counts import Counts, PlannedCost, RunCost
    from reelbeam.transforms.typed_json import to_json

    committed = committed_runs(outcomes)
    tables = vars(committed[0].files) if committed else ()
    return {
        "counts": to_json(Counts.total(run.counts for run in committed)) if committed else {},
        "cost": to_json(RunCost.total(run.cost for run in committed if run.cost)),
        "planned_cost": to_json(PlannedCost.total(run.planned_cost for run in committed if run.planned_cost)),
        "selected": added_up(run.selected for run in committed),
        "skipped": added_up(run.skipped for run in committed),
        "ignored": added_up(run.ignored for run in committed),
        "errors": to_json(_merged_errors(committed)),
        "labels": to_json(_merged_labels(committed)),
        "files": {table: [path for run in committed for path in run.files.of(table)] for table in tables},
        "parts": [outcome.paths.run_id for outcome in outcomes],
    }


def committed_runs(outcomes: Sequence[Outcome]) -> list[RunDocument]:
    """Returns the run documents of the committed parts in order."""
    return [outcome.summary for outcome in outcomes if outcome.exit_code == 0 and outcome.summary]


def added_up(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Returns the sums by key."""
    sums: collections.Counter[str] = collections.Counter()
    for each in counts:
        sums.update(each)
    return dict(sums)


def _merged_errors(runs: Sequence[RunDocument]) -> tuple[ErrorCount, ...]:
    """Returns the errors of all runs, merged by code, the most frequent first."""
    merged: dict[str, ErrorCount] = {}
    for entry in (entry for run in runs for entry in run.errors):
        known = merged.get(entry.code)
        merged[entry.code] = dataclasses.replace(known, count=known.count + entry.count) if known else entry
    return tuple(sorted(merged.values(), key=lambda entry: -entry.count))


def _merged_labels(runs: Sequence[RunDocument]) -> tuple[LabelCount, ...]:
    """Returns the labels of all runs, merged, the most frequent first."""
    from reelbeam.transforms.output.run_counts import LabelCount

    sums = added_up({entry.label: entry.videos} for run in runs for entry in run.labels)
    return tuple(LabelCount(label, n) for label, n in sorted(sums.items(), key=lambda entry: -entry[1]))


def of_error(error: ReelbeamError, exit_code: int, progress: Progress = NO_PROGRESS) -> str:
    """Returns the line of a run that did not start or that ended with an error."""
    return _failed(exit_code, error.code, without_query(str(error)), progress)


def of_bad_flags(message: str, exit_code: int) -> str:
    """Returns the line of a run whose flags could not be parsed."""
    return _failed(exit_code, ConfigError.code, without_query(message))


def of_interrupt(exit_code: int, progress: Progress = NO_PROGRESS) -> str:
    """Returns the line of a run that was interrupted by the keyboard or SIGTERM."""
    return _failed(exit_code, "interrupted", "", progress)


def _failed(exit_code: int, code: str, message: str, progress: Progress = NO_PROGRESS) -> str:
    values: dict[str, object] = {
        "status": "failed",
        "exit_code": exit_code,
        "error": {"code": code, "message": message},
        "output": progress.output,
        "run_id": progress.run_id,
    }
    return _line(values | (_sums(progress.outcomes) if progress.outcomes else {}))


def _line(values: dict[str, object]) -> str:
    return json.dumps(values, ensure_ascii=True)
