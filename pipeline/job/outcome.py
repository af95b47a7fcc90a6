"""How a run ended."""

from __future__ import annotations

import dataclasses

from reelbeam.pipeline.job.jobs import plain_message
from reelbeam.transforms import errors
from reelbeam.transforms.output.commits import read_rejection_record
from reelbeam.transforms.output.run_document import RunDocument
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import read_run


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run, or one of its parts, ended.

    Attributes:
      exit_code: 0 committed, 1 the job failed, 3 refused because too many inputs failed.
      paths: the paths of the run's files.
      summary: the run document, of a rejected run a `RejectedRun`; None if the job failed before it was written.
      error: the cause of the failure, in one line; None for exit code 0.
      job: the runner's name of the submitted job if the launcher did not see its end; None otherwise.
    """

    exit_code: int
    paths: RunPaths
    summary: RunDocument | None
    error: str | None = None
    job: str | None = None


class SelectionFailedError(Exception):
    """The job that selects the videos failed.

    Attributes:
      outcome: the outcome of the run.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


def outcome_of_failure(paths: RunPaths, error: Exception) -> Outcome:
    """Returns the outcome of a job that raised an error.

    The output decides: a rejected run has its document there, and a runner may fail after the commit.
    """
    try:
        committed, rejected = read_run(paths), read_rejection_record(paths)
    except errors.StorageError as unread:  # possibly the cause of the failure
        message = f"{plain_message(str(error))}; whether it was committed before is unknown: {unread}"
        return Outcome(1, paths, None, message)
    if committed is not None:
        return Outcome(0, paths, committed)
    if rejected is not None:
        exit_code = 3 if rejected.rejection.code == errors.TooManyFailuresError.code else 1
        return Outcome(exit_code, paths, rejected, rejected.rejection.message)
    return Outcome(1, paths, None, plain_message(str(error)))
