"""Lock a local or shared file for a write, by `flock` on a guard: an empty file beside it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator

from reelbeam.transforms.errors import UnavailableError, UnusableFileError
from reelbeam.transforms.storage.plain_files import folder_of

_PAUSE_SECONDS = 0.02


@contextlib.contextmanager
def guarded(path: str, max_wait_seconds: float) -> Iterator[None]:
    """Holds the lock of the guard of a file; the kernel releases it if the process dies. Creates the file's folder.

    The guard is a regular file that is opened for writing, so that NFS takes the lock on the server, for all machines.
    The lock of a folder, or of a file opened for reading only, would hold on one machine.

    A process that can open the guard can lock it, and block a run. So only users who may write to its folder can open
    it, and the wait for it is limited.

    Args:
      path: of the file.
      max_wait_seconds: how long to wait for another process.

    Raises:
      UnavailableError: another process has held the lock for that long.
      UnusableFileError: something else has the guard's name.
      OSError: the guard cannot be created or opened.
    """
    with folder_of(path, make=True) as (folder, name):
        guard = _open_guard(folder, f".{name}.guard", f"{path.rpartition('/')[0]}/.{name}.guard")
    try:
        _wait_for(guard, path, max_wait_seconds)
        yield
    finally:
        os.close(guard)


def _wait_for(guard: int, path: str, max_wait_seconds: float) -> None:
    end = time.monotonic() + max_wait_seconds
    while True:
        try:
            return fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise UnavailableError(
                    f"{path}: another process has locked its guard for {max_wait_seconds:g} seconds; "
                    f"find it with `fuser`, and end it"
                ) from None
        time.sleep(_PAUSE_SECONDS)


def _open_guard(folder: int, name: str, path: str) -> int:
    """Opens a guard, or creates it with access for those who may write to its folder.

    Raises:
      UnusableFileError: something else has its name. A hard link could be to any file of this user.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        guard = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except FileExistsError:
        guard = os.open(name, flags, dir_fd=folder)
    else:
        facts = os.fstat(folder)
        os.fchmod(
            guard,
            0o600 | (0o060 if facts.st_mode & stat.S_IWGRP else 0) | (0o006 if facts.st_mode & stat.S_IWOTH else 0),
        )
        if facts.st_mode & stat.S_IWGRP:
            with contextlib.suppress(PermissionError):  # a group that this process is not in
                os.fchown(guard, -1, facts.st_gid)
    found = os.fstat(guard)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size:
        os.close(guard)
        raise UnusableFileError(f"{path} is not an empty file of its own: remove it")
    return guard
