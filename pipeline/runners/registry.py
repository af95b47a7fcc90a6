"""From Beam's flags to a runner."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    StandardOptions,
)

from reelbeam.pipeline.runners.dataflow import DataflowRunner
from reelbeam.pipeline.runners.flink import EMBEDDED, FlinkRunner
from reelbeam.pipeline.runners.local import LocalRunner
from reelbeam.pipeline.runners.prism import PrismRunner
from reelbeam.pipeline.runners.runner import OtherRunner, Runner
from reelbeam.transforms.errors import ConfigError

_LOCAL = frozenset({"", "direct", "fnapi", "fn_api"})
"""Beam's runners that run in this process; "" means that none is named."""


def runner_of(beam_flags: Sequence[str]) -> Runner:
    """Returns the runner that Beam's flags name, its options completed.

    The local runner is always the same one, whatever is installed. Beam's own "DirectRunner" tries to download another
    runner first and falls back, so one command would run on different engines with and without a network.

    Raises:
      ConfigError: flags contradict each other or the runner, or would open servers to the network.
      ConfigError, RunError: the Flink cluster cannot be used, see `FlinkRunner.of`, or Prism, see `PrismRunner.of`.
    """
    options = PipelineOptions(list(beam_flags))
    name = kind(options.view_as(StandardOptions).runner)
    _check_cluster_flags(options, name)
    if name in _LOCAL:
        return LocalRunner.of(beam_flags)
    if name == "flink":
        return FlinkRunner.of(beam_flags)
    if name == "prism":
        return PrismRunner.of(beam_flags)
    if name == "dataflow":
        return DataflowRunner.of(beam_flags)
    return OtherRunner(options)


def in_process_runner() -> Runner:
    """Returns the runner for a small job in the calling thread, whatever runner the run has."""
    return LocalRunner.in_this_thread()


def kind(runner: str | None) -> str:
    """Returns the canonical name of a runner.

    Beam accepts a name in any case, with or without "Runner", and a class's dotted path.

    >>> [kind(name) for name in ("DataflowRunner", "flink", "apache_beam.runners.direct.DirectRunner", None)]
    ['dataflow', 'flink', 'direct', '']
    """
    return (runner or "").rpartition(".")[2].lower().removesuffix("runner")


def _check_cluster_flags(options: PipelineOptions, name: str) -> None:
    flink = options.view_as(FlinkRunnerOptions)
    if flink.flink_master not in EMBEDDED and name not in ("flink", "portable"):
        raise ConfigError(f"--flink_master {flink.flink_master} is for Flink: give --runner=FlinkRunner too")
    if flink.parallelism > 0 and name in _LOCAL:
        raise ConfigError("--parallelism is for a cluster; here, --direct_num_workers sets the number of workers")
    if flink.parallelism > 0 and name == "prism":
        raise ConfigError("--parallelism is for a cluster; Prism executes up to eight bundles at once")
    location = options.view_as(PrismRunnerOptions).prism_location
    if location and name != "prism":
        raise ConfigError(f"--prism_location {location} is for Prism: give --runner=PrismRunner too")
    if options.view_as(PortableOptions).job_endpoint == "embed":
        raise ConfigError(
            "--job_endpoint=embed opens servers on every network interface without access control: leave --runner and "
            "--job_endpoint out for a run on this machine"
        )
