"""Retry requests after transient errors: a busy store, a closed connection, a timeout."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from reelbeam.transforms import metrics
from reelbeam.transforms.errors import UnavailableError
from reelbeam.transforms.redaction import without_query

_log = logging.getLogger(__name__)

T = TypeVar("T")


class TransientError(Exception):
    """A request failed with a transient error: a timeout, a closed connection, 429 or 5xx."""


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How often and how fast requests are retried.

    The default pauses are 0.25, 0.75, 2.3, 6.8 and 20 s: enough for a store that fails for half a minute.

    Attributes:
      max_tries: the maximum number of attempts.
      max_seconds: no attempt starts later than this after the first one.
      first_pause_seconds: the pause before the second attempt. Each pause is up to half shorter, by chance.
      factor: how much longer each further pause is.
      sleep: waits for a number of seconds.
    """

    max_tries: int = 6
    max_seconds: float = 180
    first_pause_seconds: float = 0.25
    factor: float = 3
    sleep: Callable[[float], None] = time.sleep

    def pauses(self) -> Iterator[float]:
        """Yields the pauses between attempts, in seconds."""
        for retry in range(self.max_tries - 1):
            yield self.first_pause_seconds * self.factor**retry * random.uniform(0.5, 1)


_policy = RetryPolicy()


@contextlib.contextmanager
def policy_in_force(policy: RetryPolicy) -> Iterator[None]:
    """Sets another policy for all threads of this process, for the block."""
    global _policy
    previous, _policy = _policy, policy
    try:
        yield
    finally:
        _policy = previous


def with_retries(uri: str, request: Callable[[], T]) -> T:
    """Makes a request, with retries and exponential backoff after a `TransientError`.

    Counts each retry (storage_retries).

    Raises:
      UnavailableError: too many attempts failed, or the time is up. Other exceptions of the request are passed on.
    """
    policy = _policy
    end = time.monotonic() + policy.max_seconds
    pauses = policy.pauses()
    tries = 0
    while True:
        tries += 1
        try:
            return request()
        except TransientError as error:
            pause = next(pauses, None)
            if pause is None or time.monotonic() + pause > end:
                message = f"the storage failed {tries} times, last with: {without_query(str(error))}; run again later"
                raise UnavailableError(f"{without_query(uri)}: {message}") from error
            _log.info("%s: %s; retrying", without_query(uri), without_query(str(error)))
        metrics.count(metrics.STORAGE_RETRIES)
        policy.sleep(pause)
