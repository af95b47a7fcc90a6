"""Retry requests after transient errors: a busy store, a closed connection, a timeout."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from reelbeam.transforms import metrics
from reelbeam.transforms.errors import UnavailableError
from reelbeam.transforms.redaction import without_query

MAX_TRIES = 6
_MAX_SECONDS = 180.0
_FIRST_DELAY_SECONDS = 0.25
_FACTOR = 3  # 0.25, 0.75, 2.3, 6.8, 20 s, each up to half shorter: enough for a store that fails for half a minute
_log = logging.getLogger(__name__)

T = TypeVar("T")


class TransientError(Exception):
    """A request failed with a transient error: a timeout, a closed connection, 429 or 5xx."""


def with_retries(uri: str, request: Callable[[], T]) -> T:
    """Makes a request, with retries and exponential backoff after a `TransientError`.

    Counts each retry (storage_retries).

    Raises:
      UnavailableError: too many attempts failed, or the time is up. Other exceptions of the request are passed on.
    """
    end = time.monotonic() + _MAX_SECONDS
    delays = _delays()
    tries = 0
    while True:
        tries += 1
        try:
            return request()
        except TransientError as error:
            delay = next(delays, None)
            if delay is None or time.monotonic() + delay > end:
                words = f"the storage failed {tries} times, last with: {without_query(str(error))}; run again later"
                raise UnavailableError(f"{without_query(uri)}: {words}") from error
            _log.info("%s: %s; retrying", without_query(uri), without_query(str(error)))
        metrics.count(metrics.STORAGE_RETRIES)
        time.sleep(delay)


def _delays() -> Iterator[float]:
    for retry in range(MAX_TRIES - 1):
        yield _FIRST_DELAY_SECONDS * _FACTOR**retry * random.uniform(0.5, 1)
