"""Starts a run, part by part where it is long, and says how each ended."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from reelbeam.pipeline.flags.options import is_local
from reelbeam.pipeline.job.earlier_runs import dated_after, last_run, name_part, warn_of_future, warn_of_other_work
from reelbeam.pipeline.job.graph import build_graph, build_selection
from reelbeam.pipeline.job.jobs import make_program, plain_message, run_job
from reelbeam.pipeline.job.preparation import LoadedModel, check_inputs, prepare_run, run_facts, unwritable
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.runners import dataflow
from reelbeam.pipeline.runners.flink_job import job_of
from reelbeam.pipeline.runners.heap import trim_malloc
from reelbeam.pipeline.settings import bounds
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.settings.label_settings import LOCAL_VIDEOS_PER_PART
from reelbeam.transforms import errors, metrics, storage
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.engine import choose_engine, with_found_kind
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.output.commits import read_rejection_record, recover
from reelbeam.transforms.output.ledger import count_labeled
from reelbeam.transforms.output.lock.output_lock import (
    FIRST_JOB_LEASE_SECONDS,
    LOCAL_LEASE_SECONDS,
    LockTicket,
    OutputLock,
)
from reelbeam.transforms.output.run_document import RunDocument
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import read_run
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.selection.parts import Part, read_selection, to_parts
from reelbeam.transforms.stored_models import localized
from reelbeam.transforms.write_results import commit


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: that of one part, where there are several.

    Attributes:
      exit_code: 0 committed, 1 the job failed, 3 refused because too many inputs failed.
      paths: where the run's files are.
      summary: the run document, of a rejected run a `RejectedRun`; None where the job broke before it was written.
      error: what broke, in one line; None for exit code 0.
      job: the submitted job's name for its runner, where nobody waited for its end, or could; None where somebody did.
    """

    exit_code: int
    paths: RunPaths
    summary: RunDocument | None
    error: str | None = None
    job: str | None = None


def run_labeling(
    config: LabelingConfig,
    options: PipelineOptions,
    wait: bool = True,
    on_name: Callable[[str], None] = lambda run_id: None,
) -> Iterator[Outcome]:
    """Labels videos as `config` says, on the runner that `options` name, and waits for the end if it is to.

    Where the runner is local, a first job finds out what is to be labeled, and each part of that is a run of its own,
    see `reelbeam.transforms.selection.parts`. On a cluster one job does it all, unless `videos_per_part` is given:
    workers take long to start there.

    `on_name` is told the name of the run as soon as it has one.

    Yields:
      the outcome of each part, as soon as it is committed. The first one that isn't is the last.

    Raises:
      ConfigError: an input or the list cannot be read or names nothing, the output cannot be written, or there is no
        such runner.
      RunError: a store does not answer now.
      ModelError: the model or its labels cannot be used.
      OutputLockedError: another run writes to the output.
    """
    FileSystems.set_options(options)
    local = is_local(options)
    if local and not wait:
        raise errors.ConfigError("--no_wait: a local run ends with its process; leave the flag out")
    if local:
        num_threads = options.view_as(DirectOptions).direct_num_workers
        bounds.check_address_space(num_threads, config.decoder_limits.memory_bytes)
        sandboxed.check_confinement(config.decoder_limits)
    if dataflow.is_dataflow(options):
        config = dataflow.for_workers(config, options)
    config = dataclasses.replace(
        config,
        output=storage.normalize(config.output).rstrip("/"),
        engine=choose_engine(config.engine, localized(config.model), runs_here=local),
    )
    make_program(options)  # flags that Beam refuses are met first
    check_inputs(config)
    config = config.with_model(with_found_kind(config.model))
    last = last_run(config.output)
    warn_of_future(last, config.output)
    labels, run = prepare_run(config, last)
    on_name(run.run_id)
    # Loaded here, so that a model that does not fit is met before the work, and on a new output before anything is
    # written; local workers share this very copy. A night with nothing to do does without.
    warn_of_other_work(last, run, config.output)
    model = LoadedModel.load(config, labels) if last is None else None
    videos_per_part = _videos_per_part(config, local, wait)
    lock = LockTicket(config.output, run.run_id, outlives_launcher=not local and not videos_per_part)
    progress = RunProgress()
    with hold_output(lock, local, config.wait_for_lock, progress) as held:
        last = last_run(config.output)  # the run may have waited for the lock
        run = dated_after(run, last)
        if not videos_per_part:
            model = model or LoadedModel.load(config, labels)
            yield label_at_once(config, options, labels, name_part(run, 1, 1), model.tables, lock, held, wait, progress)
            return
        num_vouching = 0
        try:
            parts = select(config, options, run, videos_per_part, progress)
            if isinstance(parts, Outcome):
                yield parts
                return
            if parts[0].path is None and last is not None:
                yield commit_nothing(config, run, lock, parts[0])
                return
            model = model or LoadedModel.load(config, labels)
            progress.begin(sum(part.num_videos for part in parts))
            for number, part in enumerate(parts, start=1):
                part_run = name_part(run, number, len(parts))
                run = dataclasses.replace(run, labeled_at=part_run.labeled_at)
                part = part._replace(num_vouching=num_vouching)
                progress.begin_part(part.num_videos)
                held.renew()
                outcome = label(config, options, labels, part_run, model.tables, lock, part, progress=progress)
                yield outcome
                if outcome.exit_code or outcome.summary is None:
                    return
                num_vouching += outcome.summary.counts.ok + count_labeled(outcome.summary.skipped)
        finally:
            forget_selection(RunPaths(config.output, run.run_id))
    del model


def _videos_per_part(config: LabelingConfig, local: bool, wait: bool) -> int:
    if not wait and config.videos_per_part:
        raise errors.ConfigError("--no_wait submits one job: leave out --videos_per_part, or wait for the parts")
    if config.videos_per_part is None:
        return LOCAL_VIDEOS_PER_PART if local else 0
    return config.videos_per_part


def select(
    config: LabelingConfig,
    options: PipelineOptions,
    run: RunInfo,
    videos_per_part: int,
    progress: RunProgress | None = None,
) -> list[Part] | Outcome:
    """Runs the job that finds out what is to be labeled; returns its parts, or what went wrong."""
    program = make_program(options)
    paths = RunPaths(config.output, run.run_id)
    metrics.reset_tally()
    build_selection(program, config, run, videos_per_part)
    with trim_malloc():
        end = run_job(program, options, progress=progress)
    if end.error is not None:
        return failed(paths, end.error)
    return to_parts(paths, read_selection(paths))


def label(
    config: LabelingConfig,
    options: PipelineOptions,
    labels: LabelMap,
    run: RunInfo,
    tables: Mapping[str, pa.Schema],
    lock: LockTicket,
    part: Part | None = None,
    wait: bool = True,
    progress: RunProgress | None = None,
) -> Outcome:
    """Runs the job that labels, all that is to be labeled or one part of it, and commits."""
    program = make_program(options)
    paths = RunPaths(config.output, run.run_id)
    # The job before listed the videos of a part, and told which were named twice.
    metrics.reset_tally(*([metrics.DUPLICATES_DROPPED] if part else []))
    build_graph(program, config, labels, run, run_facts(config, run), tables, lock, part)
    end = run_job(program, options, wait, progress)
    if end.error is not None:
        return dataclasses.replace(failed(paths, end.error), job=end.job)
    return Outcome(0, paths, None if end.job else read_run(paths), job=end.job)


def label_at_once(
    config: LabelingConfig,
    options: PipelineOptions,
    labels: LabelMap,
    run: RunInfo,
    tables: Mapping[str, pa.Schema],
    lock: LockTicket,
    held: OutputLock,
    wait: bool,
    progress: RunProgress | None = None,
) -> Outcome:
    """Labels all in one job, which on a cluster may outlive this process: only then the output stays locked for it."""
    if not lock.outlives_launcher:
        return label(config, options, labels, run, tables, lock, wait=wait, progress=progress)
    held.leave_to_job()
    goes_on = False
    try:
        outcome = label(config, options, labels, run, tables, lock, wait=wait, progress=progress)
        goes_on = outcome.job is not None
        return outcome
    except KeyboardInterrupt:
        goes_on = job_of(options) is None  # Flink's was taken off the cluster; nobody does so with others
        raise
    finally:
        if not goes_on:
            held.take_back()


def forget_selection(paths: RunPaths) -> None:
    """Deletes what the parts read: it holds URIs as they were given, with their signatures."""
    try:
        with storage.storage_errors(paths.staging):
            storage.delete_folder(FileSystems.join(paths.staging, "selected"))
            if not FileSystems.exists(paths.rejection_record):
                storage.delete_folder(paths.staging)
    except errors.StorageError as failure:  # the next start does so
        logging.getLogger(__name__).warning("%s could not be removed: %s", paths.staging, failure)


def commit_nothing(config: LabelingConfig, run: RunInfo, lock: LockTicket, part: Part) -> Outcome:
    """Commits a run in which everything was skipped: it needs no job, no model and no files but its JSON."""
    paths = RunPaths(config.output, run.run_id)
    facts = run_facts(config, run)
    with storage.storage_errors(config.output):
        ratio, inputs = config.max_failure_ratio, part.num_inputs
        return Outcome(0, paths, commit(facts, paths, ratio, lock, [], inputs, part.outcomes, ignored=part.ignored))


@contextlib.contextmanager
def hold_output(lock: LockTicket, local: bool, wait: bool, progress: RunProgress | None = None) -> Iterator[OutputLock]:
    """Keeps other runs from the output meanwhile, after seeing to what runs left that were cut off.

    The lock says how far the run is, where `progress` knows.

    Raises:
      ConfigError: the output cannot be written.
      RunError: it cannot be written now.
      OutputLockedError: another run writes there.
    """
    lease_seconds = FIRST_JOB_LEASE_SECONDS if lock.outlives_launcher else LOCAL_LEASE_SECONDS
    with contextlib.ExitStack() as stack:
        try:
            told = progress or RunProgress()
            held = stack.enter_context(OutputLock(lock, lease_seconds, wait, local, told.for_lock))
            with storage.storage_errors(lock.output):
                recovered = recover(lock.output)
        except errors.StorageError as error:
            raise unwritable(lock.output, error) from error
        log = logging.getLogger(__name__)
        for run_id in recovered.finished:
            log.warning("finished the commit of run %s, which was cut off", run_id)
        for run_id in recovered.removed:
            log.warning("removed what run %s left when it was cut off or refused", run_id)
        yield held


def failed(paths: RunPaths, error: Exception) -> Outcome:
    """A refused run left its summary; any other failure is told by the last error of our tree in the runner's text."""
    try:
        committed, refused = read_run(paths), read_rejection_record(paths)
    except errors.StorageError as unread:  # what broke the job, maybe
        told = f"{plain_message(str(error))}; whether it was committed before cannot be told: {unread}"
        return Outcome(1, paths, None, told)
    if committed is not None:  # the runner broke after the graph had committed the run: it counts
        return Outcome(0, paths, committed)
    if refused is not None:
        exit_code = 3 if refused.refused.code == errors.TooManyFailuresError.code else 1
        return Outcome(exit_code, paths, refused, refused.refused.message)
    return Outcome(1, paths, None, plain_message(str(error)))
