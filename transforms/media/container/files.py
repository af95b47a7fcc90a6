"""Local files as FFmpeg gets them: opened here, read-only, and handed over as bytes.

FFmpeg never sees a path that it could take for a URL, and in the decoder process it could not open one: there the
caller's descriptor is lent under the file's name. Of a `PartialFile` the caller first fetches what
is to be read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from reelbeam.transforms import errors

Fetch: TypeAlias = Callable[[int, int], tuple[int, int]]
"""Makes the bytes from START to before STOP be there; returns the bounds of the stretch around them that is there."""


class PartialFile(Protocol):
    """A video of which parts are on local disk, and others still to be fetched.

    Attributes:
      name: of the video, for messages.
      size_bytes: of the whole file.
    """

    name: str
    size_bytes: int

    def fileno(self) -> int:
        """Returns a descriptor for reading only; it is as long as the whole file from the beginning."""

    def fetch(self, start: int, stop: int) -> tuple[int, int]:
        """See `Fetch`. Raises MediaError where that fails."""


VideoFile: TypeAlias = str | os.PathLike[str] | PartialFile
"""A path on local disk, or what is on its way there."""

_lent: dict[str, tuple[int, int, Fetch | None]] = {}


class LocalFile:
    """A regular file with a position of its own, whoever else reads the same descriptor. Closes it in the end.

    Args:
      name: for messages.
      descriptor: for reading.
      size_bytes: where it cannot be asked for, in the decoder process; None: it is asked for each time.
      fetch: see `Fetch`; None: all of it is there.
    """

    def __init__(self, name: str, descriptor: int, size_bytes: int | None = None, fetch: Fetch | None = None) -> None:
        self.name = name
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._position = 0
        self._fetch = fetch
        self._there: list[tuple[int, int]] = []

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._descriptor

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes; none at the end."""
        if self._fetch is not None:
            self._await(self._position, size, self._fetch)
        data = os.pread(self._descriptor, size, self._position)
        self._position += len(data)
        return data

    def _await(self, start: int, size: int, fetch: Fetch) -> None:
        """Has the bytes fetched that are about to be read, if it isn't known that they are there."""
        stop = min(start + size, self._size())
        if start < stop and not any(first <= start and stop <= end for first, end in self._there):
            first, end = fetch(start, stop)
            # Two or three at most: a file is read in a few places at a time, and each stretch swallows what it touches.
            self._there = [part for part in self._there if not (first <= part[0] and part[1] <= end)] + [(first, end)]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves as `io.RawIOBase.seek` does."""
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self._size()
        if offset < 0:
            raise OSError(22, "seek before the file's start", self.name)
        self._position = offset
        return offset

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size if self._size_bytes is None else self._size_bytes

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
            lent_descriptor, size_bytes, fetch = _lent[name]
            return LocalFile(name, os.dup(lent_descriptor), size_bytes, fetch)
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


def name_of(video: VideoFile) -> str:
    """Returns what a video is called."""
    return os.fspath(video) if isinstance(video, str | os.PathLike) else video.name


def size_of(video: VideoFile) -> int:
    """Returns the size of a video in bytes; 0 where it cannot be told, which opening it then says."""
    if not isinstance(video, str | os.PathLike):
        return video.size_bytes
    try:
        return os.stat(video).st_size
    except (OSError, ValueError):
        return 0


@contextlib.contextmanager
def readable(video: VideoFile) -> Iterator[int]:
    """Gives a descriptor of a video for the block. Raises as `open_file`."""
    if isinstance(video, str | os.PathLike):
        with contextlib.closing(open_file(os.fspath(video))) as file:
            yield file.fileno()
    else:
        yield video.fileno()


def _check(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise errors.NotAVideoError(f"{name}: a folder, pipe or device, not a file; leave it out")
    if status.st_size == 0:
        raise errors.EmptyFileError(f"{name}: the file is empty (0 bytes); upload it again")


@contextlib.contextmanager
def lent(name: str, descriptor: int, size_bytes: int, fetch: Fetch | None = None) -> Iterator[None]:
    """Lets `open_file(name)` give this descriptor's file for the block, and closes the descriptor afterwards."""
    _lent[name] = descriptor, size_bytes, fetch
    try:
        yield
    finally:
        del _lent[name]
        os.close(descriptor)
