"""The output's lock: only one run at a time writes to an output, on any machine.

Without it, two runs would label the same videos twice, and each would remove the other's staging folder. This module
acquires, renews and releases the lock. `reelbeam.transforms.output.lock.lock_file` describes its file and the detection
of dead holders.

A job on a cluster may outlive its launcher and run for days. It holds the lock itself: its workers renew the lease
(`reelbeam.transforms.keep_lock`). The first lease is long, because a job may wait for its workers. After their first
renewal the lease is shorter, also for renewals by the launcher.

A suspended holder may resume after its lease. Only the holder, or a run that takes over an expired lease, writes the
lock file. So a run that is still the holder at commit time was not taken over; otherwise it is rejected. The write that
verifies this also renews the lease (`LockTicket.require`), so no other run takes over during the commit. This also
applies to jobs that outlive their launcher.
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

from reelbeam.transforms.errors import LockLostError, OutputLockedError, StorageError
from reelbeam.transforms.output.lock.lock_file import (
    LockFile,
    LockProgress,
    LockRecord,
    describe,
    is_free,
    is_held,
    this_process,
)
from reelbeam.transforms.output.runs import utc_now

LOCAL_LEASE_SECONDS = 300.0
"""The lease of a run that ends with its launcher. It is renewed ten times per lease."""
FIRST_JOB_LEASE_SECONDS = 6 * 3600.0
"""The first lease of a job that may outlive its launcher: time to queue, start its workers and list its videos."""
JOB_LEASE_SECONDS = 2 * 3600.0
"""The lease after a worker's first renewal, much longer than a video, a segment or the writing of rows takes."""
JOB_RENEWAL_SECONDS = 300.0
"""The minimum interval between renewals by workers. Stores limit the write rate of one object, and there may be a
thousand workers."""

_RENEWALS_PER_LEASE = 10
_MOST_SECONDS_BETWEEN_RENEWALS = 60.0
_SECONDS_BETWEEN_LOOKS = 2.0


class LockTicket(NamedTuple):
    """A description of the launcher's lock for the commit step.

    Attributes:
      output: the locked folder or prefix.
      holder: the name of the holder: a run, or the common name of the parts of a run.
      outlives_launcher: whether the commit releases the lock, because the launcher may have ended by then.
    """

    output: str
    holder: str
    outlives_launcher: bool = False

    def require(self) -> None:
        """Verifies that this run holds the output, and renews its lease.

        Raises:
          LockLostError: another run has taken over the output.
          StorageError: the lock cannot be read or written.
        """
        file = LockFile(self.output)
        while True:
            lock, version = file.read()
            if lock is None or not is_held(lock, self.holder):
                raise LockLostError(
                    f"run {self.holder} no longer holds {self.output}: "
                    f"{describe(lock) if lock else 'the lock file is missing'}; its lease expired before its end, "
                    "and another run may label the same videos; run again"
                )
            if file.write_lease(lock, version):
                return

    def keep(self) -> None:
        """Renews the lease for the job, unless it was just renewed, or the run no longer holds the lock.

        If another worker renewed the lease first, or the run has ended, there is nothing to do.

        Raises:
          StorageError: the lock cannot be read or written.
        """
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
        """Releases the lock of a run whose launcher may have ended."""
        if self.outlives_launcher:
            LockFile(self.output).release(self.holder)


class OutputLock:
    """Holds the lock of an output and renews its lease. A context manager.

    Args:
      ticket: the output and the name of the holder.
      lease_seconds: the length of the lease.
      wait: whether to wait while another run holds the lock, instead of raising OutputLockedError.
      ends_with_process: whether the run ends with this process: False if it runs on a cluster.
      progress: returns the progress of the run, which each renewal writes into the lock; None: unknown.
      sleep: waits for a number of seconds before the lock is read again.

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
            self._file.release(self._ticket.holder)
        except StorageError as failure:  # the lease expires anyway
            logging.getLogger(__name__).warning("the output's lock could not be released: %s", failure)

    def leave_to_job(self) -> None:
        """Keeps the output locked at the end of the block, because a job continues. Its commit releases the lock."""
        self._is_left = True

    def take_back(self) -> None:
        """Reverts `leave_to_job`, because the job has ended or was never submitted."""
        self._is_left = False

    def _take(self, file: LockFile) -> None:
        has_warned = False
        mine = LockRecord(
            holder=self._ticket.holder,
            host=socket.gethostname(),
            process=this_process() if self._ends_with_process else None,
            process_id=os.getpid(),
            since=utc_now().isoformat(),
            lease_seconds=self._lease_seconds,
        )
        while True:
            lock, version = file.read()
            if lock is None or is_free(lock):
                if file.write_lease(mine, version):
                    return
                continue  # another run was faster
            if not self._wait:
                raise OutputLockedError(
                    f"{self._ticket.output} is in use: {describe(lock)}. Wait for its end, or pass --wait_for_lock"
                )
            if not has_warned:
                logging.getLogger(__name__).warning("waiting for %s: %s", self._ticket.output, describe(lock))
                has_warned = True
            self._sleep(_SECONDS_BETWEEN_LOOKS)

    def _renew(self) -> None:
        pause = min(self._lease_seconds / _RENEWALS_PER_LEASE, _MOST_SECONDS_BETWEEN_RENEWALS)
        while not self._stop.wait(pause) and self.renew():
            pass

    def renew(self) -> bool:
        """Renews the lease and writes the progress. Returns whether the run still holds the lock."""
        try:
            held = self._file.read_if_held(self._ticket.holder)
            if held is None:
                return False  # taken over, or released by the commit, which handles both
            lock, version = held
            progress = self._progress() or lock.progress
            self._file.write_lease(dataclasses.replace(lock, progress=progress), version)
        except StorageError as failure:  # the next renewal may succeed
            logging.getLogger(__name__).warning("the output's lock could not be renewed: %s", failure)
        return True
