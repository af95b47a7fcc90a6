"""What an object store does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from transforms.errors import VideoNotFoundError
from transforms.records import VideoRef
from transforms.stores.uris import Pattern, bucket_and_key


class Store(Protocol):
    """An object store. Safe for threads. Requests are made again where that may help, see `retrying.insist`.

    All methods raise MediaError: VideoNotFoundError, StorageError, UnsupportedUriError.
    """

    def stat(self, uri: str) -> VideoRef:
        """Returns size and version of an object."""

    def matching(self, pattern: str) -> Iterator[VideoRef]:
        """Yields the objects that a pattern of Beam's matches; no more than a page of them is in memory.

        A name that ends with a slash is none: consoles and file browsers put such objects in place of empty folders.
        """

    def read(self, video: VideoRef, start: int, stop: int) -> bytes:
        """Returns the bytes from `start` to before `stop`, all of them.

        Raises:
          VideoChangedError: the object is not the version that was listed.
        """


def matching(store: Store, pattern: str, listed: Callable[[str, str, str], Iterator[VideoRef]]) -> Iterator[VideoRef]:
    """Does what `Store.matching` does, for a store of buckets.

    Args:
      store: tells of an object that is named without a wildcard.
      pattern: in Beam's language.
      listed: called with the pattern, for messages, a bucket and a prefix; yields the objects whose names begin so.
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
