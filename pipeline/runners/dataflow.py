"""What a Dataflow job has beyond a local run: defaults for its workers, and a look for what would fail only there."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from reelbeam.pipeline.runners import kinds
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.errors import ConfigError, RunError, without_query
from reelbeam.transforms.wording import counted

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

MACHINE_TYPE = "n2-standard-8"
"""Of a worker, unless the user names one: see templates/dataflow/README.md for what a thread needs."""

ONE_PROCESS = "no_use_multiple_sdk_containers"
PROCESS_A_CORE = "use_multiple_sdk_containers"
"""Dataflow's default: a process for every core, each with a model of its own."""

MAX_INPUT_BYTES = 1 << 20
"""Of inputs given as arguments: they stand in the job's graph, for which Dataflow has a limit of 20 MB."""

_CORES = re.compile(r"(?:[a-z]\w*-)?custom-(\d+)-\d+\b|[a-z]\w*-[a-z]+-(\d+)\b")


def is_dataflow(options: PipelineOptions) -> bool:
    """Whether the job goes to Dataflow."""
    from apache_beam.options.pipeline_options import StandardOptions

    return kinds.kind(options.view_as(StandardOptions).runner) == "dataflow"


def is_template_launch(options: PipelineOptions) -> bool:
    """Whether the job is only written down: a Flex Template's launcher submits it, and nobody may wait for it."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    return is_dataflow(options) and bool(options.view_as(GoogleCloudOptions).template_location)


def set_defaults(options: PipelineOptions) -> None:
    """Sets what the user left open: one process a machine, as many threads in it as the machine has cores.

    Decoders are processes of their own and the engine computes outside Python's lock, so threads share one model
    without waiting for each other. With a process for each core, every one of them loads the model and gets one thread.

    Raises:
      ConfigError: the number of cores cannot be told from the machine type.
    """
    from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, SetupOptions, WorkerOptions

    worker, debug = options.view_as(WorkerOptions), options.view_as(DebugOptions)
    setup = options.view_as(SetupOptions)
    if not options.get_all_options(drop_default=True).get("save_main_session"):
        setup.save_main_session = False  # all code is in the package: nothing of __main__ has to travel
    if worker.sdk_container_image and setup.sdk_location == "default":
        setup.sdk_location = "container"
    one_process = not debug.lookup_experiment(PROCESS_A_CORE)
    if one_process:
        debug.add_experiment(ONE_PROCESS)
    if "enable_prime" in (options.view_as(GoogleCloudOptions).dataflow_service_options or []):
        return  # Prime chooses machines by the resource hints, and refuses a machine type
    worker.machine_type = worker.machine_type or MACHINE_TYPE
    if not debug.number_of_worker_harness_threads:
        debug.number_of_worker_harness_threads = cores(worker.machine_type) if one_process else 1


def cores(machine_type: str) -> int:
    """Returns the vCPUs of a machine type.

    >>> cores("n2-standard-8"), cores("custom-4-16384"), cores("n2d-custom-6-8192"), cores("c3-highcpu-22-lssd")
    (8, 4, 6, 22)

    Raises:
      ConfigError: its name does not tell.
    """
    found = _CORES.match(machine_type)
    if not found:
        raise ConfigError(
            f"--worker_machine_type {machine_type} does not tell its vCPUs: give --number_of_worker_harness_threads too"
        )
    return int(found[1] or found[2])


def for_workers(config: LabelingConfig, options: PipelineOptions) -> LabelingConfig:
    """Returns the configuration as workers that share no disk with this machine can use it.

    Raises:
      ConfigError: an input, the list, the output or the model is on this machine's disk, the inputs are too many for
        the job's graph, the workers' image is not named, or a template is to launch parts.
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
            f"--videos_per_part {config.videos_per_part}: a template launches one job, and nobody is there to launch "
            "the parts after it; leave the flag out, and cut a backfill with --shard"
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
    """Returns what is raised where a job cannot be sent, or has failed; nothing for other runners."""
    if not is_dataflow(options):
        return ()
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException

    return DataflowRuntimeException, *_client_errors()


def watch_errors(options: PipelineOptions) -> tuple[type[Exception], ...]:
    """Returns what Beam raises where it can no longer tell how a job is; nothing for other runners.

    Beam asks in a thread of its own. Where that dies, over a network that is gone for long, it raises AssertionError.
    """
    return (AssertionError, OSError, *_client_errors()) if is_dataflow(options) else ()


def unwatched(job: str, error: Exception) -> RunError:
    """Returns what to tell where the watch over a job broke off: it goes on, and so its output stays locked for it."""
    detail = without_query(" ".join(str(error).split()))
    return RunError(
        f"job {job} cannot be watched any more ({detail}): it may still run, and then commits by itself. "
        "Look for it on Dataflow's page, and cancel it there before you run again"
    )


def _client_errors() -> tuple[type[Exception], ...]:
    """What Google's clients raise; nothing where they are not installed."""
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
