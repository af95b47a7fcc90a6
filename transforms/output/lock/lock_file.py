"""An output's lock as a file: what it says, how it is written, and how it is found out that its holder is gone.

    OUTPUT/.staging/lock.json    who holds the output, since when, and until when if nothing more is heard

It is only ever written if it still is what one has read (`write_if` of `reelbeam.transforms.storage.stores`); to
release the lock is to write so into it. A holder that was killed cannot release it, and is found out in one of two
ways:

- by its **process**, where the run ends with it and it is one of this very system: no process with its number and its
  start is there any more. So a run that was killed can be started again at once.
- by its **lease**, anywhere else: a holder renews its lease in the background, and when the lease is over, so is the
  holder's claim. Leases are much longer than what the clocks of two machines may differ by.
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
from reelbeam.transforms.storage.documents import Count, Name, Time, is_number, parse
from reelbeam.transforms.storage.typed_json import Rule, from_json, to_json

_LAST_SECOND = 250_000_000_000.0
"""Of the years that a date can have."""
_MAX_LETTERS = 300


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_LETTERS


def _are_seconds(value: object) -> bool:
    return isinstance(value, int | float) and is_number(value) and 0 <= value < _LAST_SECOND


Text: TypeAlias = Annotated[str, Rule(_is_short, {"maxLength": _MAX_LETTERS})]
Seconds: TypeAlias = Annotated[float, Rule(_are_seconds, {"minimum": 0, "exclusiveMaximum": _LAST_SECOND})]


@dataclasses.dataclass(frozen=True)
class ProcessIdentity:
    """What distinguishes a process from any other, of all machines and times.

    Attributes:
      kernel: the id of the boot.
      namespace: of the process ids.
      pid: the process id.
      start: in ticks of the kernel's clock since the boot.
    """

    kernel: str
    namespace: str
    pid: Count
    start: Count


@dataclasses.dataclass(frozen=True)
class LockProgress:
    """How far the run is that holds a lock."""

    videos_done: Count
    videos: Count
    at: Time


@dataclasses.dataclass(frozen=True)
class LockRecord:
    """What the lock of an output says.

    Attributes:
      holder: the name under which it is held.
      process: the process with which the run ends; None where the run may outlive it, or where there is no /proc.
      lease_ends_at: in seconds since 1970.
      progress: of the run, where it is known.
      released_at: when the holder released it; None while it is held.
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
        """Returns what the lock says, and the version of its file; None, None where there is none.

        None with a version: what a machine that lost its power has left of a lock, or what no run writes. It holds
        nothing.
        """
        found = self._store.read_versioned(self._uri)
        if found is None:
            return None, None
        try:
            return from_json(LockRecord, parse(found.data)), found.version
        except ValueError:
            return None, found.version

    def read_if_held(self, holder: str) -> tuple[LockRecord, str | None] | None:
        """Returns what `read` does while `holder` holds the lock; None: it does not."""
        lock, version = self.read()
        return (lock, version) if lock and is_held(lock, holder) else None

    def write(self, lock: LockRecord, version: str | None) -> bool:
        """Writes the lock if its version is still `version`; returns whether it was."""
        data = (json.dumps(to_json(lock), indent=2, sort_keys=True) + "\n").encode()
        return self._store.write_if(self._uri, data, version)

    def write_lease(self, lock: LockRecord, version: str | None) -> bool:
        """Writes the lock as `write` does, with another lease of its own length, from now on."""
        return self.write(dataclasses.replace(lock, lease_ends_at=time.time() + lock.lease_seconds), version)

    def release(self, holder: str) -> None:
        """Releases the lock if `holder` holds it."""
        while (held := self.read_if_held(holder)) is not None:
            lock, version = held
            if self.write(
                dataclasses.replace(lock, released_at=utc_now()), version
            ):  # else somebody has just renewed it
                return


def read_lock(output: str) -> LockRecord | None:
    """Returns what the lock of an output says; None where there never was one.

    Raises:
      StorageError: the output cannot be read.
    """
    return LockFile(output).read()[0]


def is_held(lock: LockRecord, holder: str) -> bool:
    """Whether a lock names `holder`, who has not released it."""
    return lock.holder == holder and not lock.released_at


def is_free(lock: LockRecord) -> bool:
    """Whether the lock was released, or its holder is dead or has not been heard of for too long."""
    if lock.released_at:
        return True
    process, here = lock.process, this_process()
    if process and here and (process.kernel, process.namespace) == (here.kernel, here.namespace):
        return _start_of(process.pid) != process.start
    return time.time() > lock.lease_ends_at


def this_process() -> ProcessIdentity | None:
    """Returns the identity of this process; None where there is no /proc."""
    try:
        kernel = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return None
    start = _start_of(os.getpid())
    return None if start is None else ProcessIdentity(kernel, namespace, os.getpid(), start)


def _start_of(pid: int) -> int | None:
    """Returns when a process was started, in the kernel's ticks since its own start; None where it does not run."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def describe(lock: LockRecord) -> str:
    """Says who holds a lock, for a person."""
    if lock.released_at:
        return f"run {lock.holder} released it at {lock.released_at}"
    ends = datetime.datetime.fromtimestamp(lock.lease_ends_at, datetime.UTC).isoformat(timespec="seconds")
    return (
        f"run {lock.holder} on {lock.host} (process {lock.process_id}) holds it since {lock.since}, "
        f"its lease ends at {ends}"
    )


def utc_now() -> str:
    """Returns this second, as it stands in a lock."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
