"""Dataflow jobs: defaults for workers, and checks for errors that would occur only there."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from reelbeam.pipeline.runners import kinds
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.errors import ConfigError, RunError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.wording import counted

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

MACHINE_TYPE = "n2-standard-8"
"""The default worker machine; templates/dataflow/README.md lists what a thread needs."""

ONE_PROCESS = "no_use_multiple_sdk_containers"
PROCESS_A_CORE = "use_multiple_sdk_containers"
"""Dataflow's default: a process for each core, each with its own model."""

MAX_INPUT_BYTES = 1 << 20
"""The limit for inputs given as arguments: they are in the job's graph, which Dataflow limits to 20 MB."""

_CORES = re.compile(r"(?:[a-z]\w*-)?custom-(\d+)-\d+\b|[a-z]\w*-[a-z]+-(\d+)\b")


def is_dataflow(options: PipelineOptions) -> bool:
    """Returns whether the job runs on Dataflow."""
    from apache_beam.options.pipeline_options import StandardOptions

    return kinds.kind(options.view_as(StandardOptions).runner) == "dataflow"


def is_template_launch(options: PipelineOptions) -> bool:
    """Returns whether the job is only serialized: a Flex Template's launcher submits it and does not wait."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    return is_dataflow(options) and bool(options.view_as(GoogleCloudOptions).template_location)


def set_defaults(options: PipelineOptions) -> None:
    """Sets defaults: one process per machine, with as many threads as the machine has cores.

    Decoders are separate processes and the engine releases the GIL, so threads share one model without waiting for each
    other. With a process per core, each process loads the model and gets one thread.

    Raises:
      ConfigError: the machine type does not show the number of cores.
    """
    from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, SetupOptions, WorkerOptions

    worker, debug = options.view_as(WorkerOptions), options.view_as(DebugOptions)
    setup = options.view_as(SetupOptions)
    if not options.get_all_options(drop_default=True).get("save_main_session"):
        setup.save_main_session = False  # all code is in the package, so __main__ need not be pickled
    if worker.sdk_container_image and setup.sdk_location == "default":
        setup.sdk_location = "container"
    one_process = not debug.lookup_experiment(PROCESS_A_CORE)
    if one_process:
        debug.add_experiment(ONE_PROCESS)
    if "enable_prime" in (options.view_as(GoogleCloudOptions).dataflow_service_options or []):
        return  # Prime chooses machines by the resource hints and does not accept a machine type
    worker.machine_type = worker.machine_type or MACHINE_TYPE
    if not debug.number_of_worker_harness_threads:
        debug.number_of_worker_harness_threads = cores(worker.machine_type) if one_process else 1


def cores(machine_type: str) -> int:
    """Returns the vCPUs of a machine type.

    >>> cores("n2-standard-8"), cores("custom-4-16384"), cores("n2d-custom-6-8192"), cores("c3-highcpu-22-lssd")
    (8, 4, 6, 22)

    Raises:
      ConfigError: the name does not contain it.
    """
    found = _CORES.match(machine_type)
    if not found:
        raise ConfigError(
            f"--worker_machine_type {machine_type} has no vCPUs in its name: pass --number_of_worker_harness_threads"
        )
    return int(found[1] or found[2])


def for_workers(config: LabelingConfig, options: PipelineOptions) -> LabelingConfig:
    """Returns the configuration for workers that share no disk with this machine.

    Raises:
      ConfigError: an input, the list, the output or the model is on this machine's disk, the inputs are too many for
        the job's graph, the workers' image is not given, or a template would have to launch parts.
    """
    from apache_beam.options.pipeline_options import DebugOptions, SetupOptions, WorkerOptions

    given = {"the input": config.inputs, "--input_list": [config.input_list], "--output": [config.output]}
    for what, places in given.items():
        for place in places:
            if place and "://" not in place.removeprefix("file://"):
                raise ConfigError(
                    f"{what} {place} is on this machine, where Dataflow's workers cannot reach it: give gs://…"
                )
    _require_few(config.inputs)
    if config.videos_per_part and is_template_launch(options):
        raise ConfigError(
            f"--videos_per_part {config.videos_per_part}: a template launches one job, and cannot launch "
            "the parts after it; leave the flag out, and divide a backfill with --shard"
        )
    setup = options.view_as(SetupOptions)
    image = options.view_as(WorkerOptions).sdk_container_image
    if not (image or setup.setup_file or setup.extra_packages):
        raise ConfigError(
            "Dataflow's workers need Reelbeam: give --sdk_container_image=IMAGE, see templates/dataflow/README.md"
        )
    handle = config.model.handle
    if not image and "://" not in handle and not handle.startswith("package:"):
        raise ConfigError(
            f"--model {without_query(handle)} is on this machine, where Dataflow's workers cannot reach it: put it "
            "into their image, at the same path, and give --sdk_container_image"
        )
    debug = options.view_as(DebugOptions)
    num_threads = config.num_threads
    if num_threads is None and debug.lookup_experiment(PROCESS_A_CORE):
        num_threads = debug.number_of_worker_harness_threads
    return dataclasses.replace(config, base_dir="/", num_threads=num_threads)


def job_errors(options: PipelineOptions) -> tuple[type[Exception], ...]:
    """Returns the exceptions of a job that cannot be submitted or has failed; empty for other runners."""
    if not is_dataflow(options):
        return ()
    from reelbeam.transforms.beam_compat import dataflow_job_error

    return dataflow_job_error(), *_client_errors()


def watch_errors(options: PipelineOptions) -> tuple[type[Exception], ...]:
    """Returns the exceptions that Beam raises if it cannot get the job's state any more; empty for other runners.

    Beam polls in a thread of its own. If that dies after a long network failure, Beam raises AssertionError.
    """
    return (AssertionError, OSError, *_client_errors()) if is_dataflow(options) else ()


def unwatched(job: str, error: Exception) -> RunError:
    """Returns the error for a lost connection to a running job. The job continues, so its output stays locked."""
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


def _require_few(inputs: tuple[str, ...]) -> None:
    size = sum(len(given.encode("utf-8", "replace")) for given in inputs)
    if size > MAX_INPUT_BYTES:
        raise ConfigError(
            f"{counted(len(inputs), 'input')} ({size} bytes) are too many for a job's graph: write them into a file, "
            "a URI a line, and give --input_list gs://…"
        )
