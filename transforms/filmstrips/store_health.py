"""Find stores that do not respond, so that the videos in one do not all wait for it, one after the other."""

from __future__ import annotations

import collections
import contextlib
import re
import threading
from collections.abc import Iterator

from reelbeam.transforms.errors import CredentialsError, MediaError, StorageError, UnreadableVideoError
from reelbeam.transforms.redaction import without_query

MAX_FAILURES = 3
"""After so many failures in a row, a store is not asked again. Each failure may take half a minute of retries."""

_STORE = re.compile(r"[\w+.-]+://[^/?#]*")


class StoreHealth:
    """Counts the failures in a row of each store: of a bucket, or of a host. Threads may share it."""

    def __init__(self) -> None:
        self._failures: collections.Counter[str] = collections.Counter()
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def watched(self, uri: str) -> Iterator[None]:
        """Counts a failure to read a video from its store in the block. Any other end of the block proves a response.

        Raises:
          UnreadableVideoError: the store has failed `MAX_FAILURES` times in a row.
        """
        found = _STORE.match(uri)
        store = found[0] if found else ""
        with self._lock:
            if self._failures[store] >= MAX_FAILURES:
                raise UnreadableVideoError(
                    f"{without_query(uri)} was not tried: {MAX_FAILURES} reads in a row from "
                    f"{without_query(store)} failed; the last error was: {self._last[store]}"
                )
        try:
            yield
        except MediaError as error:
            self._set(store, error if store and _is_no_response(error) else None)
            raise
        else:
            self._set(store, None)

    def _set(self, store: str, failure: MediaError | None) -> None:
        with self._lock:
            if failure is not None:
                self._failures[store] += 1
                self._last[store] = without_query(str(failure))
            elif self._failures[store] < MAX_FAILURES:
                self._failures[store] = 0


def _is_no_response(error: MediaError) -> bool:
    """Returns whether other videos of the store will fail, too. A denied request is an answer about one object."""
    cause = error.__cause__
    is_answer = isinstance(cause, StorageError) and not (cause.transient or isinstance(cause, CredentialsError))
    return isinstance(error, UnreadableVideoError) and not is_answer
