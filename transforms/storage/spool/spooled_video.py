"""A remote video on local disk: a sparse file with the video's size, filled block by block on demand.

The spool (`reelbeam.transforms.storage.spool.folder`) creates and removes the files. Threads that use the same video
fetch each block once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import threading
from collections.abc import Iterator

from reelbeam.transforms import metrics
from reelbeam.transforms.errors import UnavailableError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.spool.blocks import Blocks
from reelbeam.transforms.storage.stores.store import ObjectInfo, Store

BLOCK_BYTES = 256 << 10


class SparseFile:
    """A file and its blocks. The spool's lock guards everything but the bytes; descriptors are open while in use."""

    def __init__(self, path: pathlib.Path, size_bytes: int, block_bytes: int = BLOCK_BYTES) -> None:
        self.size_bytes = size_bytes
        self.block_bytes = block_bytes
        self.num_users = 0
        self.num_fetched_bytes = 0
        self.blocks = Blocks(-(-size_bytes // block_bytes))
        self.read_only = self._writable = -1
        self._path = path

    def open(self) -> None:
        """Adds a user. Raises UnavailableError if the disk denies access."""
        if not self.num_users:
            with disk_errors(self._path.parent), contextlib.ExitStack() as opened:
                writable = self._open_writable()
                opened.callback(os.close, writable)
                os.ftruncate(writable, self.size_bytes)
                # The decoder gets a descriptor that cannot write.
                self._writable, self.read_only = writable, os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                opened.pop_all()
        self.num_users += 1

    def _open_writable(self) -> int:
        """Returns a descriptor of the file; creates an empty file if it does not exist."""
        try:
            return os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # it is new, or something that cleans /tmp removed it
            self.blocks = Blocks(-(-self.size_bytes // self.block_bytes))
            self.num_fetched_bytes = 0
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Removes a user."""
        self.num_users -= 1
        if not self.num_users:
            os.close(self._writable)
            os.close(self.read_only)

    def write(self, data: bytes, offset: int) -> None:
        """Writes bytes at an offset."""
        with memoryview(data) as view, disk_errors(self._path.parent):
            while len(view):
                written = os.pwrite(self._writable, view, offset)
                view, offset = view[written:], offset + written

    def remove(self) -> None:
        """Deletes the file."""
        self._path.unlink(missing_ok=True)


class SpooledVideo:
    """A remote video on local disk, see `media.container.files.PartialFile`. For use by one thread.

    Attributes:
      name: its URI without secrets.
      size_bytes: the size of the whole video.
      num_fetched_bytes: the number of bytes that this user of the video has read from the store.
    """

    def __init__(self, video: ObjectInfo, store: Store, file: SparseFile, changed: threading.Condition) -> None:
        self.name = without_query(video.uri)
        self.size_bytes = file.size_bytes
        self.num_fetched_bytes = 0
        self._video = video
        self._store = store
        self._file = file
        self._changed = changed

    def fileno(self) -> int:
        """Returns a descriptor for reading; parts that are not fetched read as zeros."""
        return self._file.read_only

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the video in the spool until the end of the block, which may be after this use of it."""
        with self._changed:
            self._file.open()
        try:
            yield
        finally:
            with self._changed:
                self._file.close()
                self._changed.notify_all()

    def fetch(self, start: int, stop: int) -> tuple[int, int]:
        """Ensures that these bytes are on disk.

        Returns:
          The start and end of the fetched range that contains them.

        Raises:
          StorageError: as in `stores.store.Store.read`, or because the disk is full.
        """
        assert 0 <= start < stop <= self.size_bytes
        block_bytes = self._file.block_bytes
        first, last = start // block_bytes, -(-stop // block_bytes)
        blocks = self._file.blocks
        while True:
            with self._changed:
                while (claimed := blocks.claim(first, last)) is None and not blocks.is_there(first, last):
                    self._changed.wait()
                if claimed is None:
                    start_block, end_block = blocks.run_around(first)
                    return start_block * block_bytes, min(end_block * block_bytes, self.size_bytes)
            self._fetch_blocks(claimed)

    def _fetch_blocks(self, claimed: tuple[int, int]) -> None:
        start, stop = (min(block * self._file.block_bytes, self.size_bytes) for block in claimed)
        num_bytes = 0
        try:
            self._file.write(self._store.read(self._video, start, stop), start)
            num_bytes = stop - start
        finally:
            with self._changed:
                self._file.blocks.settle(claimed, are_there=num_bytes > 0)
                self._file.num_fetched_bytes += num_bytes
                self._changed.notify_all()
        self.num_fetched_bytes += num_bytes
        metrics.count(metrics.BYTES_FETCHED, num_bytes)


@contextlib.contextmanager
def disk_errors(place: object) -> Iterator[None]:
    """Converts disk errors to an error that names the flag."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "lower --spool_bytes, or name a larger disk with --spool_dir" if full else "name another --spool_dir"
        raise UnavailableError(f"remote videos cannot be kept in {place}: {error.strerror}; {remedy}") from error
