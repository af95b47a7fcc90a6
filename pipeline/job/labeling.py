"""The two jobs of a run: one selects videos, one labels and commits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pyarrow as pa

from reelbeam.pipeline.job.graph import build_graph, build_selection
from reelbeam.pipeline.job.jobs import make_program, run_job
from reelbeam.pipeline.job.outcome import Outcome, SelectionFailedError, outcome_of_failure
from reelbeam.pipeline.job.preparation import Prepared, run_facts
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.runners.heap import trim_malloc
from reelbeam.transforms import metrics
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import read_run
from reelbeam.transforms.selection.parts import Part, SelectionRecord, read_selection


def select(prepared: Prepared, progress: RunProgress | None = None) -> SelectionRecord:
    """Runs the job that selects the videos and writes them down in parts.

    Raises:
      SelectionFailedError: the job failed.
      StorageError: the selection cannot be read.
    """
    program = make_program(prepared.runner)
    paths = RunPaths(prepared.config.output, prepared.run.run_id)
    metrics.reset_tally()
    build_selection(program, prepared.config, prepared.run, prepared.videos_per_part)
    with trim_malloc():
        end = run_job(program, prepared.runner, progress=progress)
    if end.error is not None:
        raise SelectionFailedError(outcome_of_failure(paths, end.error))
    return read_selection(paths)


def label(
    prepared: Prepared,
    tables: Mapping[str, pa.Schema],
    lock: LockTicket,
    part: Part | None = None,
    progress: RunProgress | None = None,
) -> Outcome:
    """Runs the job that labels videos and commits.

    Args:
      prepared: the run, under the name of the part.
      tables: the schemas of the tables.
      lock: the lock that the commit requires.
      part: the part of the selection; None: the job selects and labels all videos.
      progress: the progress of the whole run.
    """
    config, run = prepared.config, prepared.run
    program = make_program(prepared.runner)
    paths = RunPaths(config.output, run.run_id)
    # Duplicates of a part's videos were counted by the job that selected them.
    metrics.reset_tally(*([metrics.DUPLICATES_DROPPED] if part else []))
    facts = run_facts(config, run)
    build_graph(
        program,
        config,
        labels=prepared.labels,
        run=run,
        run_facts=facts,
        schemas=tables,
        lock=lock,
        part=part,
        in_place=not prepared.runner.is_local,
    )
    end = run_job(program, prepared.runner, prepared.wait, progress)
    if end.error is not None:
        return dataclasses.replace(outcome_of_failure(paths, end.error), job=end.job)
    return Outcome(0, paths, None if end.job else read_run(paths), job=end.job)
