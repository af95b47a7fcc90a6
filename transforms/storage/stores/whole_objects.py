"""Open objects as files: read by byte ranges, and written to a temporary file that is uploaded whole."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from reelbeam.transforms.storage.stores.store import ObjectInfo, Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 4 << 20
"""How much a small read fetches ahead."""


def content_type(uri: str) -> str:
    """Returns the media type of an object, by which browsers decide whether to show or to save it."""
    return "text/html; charset=utf-8" if uri.endswith(".html") else "application/octet-stream"


class WholeObjects(Store, Protocol):
    """Implements `Store.open` and `Store.create` for a store that writes objects only as a whole."""

    def open(self, uri: str) -> BinaryIO:
        """See `store.Store`. All bytes are of one version of the object."""
        return io.BufferedReader(_ObjectReader(self, self.stat(uri)), _BUFFER_BYTES)

    @contextlib.contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """See `store.Store`. The file is a temporary one, and is uploaded unless the block raises."""
        with tempfile.TemporaryFile() as file:
            yield file
            file.flush()
            self.upload(uri, file)

    def upload(self, uri: str, file: BinaryIO) -> None:
        """Writes an object from an open local file, from its start."""


class _ObjectReader(io.RawIOBase):
    """One version of an object, as a file without a buffer: each read is a request."""

    def __init__(self, store: Store, found: ObjectInfo) -> None:
        self._store, self._found, self._position = store, found, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._found.size_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position: {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(self._position + len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:  # otherwise a request for each 8 KiB
        return self._read(self._found.size_bytes)

    def _read(self, stop: int) -> bytes:
        start, stop = self._position, min(stop, self._found.size_bytes)
        if start >= stop:
            return b""
        data = self._store.read(self._found, start, stop)
        self._position = stop
        return data
