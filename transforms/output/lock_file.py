"""An output's lock as a file: what it says, how it is written, and how it is found out that its holder is gone.

    OUTPUT/.staging/lock.json    who holds the output, since when, and until when if nothing more is heard

It is only ever written if it still is what one has read (`reelbeam.transforms.storage.conditional_files`); to release
the lock is to write so into it. A holder that was killed cannot release it, and is found out in one of two ways:

- by its **process**, where the run ends with it and it is one of this very system: no process with its number and its
  start is there any more. So a run that was killed can be started again at once.
- by its **lease**, anywhere else: a holder renews its lease in the background, and when the lease is over, so is the
  holder's claim. Leases are much longer than what the clocks of two machines may differ by.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import time
from typing import Any

from reelbeam.transforms import storage
from reelbeam.transforms.storage.conditional_files import conditional_file
from reelbeam.transforms.storage.documents import is_count, is_name, is_number, is_time, parse

_SECONDS = ("lease_seconds", "lease_ends_at")
_LAST_SECOND = 250_000_000_000.0
"""Of the years that a date can have."""
_MAX_LETTERS = 300


class LockFile:
    """The lock of one output. Its methods raise whatever the store's client raises, see `storage.storage_errors`."""

    def __init__(self, output: str) -> None:
        self._file = conditional_file(f"{output.rstrip('/')}/.staging/lock.json")

    def read(self) -> tuple[dict[str, Any] | None, str | None]:
        """Returns what the lock says, and the version of its file; None, None where there is none.

        None with a version: what a machine that lost its power has left of a lock, or what no run writes. It holds
        nothing.
        """
        found = self._file.read()
        if found is None:
            return None, None
        try:
            lock = parse(found.data)
        except ValueError:
            return None, found.version
        return (lock if _is_lock(lock) else None), found.version

    def read_if_held(self, holder: str) -> tuple[dict[str, Any], str | None] | None:
        """Returns what `read` does while `holder` holds the lock; None: it does not."""
        lock, version = self.read()
        return (lock, version) if lock and is_held(lock, holder) else None

    def write(self, lock: dict[str, Any], version: str | None) -> bool:
        """Writes the lock if its version is still `version`; returns whether it was."""
        return self._file.write((json.dumps(lock, indent=2, sort_keys=True) + "\n").encode(), version)

    def write_lease(self, lock: dict[str, Any], version: str | None) -> bool:
        """Writes the lock as `write` does, with another lease of its own length, from now on."""
        return self.write(lock | {"lease_ends_at": time.time() + lock["lease_seconds"]}, version)

    def release(self, holder: str) -> None:
        """Releases the lock if `holder` holds it."""
        while (held := self.read_if_held(holder)) is not None:
            lock, version = held
            if self.write(lock | {"released_at": utc_now()}, version):  # else somebody has just renewed it
                return


def _is_lock(value: Any) -> bool:
    """Whether a document is a lock as a run writes it: everything in it that is used is of its kind."""
    if not isinstance(value, dict) or not is_name(value.get("holder")):
        return False
    if not (value.get("released_at") is None or is_time(value["released_at"])):
        return False
    process, progress = value.get("process"), value.get("progress")
    return (
        all(isinstance(value.get(name), str) and len(value[name]) <= _MAX_LETTERS for name in ("host", "since"))
        and all(is_number(value.get(name)) and 0 <= value[name] < _LAST_SECOND for name in _SECONDS)
        and is_count(value.get("process_id"))
        and (process is None or _is_process(process))
        and (progress is None or _is_progress(progress))
    )


def _is_process(value: Any) -> bool:
    if not isinstance(value, dict) or not is_count(value.get("pid")):
        return False
    return is_count(value.get("start")) and all(isinstance(value.get(name), str) for name in ("kernel", "namespace"))


def _is_progress(value: Any) -> bool:
    if not isinstance(value, dict) or not is_time(value.get("at")):
        return False
    return all(is_count(value.get(name)) for name in ("videos_done", "videos"))


def read_lock(output: str) -> dict[str, Any] | None:
    """Returns what the lock of an output says; None where there never was one.

    Raises:
      MediaError: the output cannot be read.
    """
    with storage.storage_errors(output):
        return LockFile(output).read()[0]


def is_held(lock: dict[str, Any], holder: str) -> bool:
    """Whether a lock names `holder`, who has not released it."""
    return lock.get("holder") == holder and not lock.get("released_at")


def is_free(lock: dict[str, Any]) -> bool:
    """Whether the lock was released, or its holder is dead or has not been heard of for too long."""
    if lock.get("released_at"):
        return True
    process, here = lock.get("process"), this_process()
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


def describe(lock: dict[str, Any]) -> str:
    """Says who holds a lock, for a person."""
    if lock.get("released_at"):
        return f"run {lock['holder']} released it at {lock['released_at']}"
    ends = datetime.datetime.fromtimestamp(lock["lease_ends_at"], datetime.UTC).isoformat(timespec="seconds")
    return (
        f"run {lock['holder']} on {lock['host']} (process {lock['process_id']}) holds it since {lock['since']}, "
        f"its lease ends at {ends}"
    )


def utc_now() -> str:
    """Returns this second, as it stands in a lock."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
