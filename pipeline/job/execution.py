"""Execute a prepared run: in one job, in parts, or without a job if there is nothing to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Protocol

import pyarrow as pa

from reelbeam.pipeline.job.earlier_runs import dated_after, last_run, name_part
from reelbeam.pipeline.job.labeling import label, select
from reelbeam.pipeline.job.outcome import Outcome, SelectionFailedError
from reelbeam.pipeline.job.output_access import forget_selection, hold_output
from reelbeam.pipeline.job.preparation import Prepared, run_facts
from reelbeam.pipeline.job.run_model import RunModel
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.transforms import storage
from reelbeam.transforms.output.ledger import count_labeled
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.output.run_commit import CommitConfig, RunResults, commit
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.selection.parts import SelectionRecord, to_parts


@dataclasses.dataclass(frozen=True)
class HeldRun:
    """A run that holds the lock of its output.

    Attributes:
      prepared: the run, dated after every run of the output.
      model: the model of the run.
      lock: what the commit requires of the lock.
      held: the lock.
      progress: the progress of the whole run.
    """

    prepared: Prepared
    model: RunModel
    lock: LockTicket
    held: OutputLock
    progress: RunProgress


class Execution(Protocol):
    """One way to execute a run."""

    def outcomes(self) -> Iterator[Outcome]:
        """Executes the run, and yields the outcome of each part as soon as it has ended."""
        ...


def execute(prepared: Prepared) -> Iterator[Outcome]:
    """Labels videos and commits.

    On one machine, a first job selects the videos, and each part of the selection is a run with a commit of its own,
    see `reelbeam.transforms.selection.parts`. On a cluster, whose workers take long to start, one job does everything,
    unless `videos_per_part` is set.

    Yields:
      The outcome of each part, as soon as it is committed. The first one that is not committed is the last.

    Raises:
      ConfigError: the output cannot be written, or the model cannot do what the flags ask for.
      RunError: a store does not respond now.
      ModelError: the model cannot be used.
      OutputLockedError: another run writes to the output.
    """
    config, is_local = prepared.config, prepared.runner.is_local
    model, progress = RunModel(prepared), RunProgress()
    if prepared.last is None:
        model.load()  # a model that cannot be used is reported before anything is written to a new output
    outlives_launcher = not is_local and not prepared.videos_per_part
    lock = LockTicket(config.output, prepared.run.run_id, outlives_launcher)
    with hold_output(lock, is_local, config.wait_for_lock, progress) as held:
        last = last_run(config.output)  # other runs may have committed before this one got the lock
        prepared = prepared.with_run(dated_after(prepared.run, last))
        run = HeldRun(prepared, model, lock, held, progress)
        if not prepared.videos_per_part:
            yield from OneJob(run).outcomes()
            return
        try:
            selection = select(prepared, progress)
            is_done = not selection.parts and last is not None
            execution: Execution = NothingToDo(run, selection) if is_done else InParts(run, selection)
            yield from execution.outcomes()
        except SelectionFailedError as failure:
            yield failure.outcome
        finally:
            forget_selection(RunPaths(config.output, prepared.run.run_id))


@dataclasses.dataclass(frozen=True)
class OneJob:
    """Selects and labels all videos in one job, which on a cluster may outlive this process."""

    run: HeldRun

    def outcomes(self) -> Iterator[Outcome]:
        """Yields the outcome of the job."""
        tables = self.run.model.load()
        yield self._with_lock_of_job(tables) if self.run.lock.outlives_launcher else self._label(tables)

    def _with_lock_of_job(self, tables: Mapping[str, pa.Schema]) -> Outcome:
        """Leaves the lock to the job, and takes it back unless the job continues."""
        self.run.held.leave_to_job()
        continues = False
        try:
            outcome = self._label(tables)
            continues = outcome.job is not None
            return outcome
        except KeyboardInterrupt:
            continues = not self.run.prepared.runner.cancels_interrupted_jobs
            raise
        finally:
            if not continues:
                self.run.held.take_back()

    def _label(self, tables: Mapping[str, pa.Schema]) -> Outcome:
        prepared = self.run.prepared
        named = prepared.with_run(name_part(prepared.run, 1, 1))
        return label(named, tables, self.run.lock, progress=self.run.progress)


@dataclasses.dataclass(frozen=True)
class InParts:
    """Labels a selection part by part. An interruption loses only the current part."""

    run: HeldRun
    selection: SelectionRecord

    def outcomes(self) -> Iterator[Outcome]:
        """Yields the outcome of each part, up to the first one that is not committed."""
        prepared, progress = self.run.prepared, self.run.progress
        tables = self.run.model.load()
        parts = to_parts(RunPaths(prepared.config.output, prepared.run.run_id), self.selection)
        progress.begin(sum(part.num_videos for part in parts))
        whole, num_known_good = prepared.run, 0
        for number, part in enumerate(parts, start=1):
            run = name_part(whole, number, len(parts))
            whole = dataclasses.replace(whole, labeled_at=run.labeled_at)
            part = part._replace(num_known_good=num_known_good)
            progress.begin_part(part.num_videos)
            self.run.held.renew()
            outcome = label(prepared.with_run(run), tables, self.run.lock, part, progress)
            yield outcome
            if outcome.exit_code or outcome.summary is None:
                return
            num_known_good += outcome.summary.counts.ok + count_labeled(outcome.summary.skipped)


@dataclasses.dataclass(frozen=True)
class NothingToDo:
    """Commits a run in which every video was skipped. It needs no job, no model and no files except its JSON."""

    run: HeldRun
    selection: SelectionRecord

    def outcomes(self) -> Iterator[Outcome]:
        """Yields the outcome of the commit."""
        config, run = self.run.prepared.config, self.run.prepared.run
        paths, selection = RunPaths(config.output, run.run_id), self.selection
        to_commit = CommitConfig(
            paths=paths,
            facts=run_facts(config, run),
            max_failure_ratio=config.max_failure_ratio,
            lock=self.run.lock,
        )
        results = RunResults(
            files=(), num_inputs=selection.num_inputs, outcomes=selection.outcomes, ignored=selection.ignored
        )
        with storage.storage_errors(config.output):
            document = commit(to_commit, results)
        yield Outcome(0, paths, document)
