"""Read, list and delete files by their paths or URIs."""

from __future__ import annotations

import itertools
import os
import pathlib
import secrets
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from reelbeam.transforms.errors import ObjectNotFoundError
from reelbeam.transforms.storage.plain_files import create_file, move_file, open_file, remove_file, remove_tree
from reelbeam.transforms.storage.stores.failures import storage_errors
from reelbeam.transforms.storage.stores.registry import store_for
from reelbeam.transforms.storage.stores.store import ObjectInfo
from reelbeam.transforms.storage.uris import literal, local_path


def stat(uri: str) -> ObjectInfo:
    """Returns the size and version of the file at `uri`, which is never used as a pattern.

    Raises:
      ObjectNotFoundError: there is nothing at the URI, or it is a folder.
      UnsupportedUriError: there is no file system for the scheme.
      StorageError: the store does not provide the information.
    """
    return store_for(uri).stat(uri)


def exists(uri: str) -> bool:
    """Returns whether there is a file, or a local folder, at `uri`.

    Raises:
      UnsupportedUriError, StorageError: as in `stat`.
    """
    path = local_path(uri)
    if path is not None:
        with storage_errors(uri):
            return pathlib.Path(path).exists()
    try:
        stat(uri)
    except ObjectNotFoundError:
        return False
    return True


def matching(pattern: str) -> Iterator[ObjectInfo]:
    """Yields the files that match a Beam pattern. Object stores are listed by page.

    Raises:
      UnsupportedUriError, StorageError: as in `stat`.
    """
    yield from store_for(pattern).matching(pattern)


def match(pattern: str, limit: int | None = None) -> list[ObjectInfo]:
    """Returns the first `limit` results of `matching`, or all: for few files, or to look at the first."""
    return list(itertools.islice(matching(pattern), limit))


def open_binary(uri: str) -> BinaryIO:
    """Opens `uri` to read its stored bytes. Raises UnsupportedUriError, StorageError: as in `stat`."""
    return store_for(uri).open(uri)


def open_inside(uri: str) -> BinaryIO:
    """Opens a file of an output like `open_binary`, but follows no link of a local one."""
    path = local_path(uri)
    return open_binary(uri) if path is None else open_file(path)


def replace_file(uri: str, data: bytes) -> None:
    """Writes a file as a whole, or replaces it. A reader sees the old or the new content, and a failure keeps the old.

    A local link is replaced, not followed.

    Raises:
      UnsupportedUriError, StorageError: as in `stat`.
    """
    path = local_path(uri)
    if path is None:  # stores write objects only as a whole
        with store_for(uri).create(uri) as sink:
            sink.write(data)
        return
    target = pathlib.Path(path).absolute()
    draft = str(target.with_name(f".draft-{secrets.token_hex(16)}"))
    with storage_errors(uri):
        try:
            with create_file(draft) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            move_file(draft, str(target))
        except BaseException:
            remove_file(draft)
            raise


def find_files(folder: str, pattern: str) -> list[str]:
    """Returns the URIs of the files below `folder` that match a pattern; the folder may have any name."""
    path = local_path(folder)
    if path is not None:
        return sorted(str(found) for found in pathlib.Path(path).glob(pattern))
    return sorted(found.uri for found in match(f"{literal(folder.rstrip('/'))}/{pattern}"))


def delete_folder(uri: str) -> None:
    """Deletes everything below `uri`, a folder of an output, which may not exist."""
    path = local_path(uri)
    if path is not None:
        remove_tree(path)
        return
    found = [each.uri for each in match(f"{literal(uri.rstrip('/'))}/**")]
    if found:
        delete_files(found)


def delete_files(uris: Sequence[str]) -> None:
    """Deletes files of one store; they may have any names.

    Raises:
      StorageError: one of them cannot be deleted.
    """
    store_for(uris[0]).delete(uris)
