"""KeepLock: pass elements through and regularly renew the output's lock."""

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

    Input: the small elements that start the heavy work. Output: the same elements. A job that makes progress renews its
    lock. The lock of a stuck or dead job expires after two hours.

    Args:
      lock: the lock of the output. If it is None, or the launcher renews it, the step is omitted.
    """

    def __init__(self, lock: LockTicket | None) -> None:
        super().__init__()
        self._lock = lock

    def expand(self, elements: beam.PCollection[_T]) -> beam.PCollection[_T]:
        """Builds the step."""
        if self._lock is None or not self._lock.outlives_launcher:
            return elements
        return elements | "Renew" >> beam.Map(_keep, self._lock).with_output_types(elements.element_type)


def _keep(element: _T, lock: LockTicket) -> _T:
    if _is_due(lock):
        try:
            lock.keep()
        except StorageError as failure:  # the next renewal may succeed
            _log.warning("the output's lock could not be renewed: %s", failure)
    return element


def _is_due(lock: LockTicket) -> bool:
    """Returns whether this process should renew the lock now. Only one thread gets True in each interval."""
    now = time.monotonic()
    with _guard:
        due = now - _renewed.get(lock, -JOB_RENEWAL_SECONDS) >= JOB_RENEWAL_SECONDS
        if due:
            _renewed[lock] = now
    return due
