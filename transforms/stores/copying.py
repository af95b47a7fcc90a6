"""Whole files from and to a store: for what is small beside a video, such as a model."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.records import VideoRef
from transforms.stores.registry import store_for
from transforms.stores.store_errors import storage_errors

_BLOCK_BYTES = 16 << 20


def read(file: VideoRef) -> bytes:
    """Returns the whole of a file, the very version that was listed.

    Raises:
      MediaError: as `Store.read`.
    """
    return b"".join(_blocks(file))


def download(file: VideoRef, path: pathlib.Path) -> None:
    """Copies a file, the very version that was listed, to local disk.

    Raises:
      MediaError: as `Store.read`.
      OSError: `path` cannot be written.
    """
    with path.open("wb") as copy:
        copy.writelines(_blocks(file))


def upload(path: pathlib.Path, uri: str) -> None:
    """Copies a local file to `uri`.

    Raises:
      MediaError: the store refuses, or does not answer.
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
