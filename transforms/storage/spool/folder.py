"""Remote videos on local disk, as far as somebody has read them.

Planning reads all of a video, and decoding finds it there; a worker that has only one segment of a long film fetches
about that part (`reelbeam.transforms.storage.spool.spooled_video`).

The files of a process stand in a folder of their own, and the process holds the lock of a file in it; whose lock can be
had, its process is gone, and its folder is removed by the next one that starts. (A file, opened for writing: the lock
of a folder on NFS is not seen by other machines.) (Files without a name would need no such
broom, but an open descriptor each: too few for the small videos of a corpus, which planning leaves for decoding.)

One spool serves the threads of a process. A video in use counts with its whole size against the cap, one that is kept
for later with what was fetched of it. The one that was not used for longest goes first; one in use never.
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
from collections.abc import Iterator

from reelbeam.transforms import metrics
from reelbeam.transforms.errors import FileTooLargeError, StorageError, without_query
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.spool.spooled_video import SparseFile, SpooledVideo, disk_errors
from reelbeam.transforms.storage.stores.store import Store
from reelbeam.transforms.wording import counted

MAX_BYTES = 20 << 30
"""The cap where no other is asked for; less where the disk has less than 5/4 of it free."""

_PREFIX = "reelbeam-spool-"
_LOCK_NAME = ".lock"
_FREE_SHARE = 0.8
_MAX_WAIT_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class SpoolConfig:
    """Where remote videos are kept, and how much of them.

    Attributes:
      folder: on local disk; None: the folder for temporary files.
      max_bytes: of all videos of a process together; None: `MAX_BYTES`, or what the disk allows.
    """

    folder: str | None = None
    max_bytes: int | None = None


DEFAULT_SPOOL = SpoolConfig()
_spools: dict[SpoolConfig, Spool] = {}
_spools_lock = threading.Lock()


def spool_of(config: SpoolConfig) -> Spool:
    """Returns this process's spool of that configuration."""
    with _spools_lock:
        spool = _spools.get(config)
        if spool is None:
            spool = _spools[config] = Spool(config)
        return spool


class Spool:
    """Lends remote videos as local files. Safe for threads; a thread may have one at a time.

    Attributes:
      folder: this process's own.
      max_bytes: the cap.
    """

    def __init__(self, config: SpoolConfig) -> None:
        """Makes the folder, and removes those of processes that are gone. Raises StorageError where that is refused."""
        place = pathlib.Path(config.folder or tempfile.gettempdir())
        with disk_errors(place):
            place.mkdir(parents=True, exist_ok=True)
            remove_abandoned(place)
            self.folder, self._lock = _make_folder(place)
            free_bytes = shutil.disk_usage(place).free
        atexit.register(self.close)
        self._place = place
        self._max_bytes_of_any_disk = config.max_bytes or MAX_BYTES
        self.max_bytes = config.max_bytes or min(MAX_BYTES, int(free_bytes * _FREE_SHARE))
        self._num_files = 0
        self._changed = threading.Condition()
        self._files: collections.OrderedDict[VideoRef, SparseFile] = collections.OrderedDict()  # last used: last

    @contextlib.contextmanager
    def lend(self, video: VideoRef, store: Store) -> Iterator[SpooledVideo]:
        """Gives a remote video whose size and version are known; waits while the others leave no room.

        Raises:
          FileTooLargeError: it is larger than the cap.
          StorageError: the disk is full, or nobody gave room for an hour.
        """
        assert video.size_bytes is not None
        if self.max_bytes < video.size_bytes <= self._max_bytes_of_any_disk:  # the disk's fault: it may have room later
            raise StorageError(
                f"{without_query(video.video_uri)} has {counted(video.size_bytes, 'byte')}, but the disk "
                f"of {self._place} had room for no more than {self.max_bytes}: free some there, or "
                "name a larger disk with --spool_dir"
            )
        if video.size_bytes > self.max_bytes:
            raise FileTooLargeError(
                f"{without_query(video.video_uri)} has {counted(video.size_bytes, 'byte')}, more than "
                f"the {self.max_bytes} that may be kept on local disk: raise --spool_bytes, or "
                "name a larger disk with --spool_dir"
            )
        # Ranges of one video, and attempts at it, share what was fetched.
        key = VideoRef(video.video_uri, video.size_bytes, video.content_version)
        file = self._take(key, video.size_bytes)
        try:
            yield SpooledVideo(key, store, file, self._changed)
        finally:
            self._give_back(key, file)

    @property
    def used_bytes(self) -> int:
        """What the cap is held against: sizes of the videos in use, and fetched bytes of the others."""
        return sum(file.size_bytes if file.num_users else file.num_fetched_bytes for file in self._files.values())

    def _take(self, key: VideoRef, size_bytes: int) -> SparseFile:
        end = time.monotonic() + _MAX_WAIT_SECONDS
        with self._changed:
            while not self._has_room(key, size_bytes):
                if not self._changed.wait(end - time.monotonic()):
                    raise StorageError(f"{without_query(key.video_uri)}: no room within --spool_bytes {self.max_bytes}")
            file = self._files.get(key)
            if file is None:
                self._num_files += 1
                file = self._files[key] = SparseFile(self.folder / str(self._num_files), size_bytes)
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

    def _has_room(self, key: VideoRef, size_bytes: int) -> bool:
        in_use = {key: file.size_bytes for key, file in self._files.items() if file.num_users}
        return sum((in_use | {key: size_bytes}).values()) <= self.max_bytes

    def _give_back(self, key: VideoRef, file: SparseFile) -> None:
        with self._changed:
            file.close()
            self._files.move_to_end(key)
            self._changed.notify_all()

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        atexit.unregister(self.close)


def remove_abandoned(place: pathlib.Path) -> None:
    """Removes the folders of processes that are gone; those of other users and of living processes stay."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # BlockingIOError: its process lives
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
            os.close(lock)  # somebody took it for abandoned in the moment before it was locked


def _lock(folder: pathlib.Path) -> int:
    """Returns a descriptor that holds the lock of a folder; the kernel frees it with the process, however that ends.

    Raises:
      BlockingIOError: another process holds it.
      FileNotFoundError: another process has just removed the folder.
    """
    descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
