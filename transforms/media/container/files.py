"""Local files as FFmpeg reads them: opened here, read-only, and passed on as bytes.

FFmpeg never sees a path that it could interpret as a URL. The decoder process could not open a path anyway: it reads
a `ReceivedFile`, whose descriptor its parent has opened. The parent fetches the bytes of a `PartialFile` before they
are read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from reelbeam.transforms import errors
from reelbeam.transforms.media.container.sparse_reading import LeftOut

Fetch: TypeAlias = Callable[[int, int], tuple[int, int]]
"""Fetches the bytes in [start, stop); returns the bounds of the fetched range that contains them."""


class PartialFile(Protocol):
    """A video that is only partly on local disk.

    Attributes:
      name: the video's name, for messages.
      size_bytes: the size of the whole file.
      num_fetched_bytes: the number of bytes that `fetch` has read from the store so far.
    """

    name: str
    size_bytes: int
    num_fetched_bytes: int

    def fileno(self) -> int:
        """Returns a read-only descriptor. Its file has the full length from the beginning."""

    def fetch(self, start: int, stop: int) -> tuple[int, int]:
        """Fetches a range, see `Fetch`. Raises StorageError if that fails."""


VideoFile: TypeAlias = str | os.PathLike[str] | PartialFile
"""A video as the parent of a decoder process has it: a path on local disk, or a file that is still being fetched."""


class LocalFile:
    """A regular file with its own position, independent of other readers of the descriptor. Owns the descriptor.

    Args:
      name: the file's name, for messages.
      descriptor: a descriptor open for reading.
      size_bytes: the file's size, for the decoder process, which cannot ask for it; None asks each time.
      fetch: see `Fetch`; None if the whole file is on disk.
      left_out: the parts that need not be fetched; None: there are none.
    """

    def __init__(
        self,
        name: str,
        descriptor: int,
        size_bytes: int | None = None,
        fetch: Fetch | None = None,
        left_out: LeftOut | None = None,
    ) -> None:
        self.name = name
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._position = 0
        self._fetch = fetch
        self._left_out = left_out
        self._there: list[tuple[int, int]] = []

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._descriptor

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes; b"" at the end."""
        if self._left_out is not None:
            stop, is_left_out = self._left_out.part(self._position, min(self._position + size, self._size()))
            size = max(stop - self._position, 0)
            if is_left_out:
                self._position = stop
                return bytes(size)
        if self._fetch is not None:
            self._await(self._position, size, self._fetch)
        data = os.pread(self._descriptor, size, self._position)
        self._position += len(data)
        return data

    def _await(self, start: int, size: int, fetch: Fetch) -> None:
        """Fetches the bytes that are about to be read, unless they are known to be on disk."""
        stop = min(start + size, self._size())
        if start < stop and not any(first <= start and stop <= end for first, end in self._there):
            first, end = fetch(start, stop)
            # Stays at two or three ranges: a file is read at a few positions, and each new range absorbs overlaps.
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


@dataclasses.dataclass(frozen=True)
class ReceivedFile:
    """A file that a parent process has opened. Only its descriptor can be read; its name is for messages.

    Attributes:
      name: the file's name.
      descriptor: a descriptor open for reading. The caller closes it.
      size_bytes: the size of the whole file.
      fetch: see `Fetch`; None if the whole file is on disk.
      left_out: the parts that need not be fetched; None: there are none.
    """

    name: str
    descriptor: int
    size_bytes: int
    fetch: Fetch | None = None
    left_out: LeftOut | None = None

    def open(self) -> LocalFile:
        """Returns a reader with a position of its own.

        Raises:
          UnreadableVideoError: the process has too many open files.
        """
        try:
            descriptor = os.dup(self.descriptor)
        except OSError as error:
            raise errors.UnreadableVideoError(f"{self.name}: cannot be read: {error.strerror}") from error
        return LocalFile(self.name, descriptor, self.size_bytes, self.fetch, self.left_out)


LocalVideo: TypeAlias = str | os.PathLike[str] | ReceivedFile
"""A video that this process decodes: a path on local disk, or an open file."""


def open_file(video: LocalVideo) -> LocalFile:
    """Opens a local file for reading; a path is never interpreted as a URL.

    Raises:
      VideoNotFoundError, UnreadableVideoError, EmptyFileError.
    """
    if isinstance(video, ReceivedFile):
        return video.open()
    name = os.fspath(video)
    try:
        # Without O_NONBLOCK, opening a pipe would block until it has a writer.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise errors.VideoNotFoundError(f"{name}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise errors.UnreadableVideoError(
            f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    file = LocalFile(name, descriptor)
    try:
        _check(name, os.fstat(descriptor))
    except errors.MediaError:
        file.close()
        raise
    return file


def name_of(video: VideoFile | LocalVideo) -> str:
    """Returns the name of a video."""
    return os.fspath(video) if isinstance(video, str | os.PathLike) else video.name


def size_of(video: VideoFile) -> int:
    """Returns the size of a video in bytes; 0 if it is unknown. Opening the file then raises the error."""
    if not isinstance(video, str | os.PathLike):
        return video.size_bytes
    try:
        return os.stat(video).st_size
    except (OSError, ValueError):
        return 0


@contextlib.contextmanager
def readable(video: VideoFile) -> Iterator[int]:
    """Yields a descriptor of a video. Raises the errors of `open_file`."""
    if isinstance(video, str | os.PathLike):
        with contextlib.closing(open_file(video)) as file:
            yield file.fileno()
    else:
        yield video.fileno()


def _check(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise errors.NotAVideoError(f"{name}: a folder, pipe or device, not a file; leave it out")
    if status.st_size == 0:
        raise errors.EmptyFileError(f"{name}: the file is empty (0 bytes); upload it again")
