"""The output's lock: one run at a time writes there, wherever the others are started.

    OUTPUT/.staging/lock.json    who holds the output, since when, and until when if nothing more is heard

Two runs at once would label the same videos twice, and each would take the other's staging for remains. The lock is a
file that is only ever written if it still is what one has read (`transforms.conditional_files`); to release it is to
write so into it. A holder that was killed cannot release it, and is found out in one of two ways:

- by its **process**, where the run ends with it and it is one of this very system: no process with its number and its
  start is there any more. So a run that was killed can be started again at once.
- by its **lease**, anywhere else: a holder renews its lease in the background, and when the lease is over, so is the
  holder's claim. Leases are much longer than what the clocks of two machines may differ by.

A job on a cluster may outlive its launcher, and last for days. It holds the lock itself: its workers renew the lease
while they work (`transforms.keep_lock`). The first lease is a long one, since a job may have to wait for its workers;
with their first sign of life it becomes a shorter one, for the launcher's renewals as well.

A holder that was only asleep may come back after its lease. Nobody writes into the lock but its holder and who takes it
over, so a run that finds its own name there at commit time has not been taken over, and otherwise is refused. It renews
the lease with the same write that proves it (`LockTicket.require`), so nobody takes over while it commits. That also
holds for jobs that outlive their launcher.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import pathlib
import socket
import threading
import time
from types import TracebackType
from typing import Any, NamedTuple

from transforms import storage
from transforms.conditional_files import ConditionalFile, conditional_file
from transforms.errors import LockLostError, MediaError, OutputLockedError

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
          MediaError: the lock cannot be read or written.
        """
        with storage.storage_errors(self.output):
            file = _lock_file(self.output)
            while True:
                found = file.read()
                lock = _parse(found.data) if found else None
                if found is None or lock is None or not _is_held(lock, self.holder):
                    raise LockLostError(
                        f"run {self.holder} no longer holds {self.output}: "
                        f"{_describe(lock) if lock else 'nobody does'}; its lease was over before it came to its end, "
                        "and what it made may be made twice"
                    )
                if file.write(_renewed(lock), found.version):
                    return

    def keep(self) -> None:
        """Renews the lease for the job, unless somebody has just done so, or the lock is no longer this run's.

        A lost race is no matter: whoever was faster renewed it, too, or has ended the run.

        Raises:
          MediaError: the lock cannot be read or written.
        """
        with storage.storage_errors(self.output):
            file = _lock_file(self.output)
            held = _read_if_held(file, self.holder)
            if held is None:
                return
            lock, version = held
            now = time.time()
            is_fresh = lock["lease_ends_at"] > now + JOB_LEASE_SECONDS - JOB_RENEWAL_SECONDS
            if lock["lease_seconds"] != JOB_LEASE_SECONDS or not is_fresh:
                renewed = {"lease_seconds": JOB_LEASE_SECONDS, "lease_ends_at": now + JOB_LEASE_SECONDS}
                file.write(_to_json(lock | renewed), version)

    def release_after_commit(self) -> None:
        """Releases the lock of a run whose launcher may be gone."""
        if self.outlives_launcher:
            _release(_lock_file(self.output), self.holder)


class OutputLock:
    """Holds an output while it is open, and renews its lease. A context manager.

    Args:
      ticket: what is locked, and under which name.
      lease_seconds: how long it is held when nothing more is heard.
      wait: whether to wait for another holder, instead of giving up.
      ends_with_process: whether the run is over when this process is: not if a cluster does the work.

    Raises:
      OutputLockedError: another run holds the output.
      MediaError: the output cannot be written.
    """

    def __init__(
        self,
        ticket: LockTicket,
        lease_seconds: float = LOCAL_LEASE_SECONDS,
        wait: bool = False,
        ends_with_process: bool = True,
    ) -> None:
        self._ticket = ticket
        self._ends_with_process = ends_with_process and not ticket.outlives_launcher
        self._lease_seconds = lease_seconds
        self._wait = wait
        self._is_left = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="output-lock", daemon=True)

    def __enter__(self) -> OutputLock:
        with storage.storage_errors(self._ticket.output):
            self._file = _lock_file(self._ticket.output)
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
                _release(self._file, self._ticket.holder)
        except MediaError as failure:  # the lease ends by itself
            logging.getLogger(__name__).warning("the output's lock could not be released: %s", failure)

    def leave_to_job(self) -> None:
        """Keeps the output locked when this ends: a job goes on, and its commit releases the lock."""
        self._is_left = True

    def take_back(self) -> None:
        """Takes `leave_to_job` back: the job came to its end, or there never was one."""
        self._is_left = False

    def _take(self, file: ConditionalFile) -> None:
        told = False
        since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        mine = {
            "holder": self._ticket.holder,
            "host": socket.gethostname(),
            "process": this_process() if self._ends_with_process else None,
            "process_id": os.getpid(),
            "since": since,
            "lease_seconds": self._lease_seconds,
        }
        while True:
            found = file.read()
            lock = _parse(found.data) if found else None
            if lock is None or is_free(lock):
                if file.write(_renewed(mine), found and found.version):
                    return
                continue  # somebody was faster
            if not self._wait:
                raise OutputLockedError(
                    f"{self._ticket.output} is in use: {_describe(lock)}. Wait for its end, or give --wait_for_lock"
                )
            if not told:
                logging.getLogger(__name__).warning("waiting for %s: %s", self._ticket.output, _describe(lock))
                told = True
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _renew(self) -> None:
        pause = min(self._lease_seconds / _RENEWALS_PER_LEASE, _MOST_SECONDS_BETWEEN_RENEWALS)
        while not self._stop.wait(pause):
            try:
                with storage.storage_errors(self._ticket.output):
                    held = _read_if_held(self._file, self._ticket.holder)
                    if held is None:
                        return  # taken over, or released by the commit: the commit sees to it
                    lock, version = held
                    self._file.write(_renewed(lock), version)
            except MediaError as failure:  # the next renewal may succeed
                logging.getLogger(__name__).warning("the output's lock could not be renewed: %s", failure)


def read_lock(output: str) -> dict[str, Any] | None:
    """Returns what the lock of an output says; None where there never was one.

    Raises:
      MediaError: the output cannot be read.
    """
    with storage.storage_errors(output):
        found = _lock_file(output).read()
    return _parse(found.data) if found else None


def is_free(lock: dict[str, Any]) -> bool:
    """Whether the lock was released, or its holder is dead or has not been heard of for too long."""
    if lock.get("released_at"):
        return True
    process, here = lock["process"], this_process()
    if process and here and (process["kernel"], process["namespace"]) == (here["kernel"], here["namespace"]):
        return _start_of(process["pid"]) != process["start"]
    return time.time() > lock["lease_ends_at"]


def this_process() -> dict[str, Any] | None:
    """Returns what tells this process from any other, of all machines and times; None where there is no /proc."""
    try:
        return {
            "kernel": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            "namespace": os.readlink("/proc/self/ns/pid"),  # noqa: PTH115
            "pid": os.getpid(),
            "start": _start_of(os.getpid()),
        }
    except OSError:
        return None


def _start_of(pid: int) -> int | None:
    """Returns when a process was started, in the kernel's ticks since its own start; None where it does not run."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _release(file: ConditionalFile, holder: str) -> None:
    while (held := _read_if_held(file, holder)) is not None:
        lock, version = held
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        if file.write(_to_json(lock | {"released_at": now}), version):  # else somebody has just renewed it
            return


def _read_if_held(file: ConditionalFile, holder: str) -> tuple[dict[str, Any], str] | None:
    """Returns what the lock says, and its version, while `holder` holds it."""
    found = file.read()
    lock = _parse(found.data) if found else None
    return (lock, found.version) if found and lock and _is_held(lock, holder) else None


def _is_held(lock: dict[str, Any], holder: str) -> bool:
    return lock.get("holder") == holder and not lock.get("released_at")


def _renewed(lock: dict[str, Any]) -> bytes:
    """Returns what stands in a lock for another lease of its own length."""
    return _to_json(lock | {"lease_ends_at": time.time() + lock["lease_seconds"]})


def _lock_file(output: str) -> ConditionalFile:
    return conditional_file(f"{output.rstrip('/')}/.staging/lock.json")


def _describe(lock: dict[str, Any]) -> str:
    """Says who holds a lock, for a person."""
    if lock.get("released_at"):
        return f"run {lock['holder']} released it at {lock['released_at']}"
    ends = datetime.datetime.fromtimestamp(lock["lease_ends_at"], datetime.UTC).isoformat(timespec="seconds")
    return (
        f"run {lock['holder']} on {lock['host']} (process {lock['process_id']}) holds it since {lock['since']}, "
        f"its lease ends at {ends}"
    )


def _parse(data: bytes) -> dict[str, Any] | None:
    """Returns what a lock says; None for what a machine that lost its power has left of one: it holds nothing."""
    try:
        lock = json.loads(data)
    except ValueError:
        return None
    return lock if isinstance(lock, dict) and "holder" in lock else None


def _to_json(lock: dict[str, Any]) -> bytes:
    return (json.dumps(lock, indent=2, sort_keys=True) + "\n").encode()
