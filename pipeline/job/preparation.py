"""From flags to a run that can be executed: request -> prepared. `label` and `plan` take the same way.

Mistakes are reported here, before a job starts: wrong inputs, outputs, models, labels and flags of Beam.
"""

from __future__ import annotations

import dataclasses
import secrets

from reelbeam.pipeline import __version__
from reelbeam.pipeline.job.earlier_runs import last_run, warn_of_future, warn_of_other_work
from reelbeam.pipeline.job.jobs import make_program
from reelbeam.pipeline.job.label_thresholds import warn_of_thresholds, with_thresholds
from reelbeam.pipeline.job.labeler import labeler_facts
from reelbeam.pipeline.job.places import unusable
from reelbeam.pipeline.runners.runner import Runner
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms import errors, redaction, storage
from reelbeam.transforms.inputs.expansion import matches_anything, why_nothing
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.media.decoding.probe import library_versions
from reelbeam.transforms.models.engine import choose_engine, with_found_kind
from reelbeam.transforms.models.model_info import installed_versions, model_info
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.registry.manifest import require_pin
from reelbeam.transforms.output import runs
from reelbeam.transforms.output.run_document import RunFacts
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.stored_models.fetching import localized
from reelbeam.transforms.stored_models.labels import load_labels

_PACKAGES = ("apache-beam", "openvino", "tensorflow", "tensorflow-hub", "av", "numpy", "pyarrow")


@dataclasses.dataclass(frozen=True)
class Request:
    """A run that was asked for, and that passed the checks.

    Attributes:
      config: the final configuration: for this runner, with the engine and the kind of the model.
      runner: the runner.
      local_model: the model as engines take it; one from an object store is in a local folder.
      last: the newest committed run of the output; None if there is none.
      wait: whether to wait for the end of the job.
    """

    config: LabelingConfig
    runner: Runner
    local_model: ModelSpec
    last: runs.Latest | None
    wait: bool

    @property
    def videos_per_part(self) -> int:
        """The number of videos in a part; 0: the whole run is one job."""
        return self.config.videos_per_part or 0


@dataclasses.dataclass(frozen=True)
class Prepared(Request):
    """A run that can be executed.

    Attributes:
      labels: the label map of the model.
      run: the name and the fingerprints of the run.
    """

    labels: LabelMap
    run: RunInfo

    def with_run(self, run: RunInfo) -> Prepared:
        """Returns the same run under another name or date: that of a part, for example."""
        return dataclasses.replace(self, run=run)


def check_request(config: LabelingConfig, runner: Runner, wait: bool = True, will_run: bool = True) -> Request:
    """Completes the configuration, and checks it as far as that is possible without the model.

    Args:
      config: the configuration, as the flags have it.
      runner: the runner.
      wait: whether to wait for the end of the job.
      will_run: whether jobs will be submitted. For Dataflow, Beam's check of its flags may create a bucket.

    Raises:
      ConfigError: an input, the list or the thresholds cannot be read, an input names nothing, the output cannot be
        read, or flags do not fit each other, the runner or this machine.
      RunError: a store does not respond now.
      ModelError: a model at a URL cannot be fetched; only its files show its kind.
    """
    _check_wait(config, runner, wait)
    if will_run:
        runner.check_machine(config)
    config = with_thresholds(runner.adapt(config))
    local_model = localized(config.model)
    config = dataclasses.replace(
        config,
        output=storage.normalize(config.output).rstrip("/"),
        engine=choose_engine(config.engine, local_model, runs_here=runner.is_local),
        videos_per_part=runner.videos_per_part if config.videos_per_part is None else config.videos_per_part,
    )
    if will_run:
        make_program(runner)  # Beam has no public check of its flags besides making a pipeline
    check_inputs(config)
    config = config.with_model(with_found_kind(config.model))
    last = last_run(config.output)
    warn_of_future(last, config.output)
    return Request(config, runner, dataclasses.replace(local_model, kind=config.model.kind), last, wait)


def prepare(request: Request) -> Prepared:
    """Fetches the model, so that a wrong name fails here and not on a hundred workers, and names the run.

    The name and the rows of the run are dated after those of the last committed run.

    Raises:
      ModelError: the model or its labels cannot be used.
    """
    config = request.config
    folder = resolver.resolve(request.local_model.handle, config.model.mirrors)
    require_pin(folder, config.model.pin, redaction.without_query(config.model.handle))
    labels = load_labels(config.model.labels)
    labeled_at = runs.time_after(request.last)
    run = RunInfo(
        run_id=f"{labeled_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=runs.utc_now().isoformat(),
        labeled_at=labeled_at.isoformat(),
        **vars(labeler_facts(config, folder, labels)),
    )
    warn_of_other_work(request.last, run, config.output)
    if config.label_thresholds is not None:
        warn_of_thresholds(config.label_thresholds, labels, run.model)
    return Prepared(**vars(request), labels=labels, run=run)


def run_facts(config: LabelingConfig, run: RunInfo) -> RunFacts:
    """Returns the content of the run document apart from the counts."""
    versions = installed_versions(_PACKAGES)
    fingerprints = run.model_fingerprint, run.label_map_fingerprint
    info = model_info(config.model, *fingerprints, config.engine, config.precision, run.output_activation)
    return dataclasses.replace(
        RunFacts.of(run),
        model_info=dataclasses.asdict(info),
        configuration=config.to_json(),
        versions={"reelbeam": __version__, **versions, **library_versions()},
    )


def _check_wait(config: LabelingConfig, runner: Runner, wait: bool) -> None:
    if not wait and runner.is_local:
        raise errors.ConfigError("--no_wait: a local run ends with its process; leave the flag out")
    if not wait and config.videos_per_part:
        raise errors.ConfigError("--no_wait submits one job: leave out --videos_per_part, or wait for the parts")


def check_inputs(config: LabelingConfig) -> None:
    """Checks that every input names something: a typing mistake is reported before the work.

    Raises:
      ConfigError: an input names nothing, or cannot be read.
      RunError: a store does not respond now.
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
