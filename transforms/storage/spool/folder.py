"""Cache remote videos on local disk, limited to the parts that were read.

Planning reads a whole video, and decoding finds it on disk. A worker that has only one segment of a long film fetches
about that part (`reelbeam.transforms.storage.spool.spooled_video`).

The files of a process are in a folder of its own, and the process holds the lock of a file in it. A folder whose lock
is free belongs to a dead process; the next process that starts removes it. The lock is on a file opened for writing,
because on NFS other machines do not see the lock of a folder. Unlinked files would need no cleanup, but each would need
an open descriptor: too many for the small videos of a corpus, which planning leaves for decoding.

The threads of a process share one spool. A video in use counts with its whole size against the limit; a cached one
counts with its fetched bytes. The least recently used video is evicted first; a video in use is never evicted.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from reelbeam.transforms import metrics
from reelbeam.transforms.errors import ObjectTooLargeError, UnavailableError
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.spool.spooled_video import BLOCK_BYTES, SparseFile, SpooledVideo, disk_errors
from reelbeam.transforms.storage.stores.store import ObjectInfo, Store
from reelbeam.transforms.wording import counted

MAX_BYTES = 20 << 30
"""The default limit. It is lower if 80 % of the free disk space is less."""

_PREFIX = "reelbeam-spool-"
_LOCK_NAME = ".lock"
_FREE_SHARE = 0.8
_MAX_WAIT_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class SpoolConfig:
    """The folder and the limit for remote videos.

    Attributes:
      folder: a local folder; None: the folder for temporary files.
      max_bytes: the limit for all videos of a process; None: `MAX_BYTES`, or less if the disk is smaller.
      block_bytes: videos are fetched in blocks of this size.
    """

    folder: str | None = None
    max_bytes: int | None = None
    block_bytes: int = BLOCK_BYTES


DEFAULT_SPOOL = SpoolConfig()
_spools: dict[SpoolConfig, Spool] = {}
_spools_lock = threading.Lock()


def spool_of(config: SpoolConfig) -> Spool:
    """Returns this process's spool with that configuration."""
    with _spools_lock:
        spool = _spools.get(config)
        if spool is None:
            spool = _spools[config] = Spool(config)
        return spool


def free_bytes(folder: pathlib.Path) -> int:
    """Returns the free space of the disk of a folder, in bytes."""
    return shutil.disk_usage(folder).free


class Spool:
    """Provides remote videos as local files. Thread-safe; each thread may hold one video at a time.

    Attributes:
      folder: this process's own folder.
      max_bytes: the limit.
    """

    def __init__(self, config: SpoolConfig, free_bytes: Callable[[pathlib.Path], int] = free_bytes) -> None:
        """Creates the folder and removes those of dead processes.

        Args:
          config: the folder and the limit.
          free_bytes: returns the free space of the disk of a folder, in bytes.

        Raises:
          UnavailableError: the disk denies access.
        """
        place = pathlib.Path(config.folder or tempfile.gettempdir())
        with disk_errors(place):
            place.mkdir(parents=True, exist_ok=True)
            remove_abandoned(place)
            self.folder, self._lock = _make_folder(place)
            max_bytes = min(MAX_BYTES, int(free_bytes(place) * _FREE_SHARE))
        atexit.register(self.close)
        self._place = place
        self._max_bytes_of_any_disk = config.max_bytes or MAX_BYTES
        self.max_bytes = config.max_bytes or max_bytes
        self._block_bytes = config.block_bytes
        self._num_files = 0
        self._changed = threading.Condition()
        self._files: collections.OrderedDict[ObjectInfo, SparseFile] = collections.OrderedDict()  # last: last used

    @contextlib.contextmanager
    def acquire(self, video: ObjectInfo, store: Store) -> Iterator[SpooledVideo]:
        """Yields a remote video of known size and version; waits while other videos in use leave no room.

        Raises:
          ObjectTooLargeError: it is larger than the limit.
          UnavailableError: the disk is full, or there was no room for an hour.
        """
        if self.max_bytes < video.size_bytes <= self._max_bytes_of_any_disk:  # transient: the disk may have room later
            raise UnavailableError(
                f"{without_query(video.uri)} has {counted(video.size_bytes, 'byte')}, but the disk "
                f"of {self._place} had room for no more than {self.max_bytes}: free some there, or "
                "name a larger disk with --spool_dir"
            )
        if video.size_bytes > self.max_bytes:
            raise ObjectTooLargeError(
                f"{without_query(video.uri)} has {counted(video.size_bytes, 'byte')}, more than "
                f"the {self.max_bytes} that may be kept on local disk: raise --spool_bytes, or "
                "name a larger disk with --spool_dir"
            )
        # Ranges of a video, and attempts at it, share the fetched blocks.
        key = ObjectInfo(video.uri, video.size_bytes, video.version)
        file = self._take(key, video.size_bytes)
        try:
            yield SpooledVideo(key, store, file, self._changed)
        finally:
            self._release(key, file)

    @property
    def used_bytes(self) -> int:
        """The bytes that count against the limit: sizes of videos in use, and fetched bytes of the others."""
        return sum(file.size_bytes if file.num_users else file.num_fetched_bytes for file in self._files.values())

    def _take(self, key: ObjectInfo, size_bytes: int) -> SparseFile:
        end = time.monotonic() + _MAX_WAIT_SECONDS
        with self._changed:
            while not self._has_room(key, size_bytes):
                if not self._changed.wait(end - time.monotonic()):
                    raise UnavailableError(f"{without_query(key.uri)}: no room within --spool_bytes {self.max_bytes}")
            file = self._files.get(key)
            if file is None:
                self._num_files += 1
                file = self._files[key] = SparseFile(self.folder / str(self._num_files), size_bytes, self._block_bytes)
            file.open()
            self._files.move_to_end(key)
            self._evict()
        return file

    def _evict(self) -> None:
        for key in [key for key, file in self._files.items() if not file.num_users]:
            if self.used_bytes <= self.max_bytes:
                break
            self._files.pop(key).remove()
            metrics.count(metrics.SPOOL_EVICTIONS)

    def _has_room(self, key: ObjectInfo, size_bytes: int) -> bool:
        in_use = {key: file.size_bytes for key, file in self._files.items() if file.num_users}
        return sum((in_use | {key: size_bytes}).values()) <= self.max_bytes

    def _release(self, key: ObjectInfo, file: SparseFile) -> None:
        with self._changed:
            file.close()
            self._files.move_to_end(key)
            self._changed.notify_all()

    def close(self) -> None:
        """Removes all files and the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        atexit.unregister(self.close)


def remove_abandoned(place: pathlib.Path) -> None:
    """Removes the folders of dead processes; keeps those of other users and of living processes."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # BlockingIOError: its process is alive
            lock = _lock(folder)
            try:
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _make_folder(place: pathlib.Path) -> tuple[pathlib.Path, int]:
    """Returns a new folder and the descriptor of its lock."""
    while True:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            lock = _lock(folder)
            if folder.exists():
                return folder, lock
            os.close(lock)  # another process took the folder for abandoned just before it was locked


def _lock(folder: pathlib.Path) -> int:
    """Locks a folder and returns the descriptor; the kernel releases the lock when the process ends.

    Raises:
      BlockingIOError: another process holds the lock.
      FileNotFoundError: another process has just removed the folder.
    """
    descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
