"""KeepLock: passes elements on, and renews the lock of the output from time to time."""

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

    Input: small elements, before the heavy step that processes them. Output: the same. Only a job that makes progress
    renews its lock. Two hours after a job got stuck or died, its output is free.

    Args:
      lock: the run's lock of the output. None, or a lock that the launcher renews, adds nothing to the job.
      renewal_seconds: the time between two renewals by a process.
    """

    def __init__(self, lock: LockTicket | None, renewal_seconds: float = JOB_RENEWAL_SECONDS) -> None:
        super().__init__()
        self._lock = lock
        self._renewal_seconds = renewal_seconds

    def expand(self, elements: beam.PCollection[_T]) -> beam.PCollection[_T]:
        """Connects the step."""
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
    """Returns whether this process has to renew the lock; True for one thread only."""
    now = time.monotonic()
    with _guard:
        due = now - _renewed.get(lock, -renewal_seconds) >= renewal_seconds
        if due:
            _renewed[lock] = now
    return due
