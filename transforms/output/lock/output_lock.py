"""The output's lock: one run at a time writes there, wherever the others are started.

Two runs at once would label the same videos twice, and each would take the other's staging for remains. Here is who
takes the lock, keeps it and releases it; `reelbeam.transforms.output.lock.lock_file` tells what it is, and how a dead
holder is found out.

A job on a cluster may outlive its launcher, and last for days. It holds the lock itself: its workers renew the lease
while they work (`reelbeam.transforms.keep_lock`). The first lease is a long one, since a job may have to wait for its
workers; with their first sign of life it becomes a shorter one, for the launcher's renewals as well.

A holder that was only asleep may come back after its lease. Nobody writes into the lock but its holder and who takes it
over, so a run that finds its own name there at commit time has not been taken over, and otherwise is refused. It renews
the lease with the same write that proves it (`LockTicket.require`), so nobody takes over while it commits. That also
holds for jobs that outlive their launcher.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.errors import LockLostError, OutputLockedError, StorageError
from reelbeam.transforms.output.lock.lock_file import (
    LockFile,
    LockProgress,
    LockRecord,
    describe,
    is_free,
    is_held,
    this_process,
    utc_now,
)

LOCAL_LEASE_SECONDS = 300.0
"""Where the run ends with its launcher. Renewed ten times as often."""
FIRST_JOB_LEASE_SECONDS = 6 * 3600.0
"""Where a job may go on without its launcher: for as long it may queue, start its workers and list its videos."""
JOB_LEASE_SECONDS = 2 * 3600.0
"""From a sign of life of the job's workers on: much longer than one video or one segment takes, or writing the rows."""
JOB_RENEWAL_SECONDS = 300.0
"""How old the last sign of life must be before a worker gives another one: stores don't like one object to be written
many times a second, and there may be a thousand workers."""

_RENEWALS_PER_LEASE = 10
_MOST_SECONDS_BETWEEN_RENEWALS = 60.0
_SECONDS_BETWEEN_LOOKS = 2.0


class LockTicket(NamedTuple):
    """What the commit step has to know of the lock that its launcher took.

    Attributes:
      output: the folder or prefix that is locked.
      holder: the name under which it is held: a run's, or that which the parts of a run share.
      outlives_launcher: whether the lock is released by the commit, since the launcher may be gone by then.
    """

    output: str
    holder: str
    outlives_launcher: bool = False

    def require(self) -> None:
        """Makes sure that the output is this run's for another lease.

        Raises:
          LockLostError: it has been taken over by another run.
          StorageError: the lock cannot be read or written.
        """
        with storage.storage_errors(self.output):
            file = LockFile(self.output)
            while True:
                lock, version = file.read()
                if lock is None or not is_held(lock, self.holder):
                    raise LockLostError(
                        f"run {self.holder} no longer holds {self.output}: "
                        f"{describe(lock) if lock else 'nobody does'}; its lease was over before it came to its end, "
                        "and what it made may be made twice"
                    )
                if file.write_lease(lock, version):
                    return

    def keep(self) -> None:
        """Renews the lease for the job, unless somebody has just done so, or the lock is no longer this run's.

        A lost race is no matter: whoever was faster renewed it, too, or has ended the run.

        Raises:
          StorageError: the lock cannot be read or written.
        """
        with storage.storage_errors(self.output):
            file = LockFile(self.output)
            held = file.read_if_held(self.holder)
            if held is None:
                return
            lock, version = held
            now = time.time()
            is_fresh = lock.lease_ends_at > now + JOB_LEASE_SECONDS - JOB_RENEWAL_SECONDS
            if lock.lease_seconds != JOB_LEASE_SECONDS or not is_fresh:
                file.write_lease(dataclasses.replace(lock, lease_seconds=JOB_LEASE_SECONDS), version)

    def release_after_commit(self) -> None:
        """Releases the lock of a run whose launcher may be gone."""
        if self.outlives_launcher:
            LockFile(self.output).release(self.holder)


class OutputLock:
    """Holds an output while it is open, and renews its lease. A context manager.

    Args:
      ticket: what is locked, and under which name.
      lease_seconds: how long it is held when nothing more is heard.
      wait: whether to wait for another holder, instead of giving up.
      ends_with_process: whether the run is over when this process is: not if a cluster does the work.
      progress: returns how far the run is, which each renewal writes into the lock; None: unknown.
      sleep: waits for a number of seconds, until another holder is looked at again.

    Raises:
      OutputLockedError: another run holds the output.
      StorageError: the output cannot be written.
    """

    def __init__(
        self,
        ticket: LockTicket,
        lease_seconds: float = LOCAL_LEASE_SECONDS,
        wait: bool = False,
        ends_with_process: bool = True,
        progress: Callable[[], LockProgress | None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ticket = ticket
        self._sleep = sleep
        self._progress = progress
        self._ends_with_process = ends_with_process and not ticket.outlives_launcher
        self._lease_seconds = lease_seconds
        self._wait = wait
        self._is_left = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="output-lock", daemon=True)

    def __enter__(self) -> OutputLock:
        with storage.storage_errors(self._ticket.output):
            self._file = LockFile(self._ticket.output)
            self._take(self._file)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._is_left:
            return
        try:
            with storage.storage_errors(self._ticket.output):
                self._file.release(self._ticket.holder)
        except StorageError as failure:  # the lease ends by itself
            logging.getLogger(__name__).warning("the output's lock could not be released: %s", failure)

    def leave_to_job(self) -> None:
        """Keeps the output locked when this ends: a job goes on, and its commit releases the lock."""
        self._is_left = True

    def take_back(self) -> None:
        """Takes `leave_to_job` back: the job came to its end, or there never was one."""
        self._is_left = False

    def _take(self, file: LockFile) -> None:
        told = False
        mine = LockRecord(
            holder=self._ticket.holder,
            host=socket.gethostname(),
            process=this_process() if self._ends_with_process else None,
            process_id=os.getpid(),
            since=utc_now(),
            lease_seconds=self._lease_seconds,
        )
        while True:
            lock, version = file.read()
            if lock is None or is_free(lock):
                if file.write_lease(mine, version):
                    return
                continue  # somebody was faster
            if not self._wait:
                raise OutputLockedError(
                    f"{self._ticket.output} is in use: {describe(lock)}. Wait for its end, or give --wait_for_lock"
                )
            if not told:
                logging.getLogger(__name__).warning("waiting for %s: %s", self._ticket.output, describe(lock))
                told = True
            self._sleep(_SECONDS_BETWEEN_LOOKS)

    def _renew(self) -> None:
        pause = min(self._lease_seconds / _RENEWALS_PER_LEASE, _MOST_SECONDS_BETWEEN_RENEWALS)
        while not self._stop.wait(pause) and self.renew():
            pass

    def renew(self) -> bool:
        """Renews the lease and writes the progress; returns whether there is something to renew."""
        try:
            with storage.storage_errors(self._ticket.output):
                held = self._file.read_if_held(self._ticket.holder)
                if held is None:
                    return False  # taken over, or released by the commit: the commit sees to it
                lock, version = held
                progress = self._progress() or lock.progress
                self._file.write_lease(dataclasses.replace(lock, progress=progress), version)
        except StorageError as failure:  # the next renewal may succeed
            logging.getLogger(__name__).warning("the output's lock could not be renewed: %s", failure)
        return True
