"""Dataflow: checks for errors that would occur only there, and how its jobs end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    WorkerOptions,
)

from reelbeam.pipeline.runners.dataflow_options import PROCESS_A_CORE, set_defaults
from reelbeam.pipeline.runners.runner import Runner
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.beam_compat import dataflow_job_error
from reelbeam.transforms.errors import ConfigError, RunError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.wording import counted

MAX_INPUT_BYTES = 1 << 20
"""The limit for inputs given as arguments: they are in the job's graph, which Dataflow limits to 20 MB."""


@dataclasses.dataclass(frozen=True)
class DataflowRunner(Runner):
    """Google's service. Its workers share no disk with this machine, and a job continues without its launcher."""

    options: PipelineOptions
    service: ClassVar[str] = "Google Cloud"

    @classmethod
    def of(cls, beam_flags: Sequence[str]) -> DataflowRunner:
        """Returns the runner for Beam's flags.

        Raises:
          ConfigError: see `dataflow_options.set_defaults`.
        """
        options = PipelineOptions(list(beam_flags))
        set_defaults(options)
        return cls(options)

    @property
    def submits_only(self) -> bool:
        """Whether the job is only serialized: a Flex Template's launcher submits it and does not wait."""
        return bool(self.options.view_as(GoogleCloudOptions).template_location)

    @property
    def job_errors(self) -> tuple[type[Exception], ...]:
        """The exceptions of Dataflow and of Google's clients."""
        return dataflow_job_error(), *_client_errors()

    def adapt(self, config: LabelingConfig) -> LabelingConfig:
        """Returns the configuration for workers that share no disk with this machine.

        Raises:
          ConfigError: an input, the list, the output or the model is on this machine's disk, the inputs are too many
            for the job's graph, the workers' image is not given, or a template would have to launch parts.
        """
        _require_remote(config)
        _require_few(config.inputs)
        if config.videos_per_part and self.submits_only:
            raise ConfigError(
                f"--videos_per_part {config.videos_per_part}: a template launches one job, and cannot launch "
                "the parts after it; leave the flag out, and divide a backfill with --shard"
            )
        self._require_package(config.model.handle)
        debug = self.options.view_as(DebugOptions)
        num_threads = config.num_threads
        if num_threads is None and debug.lookup_experiment(PROCESS_A_CORE):
            num_threads = debug.number_of_worker_harness_threads
        return dataclasses.replace(config, base_dir="/", num_threads=num_threads)

    def _require_package(self, model: str) -> None:
        """Checks that the workers get this package, and that a model on this machine's disk can be in their image."""
        setup = self.options.view_as(SetupOptions)
        image = self.options.view_as(WorkerOptions).sdk_container_image
        if not (image or setup.setup_file or setup.extra_packages):
            raise ConfigError(
                "Dataflow's workers need Reelbeam: give --sdk_container_image=IMAGE, see templates/dataflow/README.md"
            )
        if not image and "://" not in model and not model.startswith("package:"):
            raise ConfigError(
                f"--model {without_query(model)} is on this machine, where Dataflow's workers cannot reach it: put it "
                "into their image, at the same path, and give --sdk_container_image"
            )

    def lost_watch(self, job: str, error: Exception) -> RunError | None:
        """Returns the error for a lost connection to a running job. The job continues, so its output stays locked.

        Beam polls in a thread of its own. If that dies after a long network failure, Beam raises AssertionError.
        """
        if not isinstance(error, (AssertionError, OSError, *_client_errors())):
            return None
        detail = without_query(" ".join(str(error).split()))
        return RunError(
            f"job {job} cannot be watched any more ({detail}): it may still run, and then commits by itself. "
            "Look for it on Dataflow's page, and cancel it there before you run again"
        )


def _client_errors() -> tuple[type[Exception], ...]:
    """Returns the exceptions of Google's clients; empty if they are not installed."""
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
    except ImportError:
        return ()
    return GoogleAPIError, GoogleAuthError


def _require_remote(config: LabelingConfig) -> None:
    given = {"the input": config.inputs, "--input_list": [config.input_list], "--output": [config.output]}
    for what, places in given.items():
        for place in places:
            if place and "://" not in place.removeprefix("file://"):
                raise ConfigError(
                    f"{what} {place} is on this machine, where Dataflow's workers cannot reach it: give gs://…"
                )


def _require_few(inputs: tuple[str, ...]) -> None:
    size = sum(len(given.encode("utf-8", "replace")) for given in inputs)
    if size > MAX_INPUT_BYTES:
        raise ConfigError(
            f"{counted(len(inputs), 'input')} ({size} bytes) are too many for a job's graph: write them into a file, "
            "a URI a line, and give --input_list gs://…"
        )
