"""The file of an output's lock: its content, how it is written, and how a dead holder is detected.

    OUTPUT/.staging/lock.json    the holder, since when it holds the output, and the end of its lease

The file is written only if it is unchanged since it was read (`write_if` of `reelbeam.transforms.storage.stores`).
Releasing the lock also writes the file. A killed holder cannot release it. It is detected in one of two ways:

- By its **process**, if the run ends with the process and the process ran on this system: it no longer exists, as
  identified by its id and start time. So a killed run can be restarted at once.
- By its **lease**, otherwise: a holder renews its lease in the background, and its claim ends with it. Leases are
  much longer than the difference between the clocks of two machines.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import time
from typing import Annotated, TypeAlias

from reelbeam.transforms import storage
from reelbeam.transforms.output.documents import Count, Name, Time, is_number
from reelbeam.transforms.output.runs import utc_now
from reelbeam.transforms.typed_json import Rule, from_json, parse_json, to_json

_LAST_SECOND = 250_000_000_000.0
"""The end of the years that a date can have, in seconds since 1970."""
_MAX_LETTERS = 300


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_LETTERS


def _are_seconds(value: object) -> bool:
    return isinstance(value, int | float) and is_number(value) and 0 <= value < _LAST_SECOND


Text: TypeAlias = Annotated[str, Rule(_is_short, {"maxLength": _MAX_LETTERS})]
Seconds: TypeAlias = Annotated[float, Rule(_are_seconds, {"minimum": 0, "exclusiveMaximum": _LAST_SECOND})]


@dataclasses.dataclass(frozen=True)
class ProcessIdentity:
    """A unique identity of a process, across machines and time.

    Attributes:
      kernel: the boot id.
      namespace: the namespace of process ids.
      pid: the process id.
      start: the start time in kernel clock ticks since boot.
    """

    kernel: str
    namespace: str
    pid: Count
    start: Count


@dataclasses.dataclass(frozen=True)
class LockProgress:
    """The progress of the run that holds a lock."""

    videos_done: Count
    videos: Count
    at: Time


@dataclasses.dataclass(frozen=True)
class LockRecord:
    """The content of an output's lock.

    Attributes:
      holder: the name of the holder.
      process: the process with which the run ends; None if the run may outlive it, or without /proc.
      lease_ends_at: the end of the lease, in seconds since 1970.
      progress: the progress of the run; None if unknown.
      released_at: when the holder released the lock; None while it is held.
    """

    holder: Name
    host: Text
    process: ProcessIdentity | None
    process_id: Count
    since: Text
    lease_seconds: Seconds
    lease_ends_at: Seconds = 0.0
    progress: LockProgress | None = None
    released_at: Time | None = None


class LockFile:
    """The lock of one output. All methods raise StorageError: the output cannot be read or written."""

    def __init__(self, output: str) -> None:
        self._uri = f"{output.rstrip('/')}/.staging/lock.json"
        self._store = storage.store_for(self._uri)

    def read(self) -> tuple[LockRecord | None, str | None]:
        """Returns the content of the lock and the version of its file; (None, None) if there is no file.

        None with a version means an invalid file, for example after a power failure. It does not hold the output.
        """
        found = self._store.read_versioned(self._uri)
        if found is None:
            return None, None
        try:
            return from_json(LockRecord, parse_json(found.data)), found.version
        except ValueError:
            return None, found.version

    def read_if_held(self, holder: str) -> tuple[LockRecord, str | None] | None:
        """Returns the result of `read` if `holder` holds the lock, else None."""
        lock, version = self.read()
        return (lock, version) if lock and is_held(lock, holder) else None

    def write(self, lock: LockRecord, version: str | None) -> bool:
        """Writes the lock if its version is still `version`. Returns whether it was written."""
        data = (json.dumps(to_json(lock), indent=2, sort_keys=True) + "\n").encode()
        return self._store.write_if(self._uri, data, version)

    def write_lease(self, lock: LockRecord, version: str | None) -> bool:
        """Writes the lock with a new lease of the same length, which starts now."""
        return self.write(dataclasses.replace(lock, lease_ends_at=time.time() + lock.lease_seconds), version)

    def release(self, holder: str) -> None:
        """Releases the lock if `holder` holds it."""
        while (held := self.read_if_held(holder)) is not None:
            lock, version = held
            if self.write(
                dataclasses.replace(lock, released_at=utc_now().isoformat()), version
            ):  # else it was just renewed
                return


def read_lock(output: str) -> LockRecord | None:
    """Returns the content of an output's lock; None if there is none.

    Raises:
      StorageError: the output cannot be read.
    """
    return LockFile(output).read()[0]


def is_held(lock: LockRecord, holder: str) -> bool:
    """Returns whether `holder` holds the lock and has not released it."""
    return lock.holder == holder and not lock.released_at


def is_free(lock: LockRecord) -> bool:
    """Returns whether the lock was released, its holder's process has ended, or its lease has expired."""
    if lock.released_at:
        return True
    process, here = lock.process, this_process()
    if process and here and (process.kernel, process.namespace) == (here.kernel, here.namespace):
        return _start_of(process.pid) != process.start
    return time.time() > lock.lease_ends_at


def this_process() -> ProcessIdentity | None:
    """Returns the identity of this process; None without /proc."""
    try:
        kernel = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return None
    start = _start_of(os.getpid())
    return None if start is None else ProcessIdentity(kernel, namespace, os.getpid(), start)


def _start_of(pid: int) -> int | None:
    """Returns the start time of a process in kernel clock ticks since boot; None if it does not run."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def describe(lock: LockRecord) -> str:
    """Returns a description of a lock's holder for messages."""
    if lock.released_at:
        return f"run {lock.holder} released it at {lock.released_at}"
    ends = datetime.datetime.fromtimestamp(lock.lease_ends_at, datetime.UTC).isoformat(timespec="seconds")
    return (
        f"run {lock.holder} on {lock.host} (process {lock.process_id}) holds it since {lock.since}, "
        f"its lease ends at {ends}"
    )
