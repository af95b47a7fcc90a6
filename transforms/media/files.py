"""Local files as FFmpeg gets them: opened here, read-only, and handed over as bytes.

FFmpeg never sees a path that it could take for a URL, and in the decoder process it could not open one: there the
caller's descriptor is lent under the file's name.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from transforms import errors

_lent: dict[str, int] = {}


class LocalFile:
    """A regular file with a position of its own, whoever else reads the same descriptor. Closes it in the end."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor
        self._position = 0

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._descriptor

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes; none at the end."""
        data = os.pread(self._descriptor, size, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves as `io.RawIOBase.seek` does."""
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += os.fstat(self._descriptor).st_size
        if offset < 0:
            raise OSError(22, "seek before the file's start", self.name)
        self._position = offset
        return offset

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def close(self) -> None:
        """Closes the descriptor, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_file(name: str) -> LocalFile:
    """Opens a local file for reading; `name` is never taken for a URL.

    Raises:
      VideoNotFoundError, StorageError, EmptyFileError.
    """
    try:
        if name in _lent:
            return LocalFile(name, os.dup(_lent[name]))
        # Without O_NONBLOCK, opening a pipe would wait for its writer.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise errors.VideoNotFoundError(f"{name}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise errors.StorageError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    file = LocalFile(name, descriptor)
    try:
        _check(name, os.fstat(descriptor))
    except errors.MediaError:
        file.close()
        raise
    return file


def _check(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise errors.StorageError(f"{name}: cannot be read: a folder, pipe or device, not a file")
    if status.st_size == 0:
        raise errors.EmptyFileError(f"{name}: the file is empty (0 bytes); upload it again")


@contextlib.contextmanager
def lent(name: str, descriptor: int) -> Iterator[None]:
    """Lets `open_file(name)` give this descriptor's file for the block, and closes the descriptor afterwards."""
    _lent[name] = descriptor
    try:
        yield
    finally:
        del _lent[name]
        os.close(descriptor)
