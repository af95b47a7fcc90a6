"""Starts a run and waits for its end: model checked first, then the graph, then the summary that the graph wrote."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import logging
import re
import secrets
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import pipeline
from pipeline.config import LabelingConfig
from pipeline.graph import build_graph
from pipeline.options import is_local
from pipeline.progress import ProgressLine
from transforms import errors, metrics, storage
from transforms.list_videos import matches_anything, read_input_list
from transforms.media.probe import library_versions
from transforms.models import resolver
from transforms.models.engine import choose_engine, require_supported
from transforms.models.label_map import LabelMap, resolve_labels
from transforms.models.saved_model import content_hash
from transforms.records import RunInfo
from transforms.run_files import RunPaths

_PACKAGES = ("apache-beam", "openvino", "tensorflow", "tensorflow-hub", "av", "numpy", "pyarrow")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

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


def run_labeling(config: LabelingConfig, options: PipelineOptions) -> Outcome:
    """Labels videos as `config` says, on the runner that `options` name, and waits for the end.

    Raises:
      ConfigError: an input matches nothing.
      ModelError: the model or its labels cannot be used.
    """
    FileSystems.set_options(options)
    check_inputs(config)
    config = dataclasses.replace(config, engine=choose_engine(config.engine))
    labels, run = prepare_run(config)
    paths = RunPaths(storage.normalize(config.output).rstrip("/"), run.run_id)
    config = dataclasses.replace(config, output=paths.output)
    metrics.reset_tally()
    program = beam.Pipeline(options=options)
    build_graph(program, config, labels, run, run_facts(config, run))
    try:
        with ProgressLine(enabled=is_local(options)):
            program.run().wait_until_finish()
    except (RuntimeError, BeamIOError) as error:  # what runners raise for a failed job
        logging.getLogger(__name__).debug("the job failed", exc_info=True)
        return _failed(paths, error)
    return Outcome(0, paths, _read_json(paths.marker))


def check_inputs(config: LabelingConfig) -> None:
    """Raises ConfigError where an input names nothing: a typing mistake is better met before the work than after it."""
    for given in config.inputs:
        if not matches_anything(given, config.base_dir):
            raise errors.ConfigError(
                f"{given} matches no video: an empty folder, or a pattern without a match; "
                "a folder is searched for files with a video's extension"
            )
    if config.input_list:
        try:
            next(iter(read_input_list(config.input_list, config.base_dir)), None)
        except (OSError, ValueError) as error:
            raise errors.ConfigError(f"--input_list {config.input_list} cannot be read: {error}") from error


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
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        **dataclasses.asdict(run),
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
    return errors.without_query(own[-1] if own else lines[-1] if lines else "the job failed")


def _read_json(path: str) -> dict[str, Any] | None:
    if not FileSystems.exists(path):
        return None
    with storage.open_binary(path) as file:
        return json.load(file)
