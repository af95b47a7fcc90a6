"""Starts a run and waits for its end: model checked first, then the graph, then the summary that the graph wrote."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
import json
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
from pipeline import dataflow
from pipeline.config import LabelingConfig
from pipeline.graph import build_graph
from pipeline.options import is_local
from pipeline.progress import ProgressLine
from transforms import errors, metrics, storage
from transforms.list_videos import matches_anything, read_input_list
from transforms.media.probe import library_versions
from transforms.models import resolver
from transforms.models.engine import choose_engine, load_engine, require_supported
from transforms.models.label_map import LabelMap, resolve_labels
from transforms.models.manifest import content_hash
from transforms.models.model_info import installed_versions, model_info
from transforms.records import RunInfo
from transforms.run_files import RunPaths, claim, remove_remains

_PACKAGES = ("apache-beam", "openvino", "tensorflow", "tensorflow-hub", "av", "numpy", "pyarrow")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
      exit_code: 0 committed, 1 the job failed, 3 refused because too many inputs failed.
      paths: where the run's files are.
      summary: the run's JSON, or that of the refused run; None where the job broke before it was written.
      error: what broke, in one line; None for exit code 0.
      job: the submitted job's name for its runner, where nobody waited for its end; None where somebody did.
    """

    exit_code: int
    paths: RunPaths
    summary: dict[str, Any] | None
    error: str | None = None
    job: str | None = None


def run_labeling(config: LabelingConfig, options: PipelineOptions, wait: bool = True) -> Outcome:
    """Labels videos as `config` says, on the runner that `options` name, and waits for the end if it is to.

    Raises:
      ConfigError: an input or the list cannot be read or names nothing, the output cannot be written, or there is no
        such runner.
      ModelError: the model or its labels cannot be used.
    """
    FileSystems.set_options(options)
    local = is_local(options)
    if local and not wait:
        raise errors.ConfigError("--no_wait: a local run ends with its process; leave the flag out")
    if dataflow.is_dataflow(options):
        config = dataflow.for_workers(config, options)
    config = dataclasses.replace(
        config,
        output=storage.normalize(config.output).rstrip("/"),
        engine=choose_engine(config.engine, config.model),
    )
    program = make_program(options)
    check_inputs(config)
    labels, run = prepare_run(config)
    # Loaded here, so that a model that does not fit is met before the work; local workers share this very copy.
    engine = load_engine(config.model, config.engine, config.num_threads, config.precision)
    paths = begin(config.output, run.run_id, local)
    metrics.reset_tally()
    build_graph(program, config, labels, run, run_facts(config, run))
    try:
        with ProgressLine(enabled=local), quiet_stderr():
            result = program.run()
            if not wait or dataflow.is_template_launch(options):
                return Outcome(0, paths, None, job=job_name(result))
            result.wait_until_finish()
    except (RuntimeError, BeamIOError, *dataflow.submission_errors()) as error:  # what runners raise for a failed job
        logging.getLogger(__name__).info("the job failed", exc_info=True)
        return _failed(paths, error)
    finally:
        del engine
    return Outcome(0, paths, _read_json(paths.marker))


def job_name(result: Any) -> str:
    """Returns what the runner calls a submitted job; "template" where it only wrote the job down."""
    if getattr(result, "has_job", False):  # Dataflow
        return str(result.job_id())
    return str(getattr(result, "_job_id", "template"))  # a job server's


def make_program(options: PipelineOptions) -> beam.Pipeline:
    """Returns an empty pipeline; raises ConfigError where Beam refuses its own flags, such as an unknown runner."""
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise errors.ConfigError(" ".join(str(error).split())) from error


def begin(output: str, run_id: str, local: bool) -> RunPaths:
    """Clears away what dead runs left and claims a place for this one; raises ConfigError where none can be had."""
    paths = RunPaths(output, run_id)
    try:
        with storage.storage_errors(output):
            for dead in remove_remains(output):
                logging.getLogger(__name__).warning("removed what run %s left when it died or was refused", dead)
            claim(paths, local)
    except errors.MediaError as error:
        raise errors.ConfigError(f"--output {output} cannot be written: {error}") from error
    return paths


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


def _failed(paths: RunPaths, error: Exception) -> Outcome:
    """A refused run left its summary; any other failure is told by the last error of our tree in the runner's text."""
    refused = _read_json(paths.refusal)
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


def _read_json(path: str) -> dict[str, Any] | None:
    if not FileSystems.exists(path):
        return None
    with storage.open_binary(path) as file:
        return json.load(file)
