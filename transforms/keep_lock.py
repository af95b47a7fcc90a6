"""KeepLock: elements pass through, and now and then the output's lock is renewed: a job keeps what it writes to."""

from __future__ import annotations

import logging
import threading
import time
from typing import TypeVar

import apache_beam as beam

from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.output.lock.output_lock import JOB_RENEWAL_SECONDS, LockTicket

_T = TypeVar("_T")

_guard = threading.Lock()
_renewed: dict[LockTicket, float] = {}
_log = logging.getLogger(__name__)


class KeepLock(beam.PTransform):
    """Renews the lock of a job that may outlive its launcher, every few minutes in each process.

    Input: what the heavy work is about to take up, a small element each. Output: the same. Stands where the work is, so
    that a job that works is heard of, and one that is stuck or dead is not: two hours later its output is free.

    Args:
      lock: what the run holds of the output. None, or a lock that the launcher keeps: nothing is added to the job.
      renewal_seconds: how long a process waits between two renewals.
    """

    def __init__(self, lock: LockTicket | None, renewal_seconds: float = JOB_RENEWAL_SECONDS) -> None:
        super().__init__()
        self._lock = lock
        self._renewal_seconds = renewal_seconds

    def expand(self, elements: beam.PCollection[_T]) -> beam.PCollection[_T]:
        """Wires the step."""
        if self._lock is None or not self._lock.outlives_launcher:
            return elements
        return elements | "Renew" >> beam.Map(_keep, self._lock, self._renewal_seconds).with_output_types(
            elements.element_type
        )


def _keep(element: _T, lock: LockTicket, renewal_seconds: float) -> _T:
    if _is_due(lock, renewal_seconds):
        try:
            lock.keep()
        except StorageError as failure:  # the next renewal may succeed
            _log.warning("the output's lock could not be renewed: %s", failure)
    return element


def _is_due(lock: LockTicket, renewal_seconds: float) -> bool:
    """Whether this process has not renewed it lately; whoever is told so renews it, while other threads work on."""
    now = time.monotonic()
    with _guard:
        due = now - _renewed.get(lock, -renewal_seconds) >= renewal_seconds
        if due:
            _renewed[lock] = now
    return due
