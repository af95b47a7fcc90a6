"""Starts a run and waits for its end: model checked first, then the graph, then the summary that the graph wrote."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import io
import logging
import re
import secrets
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import pipeline
from pipeline.config import LOCAL_VIDEOS_PER_PART, LabelingConfig
from pipeline.graph import build_graph, build_selection
from pipeline.options import is_local
from pipeline.progress import ProgressLine
from transforms import errors, metrics, storage
from transforms.commits import committed_runs, read_json, recover
from transforms.ledger import ALREADY_LABELED
from transforms.list_videos import matches_anything, read_input_list
from transforms.media.probe import decoder_version, library_versions
from transforms.models import resolver
from transforms.models.engine import choose_engine, load_engine, require_supported
from transforms.models.label_map import LabelMap, resolve_labels
from transforms.models.manifest import content_hash
from transforms.models.model_info import installed_versions, model_info
from transforms.output_lock import CLUSTER_LEASE_SECONDS, LOCAL_LEASE_SECONDS, LockTicket, OutputLock
from transforms.records import RunInfo
from transforms.run_files import RunPaths
from transforms.selection import Part, selection_path, to_parts
from transforms.write_results import commit

_PACKAGES = ("apache-beam", "openvino", "tensorflow", "tensorflow-hub", "av", "numpy", "pyarrow")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: that of one part, where there are several.

    Attributes:
      exit_code: 0 committed, 1 the job failed, 3 refused because too many inputs failed.
      paths: where the run's files are.
      summary: the run's JSON, or that of the refused run; None where the job broke before it was written.
      error: what broke, in one line; None for exit code 0.
    """

    exit_code: int
    paths: RunPaths
    summary: dict[str, Any] | None
    error: str | None = None


def run_labeling(config: LabelingConfig, options: PipelineOptions) -> Iterator[Outcome]:
    """Labels videos as `config` says, on the runner that `options` name, and waits for the end.

    Where the runner is local, a first job finds out what is to be labeled, and each part of that is a run of its own,
    see `transforms.selection`. On a cluster one job does it all, unless `videos_per_part` is given: workers take long
    to start there.

    Yields:
      the outcome of each part, as soon as it is committed. The first one that isn't is the last.

    Raises:
      ConfigError: an input or the list cannot be read or names nothing, the output cannot be written, or there is no
        such runner.
      ModelError: the model or its labels cannot be used.
      OutputLockedError: another run writes to the output.
    """
    FileSystems.set_options(options)
    local = is_local(options)
    config = dataclasses.replace(
        config,
        output=storage.normalize(config.output).rstrip("/"),
        engine=choose_engine(config.engine, config.model),
    )
    make_program(options)  # flags that Beam refuses are met first
    check_inputs(config)
    labels, run = prepare_run(config)
    load = functools.partial(load_engine, config.model, config.engine, config.num_threads, config.precision)
    # Loaded here, so that a model that does not fit is met before the work, and on a new output before anything is
    # written; local workers share this very copy. A night with nothing to do does without.
    engine = load() if not has_runs(config.output) else None
    videos_per_part = LOCAL_VIDEOS_PER_PART if local else 0
    if config.videos_per_part is not None:
        videos_per_part = config.videos_per_part
    lock = LockTicket(config.output, run.run_id, outlives_launcher=not local and not videos_per_part)
    with hold_output(lock, local, config.wait_for_lock):
        if not videos_per_part:
            engine = engine or load()
            yield label(config, options, labels, run, lock)
            return
        parts = select(config, options, run, videos_per_part)
        if isinstance(parts, Outcome):
            yield parts
            return
        if parts[0].path is None and has_runs(config.output):
            yield commit_nothing(config, run, lock, parts[0])
            return
        engine = engine or load()
        num_vouching = 0
        for number, part in enumerate(parts, start=1):
            part_run = name_part(run, number, len(parts))
            outcome = label(config, options, labels, part_run, lock, part._replace(num_vouching=num_vouching))
            yield outcome
            if outcome.exit_code or outcome.summary is None:
                return
            num_vouching += outcome.summary["counts"]["ok"] + outcome.summary["skipped"].get(ALREADY_LABELED, 0)
        storage.delete_folder(RunPaths(config.output, run.run_id).staging)
    del engine


def select(
    config: LabelingConfig, options: PipelineOptions, run: RunInfo, videos_per_part: int
) -> list[Part] | Outcome:
    """Runs the job that finds out what is to be labeled; returns its parts, or what went wrong."""
    program = make_program(options)
    paths = RunPaths(config.output, run.run_id)
    metrics.reset_tally()
    build_selection(program, config, run, videos_per_part)
    error = run_job(program, is_local(options))
    if error is not None:
        return failed(paths, error)
    selection = read_json(selection_path(paths))
    assert selection is not None, "the job that ended well wrote it"
    return to_parts(paths, selection)


def label(
    config: LabelingConfig,
    options: PipelineOptions,
    labels: LabelMap,
    run: RunInfo,
    lock: LockTicket,
    part: Part | None = None,
) -> Outcome:
    """Runs the job that labels, all that is to be labeled or one part of it, and commits."""
    program = make_program(options)
    paths = RunPaths(config.output, run.run_id)
    metrics.reset_tally()
    build_graph(program, config, labels, run, run_facts(config, run), lock, part)
    error = run_job(program, is_local(options))
    return failed(paths, error) if error is not None else Outcome(0, paths, read_json(paths.marker))


def run_job(program: beam.Pipeline, local: bool) -> Exception | None:
    """Runs a job to its end; returns what a runner raises for a failed one."""
    try:
        with ProgressLine(enabled=local), quiet_stderr():
            program.run().wait_until_finish()
    except (RuntimeError, BeamIOError) as error:
        logging.getLogger(__name__).info("the job failed", exc_info=True)
        return error
    return None


def commit_nothing(config: LabelingConfig, run: RunInfo, lock: LockTicket, part: Part) -> Outcome:
    """Commits a run in which everything was skipped: it needs no job, no model and no files but its JSON."""
    paths = RunPaths(config.output, run.run_id)
    facts = run_facts(config, run)
    return Outcome(0, paths, commit(facts, paths, config.max_failure_ratio, lock, [], part.num_inputs, part.fates))


def name_part(run: RunInfo, number: int, count: int) -> RunInfo:
    """Returns the run of one part; a single part bears the name of the whole."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
    run_id = run.run_id if count == 1 else f"{run.run_id}-part{number:0{len(str(count))}d}of{count}"
    return dataclasses.replace(run, run_id=run_id, started_at=now)


def make_program(options: PipelineOptions) -> beam.Pipeline:
    """Returns an empty pipeline; raises ConfigError where Beam refuses its own flags, such as an unknown runner."""
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise errors.ConfigError(str(error)) from error


@contextlib.contextmanager
def hold_output(lock: LockTicket, local: bool, wait: bool) -> Iterator[None]:
    """Keeps other runs from the output meanwhile, after seeing to what runs left that were cut off.

    Raises:
      ConfigError: the output cannot be written.
      OutputLockedError: another run writes there.
    """
    lease_seconds = LOCAL_LEASE_SECONDS if local else CLUSTER_LEASE_SECONDS
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(OutputLock(lock, lease_seconds, wait))
            with storage.storage_errors(lock.output):
                recovered = recover(lock.output)
        except errors.MediaError as error:
            raise errors.ConfigError(f"--output {lock.output} cannot be written: {error}") from error
        log = logging.getLogger(__name__)
        for run_id in recovered.finished:
            log.warning("finished the commit of run %s, which was cut off", run_id)
        for run_id in recovered.removed:
            log.warning("removed what run %s left when it was cut off or refused", run_id)
        yield


def has_runs(output: str) -> bool:
    """Whether a run has been committed; raises ConfigError where the output cannot be read."""
    try:
        return next(committed_runs(output), None) is not None
    except errors.MediaError as error:
        raise errors.ConfigError(f"--output {output} cannot be read: {error}") from error


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps Beam's local workers from printing a failed bundle's traceback, unless --verbose asks for it."""
    if logging.getLogger().isEnabledFor(logging.INFO):
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def check_inputs(config: LabelingConfig) -> None:
    """Raises ConfigError where an input names nothing: a typing mistake is better met before the work than after it."""
    try:
        for given in config.inputs:
            if not matches_anything(given, config.base_dir):
                raise errors.ConfigError(
                    f"{given} matches no video: an empty folder, or a pattern without a match; "
                    "a folder is searched for files with a video's extension"
                )
        if config.input_list and not sum(1 for _ in read_input_list(config.input_list, config.base_dir)):
            raise errors.ConfigError(f"--input_list {config.input_list} names no video")
    except errors.MediaError as error:
        raise errors.ConfigError(str(error)) from error


def prepare_run(config: LabelingConfig) -> tuple[LabelMap, RunInfo]:
    """Fetches the model, so that a wrong name fails here and not on a hundred workers, and names the run.

    Raises:
      ModelError: the model or its labels cannot be used.
    """
    require_supported(config.model)
    folder = resolver.resolve(config.model.handle)
    labels = LabelMap.load(resolve_labels(config.model.labels))
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    run = RunInfo(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(),
        model=errors.without_query(config.model.name),
        model_fingerprint=content_hash(folder),
        label_map_fingerprint=labels.sha256,
        sampling_fingerprint=config.sampling_fingerprint,
        engine=config.engine,
        precision=config.precision,
        decoder_version=decoder_version(),
    )
    return labels, run


def run_facts(config: LabelingConfig, run: RunInfo) -> dict[str, Any]:
    """Returns what the run's JSON says beside the counts."""
    versions = installed_versions(_PACKAGES)
    info = model_info(config.model, run.model_fingerprint, run.label_map_fingerprint, config.engine, config.precision)
    return {
        **dataclasses.asdict(run),
        "model_info": dataclasses.asdict(info),
        "configuration": config.to_json(),
        "versions": {"reelbeam": pipeline.__version__, **versions, **library_versions()},
    }


def failed(paths: RunPaths, error: Exception) -> Outcome:
    """A refused run left its summary; any other failure is told by the last error of our tree in the runner's text."""
    refused = read_json(paths.refusal)
    if refused is not None:
        code = refused["refused"]["code"]
        exit_code = 3 if code == errors.TooManyFailuresError.code else 1
        return Outcome(exit_code, paths, refused, refused["refused"]["message"])
    return Outcome(1, paths, None, plain_message(str(error)))


def plain_message(text: str) -> str:
    """Returns the one line that matters of a runner's error, which holds the worker's traceback as text."""
    own = re.findall(r"transforms\.errors\.(?:\w+): (.+)", text)
    lines = [line for line in text.splitlines() if line.strip()]
    line = own[-1] if own else lines[-1] if lines else "the job failed"
    return errors.without_query(re.sub(r" \[while running '[^']*'\]", "", line))
