"""Copy whole files from and to a store: for files that are small compared with a video, such as a model."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.stores.failures import storage_errors
from reelbeam.transforms.storage.stores.registry import store_for

_BLOCK_BYTES = 16 << 20


def read(file: VideoRef) -> bytes:
    """Returns the content of a file, in the listed version.

    Raises:
      MediaError: as in `Store.read`.
    """
    return b"".join(_blocks(file))


def download(file: VideoRef, path: pathlib.Path) -> None:
    """Copies a file, in the listed version, to local disk.

    Raises:
      MediaError: as in `Store.read`.
      OSError: `path` cannot be written.
    """
    with path.open("wb") as copy:
        copy.writelines(_blocks(file))


def upload(path: pathlib.Path, uri: str) -> None:
    """Copies a local file to `uri`.

    Raises:
      MediaError: the store denies the request, or does not respond.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(storage_errors(uri))
        source = stack.enter_context(path.open("rb"))
        target = FileSystems.create(uri, "application/octet-stream", CompressionTypes.UNCOMPRESSED)
        shutil.copyfileobj(source, stack.enter_context(target))


def _blocks(file: VideoRef) -> Iterator[bytes]:
    store, size = store_for(file.video_uri), file.size_bytes or 0
    for start in range(0, size, _BLOCK_BYTES):
        yield store.read(file, start, min(start + _BLOCK_BYTES, size))
