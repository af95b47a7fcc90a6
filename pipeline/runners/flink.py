"""Flink: the flags that a run needs besides `--flink_master`, read from the cluster.

A cluster may define in its own configuration how Beam uses it, so that the command line need not:

    reelbeam.job-endpoint        the address of Beam's job server; if absent, Beam starts one here, with java
    reelbeam.environment-type    what runs the Python workers: PROCESS, EXTERNAL or DOCKER
    reelbeam.environment-config  the options for it, as in Beam's flag of this name

A flag on the command line overrides the cluster's configuration.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import secrets
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reelbeam.pipeline.runners import kinds
from reelbeam.transforms.errors import ConfigError, RunError
from reelbeam.transforms.wording import counted

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions

EMBEDDED = ("[local]", "[auto]")
_TIMEOUT_SECONDS = 10.0
KEEP_WORKERS_MS = 3_000
"""By default, Beam stops a Python worker as soon as no step of the job uses it. A new worker takes seconds to start and
loads the model again, so workers are kept between two steps. A killed worker is kept, too, until no step has asked for
it for this long: a cluster's restart strategy must wait longer than that before it retries a step."""


def complete_flags(beam_flags: Sequence[str]) -> list[str]:
    """Returns Beam's flags, completed with the flags that a job on this Flink cluster needs.

    Flags for another runner, or for an embedded Flink, are returned unchanged.

    Raises:
      ConfigError: the flags do not fit the cluster (its Flink version, its slots), the address is not a Flink cluster,
        or a cluster is named for another runner.
      RunError: the cluster or its job server does not respond, or has no TaskManager; a retry may succeed.
    """
    from apache_beam.options import pipeline_options as beam

    options = beam.PipelineOptions(list(beam_flags))
    flink = options.view_as(beam.FlinkRunnerOptions)
    kind = kinds.kind(options.view_as(beam.StandardOptions).runner)
    if flink.flink_master not in EMBEDDED and kind not in ("flink", "portable"):
        raise ConfigError(f"--flink_master {flink.flink_master} is for Flink: give --runner=FlinkRunner too")
    if flink.parallelism > 0 and kind in kinds.LOCAL:
        raise ConfigError("--parallelism is for a cluster; here, --direct_num_workers says how many workers there are")
    if kind != "flink" or flink.flink_master in EMBEDDED:
        return list(beam_flags)
    cluster = Cluster(flink.flink_master)
    overview, told = cluster.overview(), cluster.configuration()
    portable = options.view_as(beam.PortableOptions)
    added = _job_server_flags(
        cluster, overview.flink_version, told, flink, portable, _given("flink_version", beam_flags)
    )
    added += _parallelism_flags(cluster, overview.num_slots, flink.parallelism)
    if not portable.environment_type and "reelbeam.environment-type" in told:
        added.append(f"--environment_type={told['reelbeam.environment-type']}")
        if not portable.environment_config and "reelbeam.environment-config" in told:
            added.append(f"--environment_config={told['reelbeam.environment-config']}")
    if not portable.environment_cache_millis:
        added.append(f"--environment_cache_millis={KEEP_WORKERS_MS}")
    if not _given("execution_mode_for_batch", beam_flags):
        # Every shuffle is materialized, so a failed step is repeated without the steps before it.
        added.append("--execution_mode_for_batch=BATCH_FORCED")
    # A unique name, by which the job is found on the cluster without the job server.
    name = options.view_as(beam.GoogleCloudOptions).job_name or "reelbeam"
    return [*beam_flags, *added, f"--job_name={own_name(name)}"]


def own_name(name: str) -> str:
    """Returns a unique job name with this prefix; `rpartition("-")` returns the prefix."""
    return f"{name}-{secrets.token_hex(4)}"


def is_flink(options: PipelineOptions) -> bool:
    """Returns whether the runner is Flink."""
    from apache_beam.options.pipeline_options import StandardOptions

    return kinds.kind(options.view_as(StandardOptions).runner) == "flink"


def _given(name: str, beam_flags: Sequence[str]) -> bool:
    return any(flag == f"--{name}" or flag.startswith(f"--{name}=") for flag in beam_flags)


def _job_server_flags(
    cluster: Cluster,
    version: str,
    told: dict[str, str],
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
    endpoint = portable.job_endpoint or told.get("reelbeam.job-endpoint")
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


def listens(endpoint: str) -> bool:
    """Returns whether a server accepts connections at HOST:PORT."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


@dataclasses.dataclass(frozen=True)
class ClusterOverview:
    """What a JobManager says of its cluster."""

    flink_version: str
    num_slots: int


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The REST API of a Flink JobManager, at `master`: HOST:PORT, with or without http://."""

    master: str

    @property
    def address(self) -> str:
        """The address as shown in messages."""
        return f"--flink_master {self.master}"

    def overview(self) -> ClusterOverview:
        """Returns the version and the numbers of TaskManagers and slots; raises the errors of `complete_flags`."""
        try:
            found = self.call("/overview")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise RunError(
                f"{self.address}: no Flink JobManager answers there ({reason}). Is it up, and is this the port of its "
                "REST API? `tools/flink_cluster.sh up` brings one up on this machine"
            ) from error
        except ValueError:
            found = None
        if not isinstance(found, dict) or "flink-version" not in found or "slots-total" not in found:
            raise ConfigError(f"{self.address}: the server there is not a Flink JobManager")
        return ClusterOverview(str(found["flink-version"]), int(found["slots-total"]))

    def configuration(self) -> dict[str, str]:
        """Returns the cluster's configuration; raises the errors of `complete_flags`."""
        try:
            return {entry["key"]: entry["value"] for entry in self.call("/jobmanager/config")}
        except (OSError, http.client.HTTPException) as error:
            raise RunError(f"{self.address} stopped responding: {error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{self.address}: the server there is not a Flink JobManager") from error

    def call(self, path: str, method: str = "GET") -> Any:
        """Returns the parsed response; raises OSError, HTTPException, or ValueError if it is not JSON."""
        base = self.master if re.match("https?://", self.master) else f"http://{self.master}"
        request = urllib.request.Request(base.rstrip("/") + path, method=method)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")
