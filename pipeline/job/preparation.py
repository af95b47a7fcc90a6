"""What is found out before a job starts, so that a mistake is met at once: inputs, model, labels, the run's facts."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from reelbeam.pipeline import __version__
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms import errors, redaction, storage
from reelbeam.transforms.inputs.expansion import matches_anything, why_nothing
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.media.decoding.probe import decoder_version, library_versions
from reelbeam.transforms.models.engine import Engine, check_embeddings, load_engine, load_stream_engine
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.model_info import installed_versions, model_info
from reelbeam.transforms.models.output_activation import output_activation
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.registry.manifest import content_hash, require_pin
from reelbeam.transforms.output import runs
from reelbeam.transforms.output.run_document import RunFacts
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.schemas import tables_of_run
from reelbeam.transforms.stored_models import load_labels, localized

_PACKAGES = ("apache-beam", "openvino", "tensorflow", "tensorflow-hub", "av", "numpy", "pyarrow")


class LoadedModel(NamedTuple):
    """A model in this process, and the schemas of the tables that it fills."""

    engine: Engine | StreamEngine
    tables: Mapping[str, pa.Schema]

    @classmethod
    def load(cls, config: LabelingConfig, labels: LabelMap) -> LoadedModel:
        """Loads the model; raises ModelError or ConfigError where it cannot do what `config` asks for."""
        load = load_stream_engine if config.model.kind == "stream" else load_engine
        engine = load(localized(config.model), config.engine, config.num_threads, config.precision)
        labels.check(engine.num_classes)
        embedding_size = check_embeddings(engine, config.model) if config.save_embeddings else None
        return cls(engine, tables_of_run(engine.num_classes if config.save_logits else None, embedding_size))


def check_inputs(config: LabelingConfig) -> None:
    """Looks whether every input names something: a typing mistake is better met before the work than after it.

    Raises:
      ConfigError: one does not, or cannot be read.
      RunError: a store does not answer now.
    """
    try:
        for given in config.inputs:
            if not matches_anything(given, config.base_dir):
                why = why_nothing(given, config.base_dir)
                raise errors.ConfigError(f"{redaction.without_query(given)} matches no video: {why}")
        if config.input_list and not sum(1 for _ in read_input_list(config.input_list, config.base_dir)):
            raise errors.ConfigError(f"--input_list {config.input_list} names no video")
    except errors.StorageError as error:
        raise unusable(str(error), error) from error


def unusable(message: str, error: errors.StorageError) -> errors.ReelbeamError:
    """Returns what to raise where a place that a flag names cannot be used.

    What may pass is no wrong flag: a schedule is to try again.
    """
    return (errors.RunError if error.transient else errors.ConfigError)(message)


def unwritable(output: str, error: errors.StorageError) -> errors.ReelbeamError:
    """Returns what to raise where an output cannot be written; with the reason, of a local folder where it shows."""
    path = storage.local_path(output)
    reason = path and _reason_of(pathlib.Path(path), error)
    return unusable(f"--output {output} cannot be written: {reason or error}", error)


def _reason_of(folder: pathlib.Path, error: errors.StorageError) -> str | None:
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is a file, not a folder; name another place"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} is read-only for user id {os.getuid()}; have that changed, or name another folder"
    if there == folder:
        return None
    return f"no folder can be made in {there} ({getattr(error.__cause__, 'strerror', None) or error})"


def prepare_run(config: LabelingConfig, last: runs.Latest | None = None) -> tuple[LabelMap, RunInfo]:
    """Fetches the model, so that a wrong name fails here and not on a hundred workers, and names the run.

    Its name and its rows come after those of the last run that is committed.

    Raises:
      ModelError: the model or its labels cannot be used.
    """
    folder = resolver.resolve(localized(config.model).handle, config.model.mirrors)
    require_pin(folder, config.model.pin, redaction.without_query(config.model.handle))
    labels = load_labels(config.model.labels)
    labeled_at = runs.time_after(last)
    run = RunInfo(
        run_id=f"{labeled_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=runs.utc_now().isoformat(),
        labeled_at=labeled_at.isoformat(),
        model=redaction.without_query(config.model.name),
        model_fingerprint=content_hash(folder),
        label_map_fingerprint=labels.sha256,
        sampling_fingerprint=config.sampling_fingerprint,
        engine=config.engine,
        precision=config.precision,
        decoder_version=decoder_version(),
        output_activation=output_activation(config.model, folder),
    )
    return labels, run


def run_facts(config: LabelingConfig, run: RunInfo) -> RunFacts:
    """Returns what the run document says beside the counts."""
    versions = installed_versions(_PACKAGES)
    fingerprints = run.model_fingerprint, run.label_map_fingerprint
    info = model_info(config.model, *fingerprints, config.engine, config.precision, run.output_activation)
    return dataclasses.replace(
        RunFacts.of(run),
        model_info=dataclasses.asdict(info),
        configuration=config.to_json(),
        versions={"reelbeam": __version__, **versions, **library_versions()},
    )
