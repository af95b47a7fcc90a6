"""Read files of models only if they are regular files: reading a device or a FIFO might not end."""

from __future__ import annotations

import errno
import io
import os
import pathlib
import stat


class NotPlainError(OSError):
    """A path does not lead to a regular file, or leads to one that is too large."""


def open_plain(path: pathlib.Path, most_bytes: int) -> io.BufferedReader:
    """Opens a regular file, or a link to one, for reading. Does not wait for the other end of a FIFO.

    Raises:
      NotPlainError: it is something else, or has more than `most_bytes`.
      OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most_bytes:
            raise NotPlainError(errno.EINVAL, f"not a regular file of at most {most_bytes} bytes", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: pathlib.Path, most_bytes: int) -> bytes:
    """Returns the content of a regular file; raises what `open_plain` raises."""
    with open_plain(path, most_bytes) as file:
        return file.read(most_bytes)


def special_file(folder: pathlib.Path) -> str | None:
    """Returns the relative path of something in a model's folder, or in a folder of it, that no loader may open.

    That is a device, a FIFO or a socket, or a link to one. A link that leads nowhere is not one.
    """
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return str(path.relative_to(folder))
    return None
