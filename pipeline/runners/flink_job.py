"""The job of a run on a Flink cluster: how far it is, its end, and the watch over it while the launcher waits."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import logging
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from reelbeam.pipeline.runners import flink
from reelbeam.pipeline.runners.flink import EMBEDDED, Cluster, is_flink

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_CANCEL_SECONDS = 60.0
_APPEAR_SECONDS = 20.0
"""How long the job server may take to hand over a job that nobody waits for any more."""
_SIGNS_OF_ANOTHER_VERSION = ("Failed to deserialize JobGraph", "InvalidClassException")
_TERMINAL = ("FINISHED", "FAILED", "CANCELED")


class JobEntry(TypedDict):
    """A job in the list of a cluster's jobs; those of Flink's REST API have more keys."""

    jid: str
    name: str
    state: str


class Vertex(TypedDict):
    """A step of a job."""

    name: str
    status: str
    metrics: dict[str, int]


class JobDetails(TypedDict):
    """What the cluster says of one job."""

    state: str
    vertices: list[Vertex]


@dataclasses.dataclass(frozen=True)
class Job:
    """The job of this run on a cluster, found by its name: it is there even if the job server is gone."""

    cluster: Cluster
    name: str

    def progress(self) -> str:
        """Returns how far the job is, as a line."""
        try:
            found = self._find()
            if found is None:
                return "waiting for the cluster to take the job"
            job = self.cluster.call(f"/jobs/{found['jid']}")
        except (OSError, http.client.HTTPException, ValueError):
            return "the cluster does not answer"
        return progress_line(job)

    def cancel(self, may_appear: bool = True) -> bool:
        """Ends the job if it still runs, and waits for its end; returns whether it is known to have ended.

        Args:
          may_appear: whether a job that is not there may still be on its way from the job server.
        """
        deadline = time.monotonic() + _CANCEL_SECONDS
        appears_until = time.monotonic() + (_APPEAR_SECONDS if may_appear else 0)
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                found = self._find()
                if found is None and time.monotonic() >= appears_until:
                    return True
                if found is not None and found["state"] in _TERMINAL:
                    return True
                if found is not None and found["state"] not in ("CANCELLING", "FAILING"):
                    self.cluster.call(f"/jobs/{found['jid']}?mode=cancel", "PATCH")
            time.sleep(0.5)
        return False

    def _find(self) -> JobEntry | None:
        jobs = self.cluster.call("/jobs/overview")["jobs"]
        return next((job for job in jobs if job["name"] == self.name), None)


def next_job(options: PipelineOptions) -> Job | None:
    """As `job_of`, for the job that is submitted next: a run of several parts makes a job of each.

    Each gets a name of its own, in `options`. By a common one the part at hand would be taken for one that has ended.
    """
    from apache_beam.options import pipeline_options as beam

    if job_of(options) is not None:
        google = options.view_as(beam.GoogleCloudOptions)
        google.job_name = flink.own_name(google.job_name.rpartition("-")[0])
    return job_of(options)


def job_of(options: PipelineOptions) -> Job | None:
    """Returns the job that a run with these options makes on a Flink cluster; None for other runners."""
    from apache_beam.options import pipeline_options as beam

    master = options.view_as(beam.FlinkRunnerOptions).flink_master
    if not is_flink(options) or master in EMBEDDED:
        return None
    return Job(Cluster(master), options.view_as(beam.GoogleCloudOptions).job_name)


@contextlib.contextmanager
def cancelled_on_error(job: Job | None) -> Iterator[None]:
    """Takes the job off the cluster where the watch over it breaks off: nobody would know that it still writes.

    Raises:
      RuntimeError: the connection to the job server broke, or the job failed. Other errors go through.
    """
    import grpc

    if job is None:
        yield
        return
    try:
        with _quiet_messages():
            yield
    except RuntimeError as error:  # the job server has told how it ended: it submits nothing any more
        job.cancel(may_appear=False)
        raise RuntimeError(reason(str(error))) from error
    except (grpc.RpcError, grpc.FutureTimeoutError) as error:
        ended = "the job was cancelled" if job.cancel() else "the job may still run: cancel it there"
        detail = error.details() if isinstance(error, grpc.Call) else type(error).__name__
        raise RuntimeError(f"the connection to Beam's job server broke ({detail}); {ended}. Run it again") from error
    except BaseException:
        job.cancel()
        raise


def reason(text: str) -> str:
    """Returns what a failed job says without the frames of Java, so that its last line is the cause."""
    if any(sign in text for sign in _SIGNS_OF_ANOTHER_VERSION):
        return (
            "the cluster could not read the job: Beam's job server is made for another Flink version than "
            "the cluster's. Name one for its version with --job_endpoint, or --flink_job_server_jar"
        )
    lines = [line for line in text.splitlines() if not re.match(r"\s*(at \S+\(|\.\.\. \d+ more|\]?\s*$)", line)]
    return "\n".join(lines)


@contextlib.contextmanager
def _quiet_messages() -> Iterator[None]:
    """Drops the job server's messages, Java's stack traces among them, unless --verbose asks for them.

    Beam logs them on the root logger itself, where no level of a package reaches them.
    """
    root = logging.getLogger()
    if root.isEnabledFor(logging.INFO):
        yield
        return
    root.addFilter(_nothing)
    try:
        yield
    finally:
        root.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def progress_line(job: JobDetails) -> str:
    """Returns the progress of a job, given as in Flink's REST API, as text.

    >>> progress_line({"state": "RUNNING", "vertices": [{"name": "{PlanClips}", "status": "FINISHED", "metrics": {}},
    ...     {"name": "{DecodeClips, ClassifyClips}", "status": "RUNNING", "metrics": {"read-records": 7}}]})
    'running, 1 of 2 steps done, 7 segments taken up'
    """
    vertices = job["vertices"]
    done = sum(vertex["status"] == "FINISHED" for vertex in vertices)
    taken = sum(vertex["metrics"].get("read-records", 0) for vertex in vertices if "DecodeClips" in vertex["name"])
    return f"{job['state'].lower()}, {done} of {len(vertices)} steps done, {taken} segments taken up"
