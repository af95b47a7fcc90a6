"""Copy whole files from and to a store: for files that are small compared with a video, such as a model."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

from reelbeam.transforms.storage.stores.registry import store_for
from reelbeam.transforms.storage.stores.store import ObjectInfo

_BLOCK_BYTES = 16 << 20


def read(file: ObjectInfo) -> bytes:
    """Returns the content of a file, in the listed version.

    Raises:
      StorageError: as in `Store.read`.
    """
    return b"".join(_blocks(file))


def download(file: ObjectInfo, path: pathlib.Path) -> None:
    """Copies a file, in the listed version, to local disk.

    Raises:
      StorageError: as in `Store.read`.
      OSError: `path` cannot be written.
    """
    with path.open("wb") as copy:
        copy.writelines(_blocks(file))


def upload(path: pathlib.Path, uri: str) -> None:
    """Copies a local file to `uri`.

    Raises:
      StorageError: the store denies the request, or does not respond.
    """
    with path.open("rb") as source, store_for(uri).create(uri) as target:
        shutil.copyfileobj(source, target)


def _blocks(file: ObjectInfo) -> Iterator[bytes]:
    store = store_for(file.uri)
    for start in range(0, file.size_bytes, _BLOCK_BYTES):
        yield store.read(file, start, min(start + _BLOCK_BYTES, file.size_bytes))
