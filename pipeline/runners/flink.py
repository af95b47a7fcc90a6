"""Flink: the flags that a run needs besides `--flink_master`, read from the cluster.

A cluster may define in its own configuration how Beam uses it, so that the command line need not:

    reelbeam.job-endpoint        the address of Beam's job server; if absent, Beam starts one here, with java
    reelbeam.environment-type    what runs the Python workers: PROCESS, EXTERNAL or DOCKER
    reelbeam.environment-config  the options for it, as in Beam's flag of this name

A flag on the command line overrides the cluster's configuration.
"""

from __future__ import annotations

import dataclasses
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)

from reelbeam.pipeline.runners.flink_cluster import Cluster, listens
from reelbeam.pipeline.runners.flink_job import Job, cancelled_on_error
from reelbeam.pipeline.runners.runner import Runner, Watch
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms.errors import ConfigError, RunError
from reelbeam.transforms.wording import counted

EMBEDDED = ("[local]", "[auto]")
KEEP_WORKERS_MS = 3_000
"""By default, Beam stops a Python worker as soon as no step of the job uses it. A new worker takes seconds to start and
loads the model again, so workers are kept between two steps. A killed worker is kept, too, until no step has asked for
it for this long: a cluster's restart strategy must wait longer than that before it retries a step."""


@dataclasses.dataclass(frozen=True)
class FlinkRunner(Runner):
    """A Flink cluster.

    Attributes:
      options: Beam's options, with those that are read from the cluster.
      cluster: the cluster; None for a Flink that is embedded in Beam's job server, about which nothing is known.
    """

    options: PipelineOptions
    cluster: Cluster | None

    @classmethod
    def of(cls, beam_flags: Sequence[str]) -> FlinkRunner:
        """Returns the runner for Beam's flags.

        Raises:
          ConfigError: no cluster is given, the flags do not fit the cluster (its Flink version, its slots), or the
            address is not a Flink cluster.
          RunError: the cluster or its job server does not respond, or has no TaskManager; a retry may succeed.
        """
        options = PipelineOptions(list(beam_flags))
        flink, endpoint = options.view_as(FlinkRunnerOptions), options.view_as(PortableOptions).job_endpoint
        master = flink.flink_master
        if not (_given("flink_master", beam_flags) or flink.flink_job_server_jar or endpoint):
            # Beam would download a job server, with a Flink in it.
            raise ConfigError("--runner=FlinkRunner needs a cluster: pass --flink_master HOST:PORT")
        if master in EMBEDDED:
            return cls(options, None)
        cluster = Cluster(master)
        return cls(PipelineOptions(complete_flags(beam_flags, cluster)), cluster)

    @property
    def cancels_interrupted_jobs(self) -> bool:
        """Whether the job is known by its name on the cluster."""
        return self.cluster is not None

    def watch(self, options: PipelineOptions, tally: Callable[[], Stage]) -> Watch:
        """Gives the job a unique name, watches it under that name, and cancels it if the launcher fails.

        With a common name, the job of a part would be confused with the job of an earlier part.
        """
        if self.cluster is None:
            return Watch()
        google = options.view_as(GoogleCloudOptions)
        google.job_name = own_name(google.job_name.rpartition("-")[0])
        job = Job(self.cluster, google.job_name)
        return Watch(lambda: Stage(job.progress()), cancelled_on_error(job))


def complete_flags(beam_flags: Sequence[str], cluster: Cluster) -> list[str]:
    """Returns Beam's flags, completed with the flags that a job on this cluster needs; raises as `FlinkRunner.of`."""
    options = PipelineOptions(list(beam_flags))
    flink, portable = options.view_as(FlinkRunnerOptions), options.view_as(PortableOptions)
    overview, configuration = cluster.overview(), cluster.configuration()
    version_given = _given("flink_version", beam_flags)
    added = _job_server_flags(cluster, overview.flink_version, configuration, flink, portable, version_given)
    added += _parallelism_flags(cluster, overview.num_slots, flink.parallelism)
    if not portable.environment_type and "reelbeam.environment-type" in configuration:
        added.append(f"--environment_type={configuration['reelbeam.environment-type']}")
        if not portable.environment_config and "reelbeam.environment-config" in configuration:
            added.append(f"--environment_config={configuration['reelbeam.environment-config']}")
    if not portable.environment_cache_millis:
        added.append(f"--environment_cache_millis={KEEP_WORKERS_MS}")
    if not _given("execution_mode_for_batch", beam_flags):
        # Every shuffle is materialized, so a failed step is repeated without the steps before it.
        added.append("--execution_mode_for_batch=BATCH_FORCED")
    # A unique name, by which the job is found on the cluster without the job server.
    name = options.view_as(GoogleCloudOptions).job_name or "reelbeam"
    return [*beam_flags, *added, f"--job_name={own_name(name)}"]


def own_name(name: str) -> str:
    """Returns a unique job name with this prefix; `rpartition("-")` returns the prefix."""
    return f"{name}-{secrets.token_hex(4)}"


def _given(name: str, beam_flags: Sequence[str]) -> bool:
    return any(flag == f"--{name}" or flag.startswith(f"--{name}=") for flag in beam_flags)


def _job_server_flags(
    cluster: Cluster,
    version: str,
    configuration: Mapping[str, str],
    flink: FlinkRunnerOptions,
    portable: PortableOptions,
    version_given: bool,
) -> list[str]:
    """Returns flags for the job server, or for the Flink version of the job server that Beam starts."""
    minor = ".".join(version.split(".")[:2])
    if version_given and flink.flink_version != minor:
        raise ConfigError(
            f"--flink_version {flink.flink_version}, but {cluster.address} runs Flink {version}: "
            "leave the flag out, or use a cluster of that version"
        )
    endpoint = portable.job_endpoint or configuration.get("reelbeam.job-endpoint")
    if endpoint and not (flink.flink_job_server_jar or flink.flink_submit_uber_jar):
        if not listens(endpoint):
            raise RunError(
                f"Beam's job server does not answer at {endpoint}: start it again "
                "(`tools/flink_cluster.sh up` does, on a cluster of its own), or name another with --job_endpoint"
            )
        return [] if portable.job_endpoint else [f"--job_endpoint={endpoint}"]
    published = flink.PUBLISHED_FLINK_VERSIONS
    if minor not in published:
        raise ConfigError(
            f"{cluster.address} runs Flink {version}, and Beam has job servers for {', '.join(published)}: "
            "use a cluster of one of these"
        )
    if not flink.flink_submit_uber_jar and not shutil.which("java"):
        raise ConfigError(
            "--runner=FlinkRunner starts Beam's job server here, and there is no `java` on the PATH: install a JDK, "
            "or name a running job server with --job_endpoint"
        )
    return [] if version_given else [f"--flink_version={minor}"]


def _parallelism_flags(cluster: Cluster, slots: int, parallelism: int) -> list[str]:
    if not slots:
        raise RunError(f"no TaskManager has joined {cluster.address}: start one, and try again")
    if parallelism > slots:
        raise ConfigError(
            f"--parallelism {parallelism}, but {cluster.address} has {counted(slots, 'slot')}: it would wait for more. "
            "Leave the flag out to use all of them"
        )
    return [] if parallelism > 0 else [f"--parallelism={slots}"]
