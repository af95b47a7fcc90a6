"""Decide whether a run counts, and commit it or record why not.

A run counts if its rows add up and not too many of its inputs failed. `commits.py` has the steps of a commit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from reelbeam.transforms.errors import (
    LockLostError,
    NotAVideoError,
    NoVideoStreamError,
    ReconciliationError,
    RunError,
    TooManyFailuresError,
    UnsupportedVideoUriError,
)
from reelbeam.transforms.output.commits import finish, write_commit_record
from reelbeam.transforms.output.ledger import SELECTED, SKIPPED, count_labeled
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_counts import Counts, ErrorCount, PlannedCost, RunCost
from reelbeam.transforms.output.run_document import RejectedRun, Rejection, RunDocument, RunFacts
from reelbeam.transforms.output.run_files import (
    RunPaths,
    WrittenFile,
    files_by_table,
    summarize_files,
    to_line,
    write_atomically,
)
from reelbeam.transforms.output.runs import utc_now
from reelbeam.transforms.records import VideoSummary
from reelbeam.transforms.schemas import SCHEMA_VERSION
from reelbeam.transforms.storage.ignored import most_frequent
from reelbeam.transforms.wording import counted

_MAX_KNOWN_GOOD = 20
"""The maximum number of labeled videos that count as successes in the share of failures."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommitConfig:
    """What a commit needs besides the run's results.

    Attributes:
      paths: the names of the run's files.
      facts: the configuration, model and versions, for the run document.
      max_failure_ratio: the maximum share of failed inputs, from 0 to 1.
      lock: the run's lock of the output; None if no other run can write there.
      num_known_good: the number of videos that earlier runs have labeled, in addition to the skipped ones; see `check`.
      planned_cost_of_clip: what labeling a clip is expected to cost.
    """

    paths: RunPaths
    facts: RunFacts
    max_failure_ratio: float
    lock: LockTicket | None = None
    num_known_good: int = 0
    planned_cost_of_clip: PlannedCost | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResults:
    """The results of a run.

    Attributes:
      files: the written files.
      num_inputs: the number of listed inputs, including skipped ones.
      outcomes: the number of selected and skipped inputs by reason, see `reelbeam.transforms.output.ledger`.
      ignored: the number of files and folders that the listing left out, by kind.
      num_excused: the number of failed files that do not count for `max_failure_ratio`, see `is_excused`.
      cost: what the run has cost.
    """

    files: Sequence[WrittenFile]
    num_inputs: int
    outcomes: Mapping[str, int]
    ignored: Mapping[str, int] = dataclasses.field(default_factory=dict)
    num_excused: int = 0
    cost: RunCost = RunCost()


def commit(config: CommitConfig, results: RunResults) -> RunDocument:
    """Checks the written files and commits the run. Repeating it changes nothing.

    Returns:
      The run document.

    Raises:
      ReconciliationError: the rows do not add up to the inputs.
      TooManyFailuresError: too many inputs failed.
      LockLostError: another run has taken over the output.
    """
    paths, lock = config.paths, config.lock
    finished = finish(paths)
    if isinstance(finished, RunDocument):
        return finished
    document = _to_document(config, results)
    try:
        num_known_good = count_labeled(document.skipped) + config.num_known_good
        check(
            document.counts,
            max_failure_ratio=config.max_failure_ratio,
            num_known_good=num_known_good,
            errors=document.errors,
        )
        if lock is not None:
            lock.require()
    except RunError as error:
        _reject(config, document, results.files, error)
        raise
    write_commit_record(paths, document, results.files)
    finish(paths)
    if lock is not None:
        lock.release_after_commit()
    return document


def _to_document(config: CommitConfig, results: RunResults) -> RunDocument:
    """Returns the document of a run, with the counts of the rows that its files hold."""
    contents = summarize_files(config.paths, results.files)
    outcomes = results.outcomes
    skipped = {reason: outcomes[reason] for reason in SKIPPED if outcomes.get(reason)}
    return RunDocument(
        **vars(config.facts),
        schema_version=SCHEMA_VERSION,
        counts=Counts(
            inputs=results.num_inputs, **contents.counts, skipped=sum(skipped.values()), excused=results.num_excused
        ),
        errors=contents.errors,
        labels=contents.labels,
        files=contents.files,
        finished_at=utc_now().isoformat(),
        selected={reason: outcomes[reason] for reason in SELECTED if outcomes.get(reason)},
        skipped=skipped,
        ignored=most_frequent(results.ignored),
        cost=results.cost,
        planned_cost=config.planned_cost_of_clip and config.planned_cost_of_clip.times(contents.counts["clips"]),
    )


def _reject(config: CommitConfig, document: RunDocument, files: Sequence[WrittenFile], error: RunError) -> None:
    """Records why a run does not count, and releases its lock. The next start removes its files."""
    paths, lock = config.paths, config.lock
    rejected = RejectedRun(
        **vars(document) | {"files": files_by_table(files, paths.staged)},
        rejection=Rejection(error.code, str(error)),
    )
    write_atomically(paths.rejection_record, lambda sink: sink.write(to_line(rejected)))
    if lock is not None and not isinstance(error, LockLostError):
        lock.release_after_commit()


def is_excused(summary: VideoSummary) -> bool:
    """Returns whether a failed file counts neither as an input nor as a failure, see `check`.

    That is a file that was found in a folder by an extension which other files have, too (`.ts`), and that is not a
    video. Only the first attempt counts.
    """
    code = summary.failure and summary.failure.code
    is_other_file = summary.status == "failed" and code in (NotAVideoError.code, NoVideoStreamError.code)
    return summary.video.is_guess and is_other_file and summary.video.attempt == 1


def check(
    counts: Counts, *, max_failure_ratio: float, num_known_good: int = 0, errors: Sequence[ErrorCount] = ()
) -> None:
    """Checks that the rows add up, and that not too many inputs failed.

    The share of failures counts first attempts only: an earlier run has reported the others. Up to 20 labeled videos
    count as successes, so that one bad file does not fail a small run. Excused files do not count.

    Args:
      counts: of the run.
      max_failure_ratio: the maximum share of failed inputs, from 0 to 1.
      num_known_good: the number of videos that are known to be labeled.
      errors: the run's errors by code, for the message.

    Raises:
      ReconciliationError: the rows do not add up.
      TooManyFailuresError: too many inputs failed.
    """
    rows = counts.ok + counts.partial + counts.failed
    if not counts.inputs - counts.skipped == counts.videos == rows:
        raise ReconciliationError(
            f"{counted(counts.inputs, 'input')}, but the videos table has {dataclasses.asdict(counts)}"
        )
    if counts.clips != counts.video_clips or counts.ok_videos_without_all_clips:
        raise ReconciliationError(
            f"clip rows do not add up to what the videos table says: {dataclasses.asdict(counts)}"
        )
    failed, tried = counts.failed_first_attempts - counts.excused, counts.first_attempts - counts.excused
    if failed > max_failure_ratio * (tried + min(num_known_good, _MAX_KNOWN_GOOD)):
        raise TooManyFailuresError(
            f"{failed} of {counted(tried, 'input')} failed, more than --max_failure_ratio {max_failure_ratio:g} "
            f"allows: {_remedy(errors)}"
        )


def _remedy(errors: Sequence[ErrorCount]) -> str:
    """Returns what to do about failures. A scheme that this installation cannot read fails with any ratio."""
    of_setup = (str(entry.message) for entry in errors if entry.code == UnsupportedVideoUriError.code)
    return next(of_setup, "fix the errors, or raise --max_failure_ratio")
