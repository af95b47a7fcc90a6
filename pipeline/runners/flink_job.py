"""The job of a run on a Flink cluster: its progress, its end, and its cancellation if the launcher fails."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import re
import time
from collections.abc import Iterator
from typing import TypedDict

import grpc

from reelbeam.pipeline.runners.flink_cluster import Cluster
from reelbeam.pipeline.terminal.streams import quiet_root_logger
from reelbeam.transforms.wording import counted

_CANCEL_SECONDS = 60.0
_APPEAR_SECONDS = 20.0
"""How long the job server may take to submit a job after the launcher has stopped waiting for it."""
_SIGNS_OF_ANOTHER_VERSION = ("Failed to deserialize JobGraph", "InvalidClassException")
CLIP_ROWS = "ClipRows"
"""A step in the name of the vertices that decode and classify. Flink's names do not have the steps in LabelSelected."""
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
    """One job, as the cluster describes it."""

    state: str
    vertices: list[Vertex]


@dataclasses.dataclass(frozen=True)
class Job:
    """The job of this run on a cluster, found by its name, which works without the job server."""

    cluster: Cluster
    name: str

    def progress(self) -> str:
        """Returns the job's progress as one line."""
        try:
            found = self._find()
            if found is None:
                return "waiting for the cluster to take the job"
            job = self.cluster.call(f"/jobs/{found['jid']}")
        except (OSError, http.client.HTTPException, ValueError):
            return "the cluster does not answer"
        return progress_line(job)

    def cancel(self, may_appear: bool = True) -> bool:
        """Cancels the job if it is running and waits for its end; returns whether it is known to have ended.

        Args:
          may_appear: whether the job server may still submit the job if it does not exist yet.
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


@contextlib.contextmanager
def cancelled_on_error(job: Job) -> Iterator[None]:
    """Cancels the job if the launcher stops watching it, because it would otherwise keep writing unnoticed.

    Raises:
      RuntimeError: the connection to the job server was lost, or the job failed. Other exceptions are passed on.
    """
    try:
        with quiet_root_logger():
            yield
    except RuntimeError as error:  # the job server has reported the job's end and submits nothing more
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
    """Returns the text of a failed job without Java's stack frames, so that its last line is the cause."""
    if any(sign in text for sign in _SIGNS_OF_ANOTHER_VERSION):
        return (
            "the cluster could not read the job: Beam's job server is made for another Flink version than "
            "the cluster's. Name one for its version with --job_endpoint, or --flink_job_server_jar"
        )
    lines = [line for line in text.splitlines() if not re.match(r"\s*(at \S+\(|\.\.\. \d+ more|\]?\s*$)", line)]
    return "\n".join(lines)


def progress_line(job: JobDetails) -> str:
    """Formats the progress of a job from Flink's REST API.

    >>> progress_line({"state": "RUNNING", "vertices": [{"name": "{SelectVideos}", "status": "FINISHED", "metrics": {}},
    ...     {"name": "{LabelSelected, ClipRows}", "status": "RUNNING", "metrics": {"read-records": 7}}]})
    'running, 1 of 2 steps done, videos and segments started: 7'
    """
    vertices = job["vertices"]
    done = sum(vertex["status"] == "FINISHED" for vertex in vertices)
    taken = sum(vertex["metrics"].get("read-records", 0) for vertex in vertices if CLIP_ROWS in vertex["name"])
    # The first of these steps reads videos, and decodes the short ones; the other reads segments of long ones.
    steps = counted(len(vertices), "step")
    return f"{job['state'].lower()}, {done} of {steps} done, videos and segments started: {taken}"
