"""The interface of object stores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from reelbeam.transforms.errors import VideoNotFoundError
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.uris import Pattern, bucket_and_key


class Store(Protocol):
    """An object store. Thread-safe. Requests are retried after transient errors, see `retries.py`.

    All methods raise MediaError: VideoNotFoundError, StorageError, UnsupportedUriError.
    """

    def stat(self, uri: str) -> VideoRef:
        """Returns the size and version of an object."""

    def matching(self, pattern: str) -> Iterator[VideoRef]:
        """Yields the objects that match a Beam pattern; holds at most one page of them in memory.

        Names that end with a slash are skipped: consoles and file browsers create such objects for empty folders.
        """

    def read(self, video: VideoRef, start: int, stop: int) -> bytes:
        """Returns all bytes in [start, stop).

        Raises:
          VideoChangedError: the object is not the listed version.
        """


def matching(store: Store, pattern: str, listed: Callable[[str, str, str], Iterator[VideoRef]]) -> Iterator[VideoRef]:
    """Implements `Store.matching` for a store with buckets.

    Args:
      store: looks up an object if the pattern has no wildcard.
      pattern: a Beam pattern.
      listed: called with the pattern (for messages), a bucket and a prefix; yields the objects with that prefix.
    """
    wanted = Pattern(pattern)
    if wanted.is_plain:
        with contextlib.suppress(VideoNotFoundError):
            yield store.stat(pattern)
        return
    bucket, prefix = bucket_and_key(pattern)[0], bucket_and_key(wanted.prefix)[1]
    for video in listed(pattern, bucket, prefix):
        if wanted.matches(video.video_uri) and not video.video_uri.endswith("/"):
            yield video
