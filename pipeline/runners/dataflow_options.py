"""The options of Dataflow jobs: defaults for their workers."""

from __future__ import annotations

import re

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    WorkerOptions,
)

from reelbeam.transforms.errors import ConfigError

MACHINE_TYPE = "n2-standard-8"
"""The default worker machine; templates/dataflow/README.md lists what a thread needs."""

ONE_PROCESS = "no_use_multiple_sdk_containers"
PROCESS_A_CORE = "use_multiple_sdk_containers"
"""Dataflow's default: a process for each core, each with its own model."""

_CORES = re.compile(r"(?:[a-z]\w*-)?custom-(\d+)-\d+\b|[a-z]\w*-[a-z]+-(\d+)\b")


def set_defaults(options: PipelineOptions) -> None:
    """Sets defaults: one process per machine, with as many threads as the machine has cores.

    Decoders are separate processes and the engine releases the GIL, so threads share one model without waiting for each
    other. With a process per core, each process loads the model and gets one thread.

    Raises:
      ConfigError: the machine type does not show the number of cores.
    """
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
