"""Local and shared folders."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from reelbeam.transforms.errors import ObjectNotFoundError, UnsupportedUriError
from reelbeam.transforms.storage.guards import guarded
from reelbeam.transforms.storage.ignored import ignore
from reelbeam.transforms.storage.local_folders import files_matching
from reelbeam.transforms.storage.plain_files import create_file, move_file, open_file, remove_file
from reelbeam.transforms.storage.stores.failures import changed, storage_errors
from reelbeam.transforms.storage.stores.store import ObjectInfo, Versioned, content_version
from reelbeam.transforms.storage.uris import Pattern, local_path, normalize

_MAX_BYTES = 1 << 20
"""Of a file that `read_versioned` reads."""


class LocalStore:
    """Files of this machine, see `store.Store`. The version of a file is its modification time.

    Args:
      max_wait_seconds: how long `write_if` may wait for another process, which takes milliseconds.
    """

    def __init__(self, max_wait_seconds: float = 60) -> None:
        self._max_wait_seconds = max_wait_seconds

    def stat(self, uri: str) -> ObjectInfo:
        """See `store.Store`."""
        path = _path(uri)
        if "\0" in path:
            raise UnsupportedUriError(f"{uri} cannot be the name of a file: it holds a zero byte; check the URI")
        with storage_errors(uri):
            if os.path.isdir(path):  # noqa: PTH112  # unlike pathlib's, it never raises
                raise ObjectNotFoundError(f"{uri} is a folder, not a video; name it as an input to label what is in it")
            facts = os.stat(path)  # noqa: PTH116
            return ObjectInfo(uri, facts.st_size, f"mtime:{facts.st_mtime:.6f}", facts.st_mtime)

    def matching(self, pattern: str) -> Iterator[ObjectInfo]:
        """See `store.Store`."""
        wanted = Pattern(_path(pattern))
        paths = [pattern] if wanted.is_plain else map(normalize, files_matching(wanted, ignore))
        for path in paths:
            with contextlib.suppress(ObjectNotFoundError):
                yield self.stat(path)

    def read(self, found: ObjectInfo, start: int, stop: int) -> bytes:
        """See `store.Store`."""
        with storage_errors(found.uri), open(_path(found.uri), "rb") as file:  # noqa: PTH123
            data = os.pread(file.fileno(), stop - start, start)
        if len(data) < stop - start or self.stat(found.uri).version != found.version:
            raise changed(found.uri)
        return data

    def read_versioned(self, uri: str) -> Versioned | None:
        """See `store.Store`. The version is a digest: two writes may have the same modification time."""
        try:
            with storage_errors(uri), open_file(_path(uri)) as file:
                data = file.read(_MAX_BYTES)
        except ObjectNotFoundError:
            return None
        return Versioned(data, content_version(data))

    def write_if(self, uri: str, data: bytes, version: str | None) -> bool:
        """See `store.Store`."""
        path = _path(uri)
        with storage_errors(uri), guarded(path, self._max_wait_seconds):
            found = self.read_versioned(uri)
            if (found and found.version) != version:
                return False
            folder, _, name = path.rpartition("/")
            draft = f"{folder}/.draft-{secrets.token_hex(16)}-{name}"
            with create_file(draft) as file:
                file.write(data)
            move_file(draft, path)
            return True

    def open(self, uri: str) -> BinaryIO:
        """See `store.Store`. Links are followed."""
        with storage_errors(uri):
            return open(_path(uri), "rb")  # noqa: PTH123, SIM115

    @contextlib.contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """See `store.Store`. Creates the parent folders."""
        with storage_errors(uri):
            file = create_file(_path(uri))
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # otherwise the name may survive a power failure without the content

    def move(self, source: str, target: str) -> None:
        """See `store.Store`. Creates the target's parent folders."""
        with storage_errors(source):
            move_file(_path(source), _path(target))

    def delete(self, uris: Sequence[str]) -> None:
        """See `store.Store`."""
        for uri in uris:
            with storage_errors(uri):
                remove_file(_path(uri))


def _path(uri: str) -> str:
    path = local_path(uri)
    assert path is not None, uri
    return path
