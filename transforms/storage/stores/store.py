"""The interface of stores, in the terms of stores: objects, versions and conditional writes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from reelbeam.transforms.errors import ObjectNotFoundError
from reelbeam.transforms.storage.uris import Pattern, bucket_and_key


@dataclasses.dataclass(frozen=True)
class ObjectInfo:
    """What a store says of an object, or the file system of a file.

    Attributes:
      uri: a local path or a URI.
      size_bytes: its size.
      version: differs for other content ("etag:…", "generation:…", "mtime:…"); "" if the store has no versions.
      modified_seconds: when it was written, in seconds since 1970; None if the store does not say so.
    """

    uri: str
    size_bytes: int
    version: str = ""
    modified_seconds: float | None = None


class Versioned(NamedTuple):
    """The content of a small object when it was read, and its version for `Store.write_if`."""

    data: bytes
    version: str


class Store(Protocol):
    """Local disk or an object store. Thread-safe. Requests are retried after transient errors, see `retries.py`.

    All methods raise StorageError: ObjectNotFoundError, AccessDeniedError, UnavailableError and others.
    """

    def stat(self, uri: str) -> ObjectInfo:
        """Returns the size and version of an object."""

    def matching(self, pattern: str) -> Iterator[ObjectInfo]:
        """Yields the objects that match a Beam pattern; holds at most one page of them in memory.

        Names that end with a slash are skipped: consoles and file browsers create such objects for empty folders.
        """

    def read(self, found: ObjectInfo, start: int, stop: int) -> bytes:
        """Returns all bytes in [start, stop) of the object in that version.

        Raises:
          ObjectChangedError: the object has another version now.
        """

    def read_versioned(self, uri: str) -> Versioned | None:
        """Returns the content of a small object; None if there is no object."""

    def write_if(self, uri: str, data: bytes, version: str | None) -> bool:
        """Writes a small object if its version is `version` (None: if there is no object); returns whether it did.

        The data must differ from everything written to this object before, so that a write whose response was lost can
        be recognized.
        """

    def open(self, uri: str) -> BinaryIO:
        """Opens an object for reading, at any position."""

    def create(self, uri: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Opens a new object for writing, which is complete when the block ends.

        If the block raises, an object store has no object, and a file system may have a part of the file. A local file
        must not exist.
        """

    def move(self, source: str, target: str) -> None:
        """Moves an object within the store, and replaces an existing target. An object store copies and deletes it.

        Raises:
          ObjectNotFoundError: the source does not exist; some of Beam's file systems raise another StorageError.
        """

    def delete(self, uris: Sequence[str]) -> None:
        """Deletes objects of one bucket by their exact names."""


def content_version(data: bytes) -> str:
    """Returns the version of an object in a store without versions: a digest of its content."""
    return hashlib.sha256(data).hexdigest()


def holds(store: Store, uri: str, data: bytes) -> bool:
    """Returns whether a rejected write succeeded: a repeated request whose response was lost is rejected, too."""
    found = store.read_versioned(uri)
    return found is not None and found.data == data


def matching(
    store: Store, pattern: str, listed: Callable[[str, str, str], Iterator[ObjectInfo]]
) -> Iterator[ObjectInfo]:
    """Implements `Store.matching` for a store with buckets.

    Args:
      store: looks up an object if the pattern has no wildcard.
      pattern: a Beam pattern.
      listed: called with the pattern (for messages), a bucket and a prefix; yields the objects with that prefix.
    """
    wanted = Pattern(pattern)
    if wanted.is_plain:
        with contextlib.suppress(ObjectNotFoundError):
            yield store.stat(pattern)
        return
    bucket, prefix = bucket_and_key(pattern)[0], bucket_and_key(wanted.prefix)[1]
    for found in listed(pattern, bucket, prefix):
        if wanted.matches(found.uri) and not found.uri.endswith("/"):
            yield found
