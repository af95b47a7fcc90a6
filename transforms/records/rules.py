"""The rules that select the videos that a run labels."""

from __future__ import annotations

import dataclasses
import hashlib

from reelbeam.transforms.redaction import bare_uri


@dataclasses.dataclass(frozen=True)
class SkipRules:
    """The rules of a run for selecting listed videos.

    Attributes:
      max_attempts: the maximum number of runs that try a video with a transient failure.
      retry_failed: the codes of failures to retry in any case; "all" for every code.
      force: label everything, without the ledger.
      shard: (I, N): select only the I-th of N shares of the videos, I from 0, by a hash of the URI.
      limit: the maximum number of videos: those with the smallest hashes, so that the next run selects others.
      since: select only content written since this time, in seconds since 1970, or at an unknown time.
    """

    max_attempts: int = 3
    retry_failed: frozenset[str] = frozenset()
    force: bool = False
    shard: tuple[int, int] | None = None
    limit: int | None = None
    since: float | None = None


ALL_CODES = "all"
"""The value of `--retry_failed` for every code."""


def stable_hash(video_uri: str, purpose: str) -> int:
    """Returns a signed 64-bit hash that is stable across processes, runs and versions.

    Hashes for different purposes are independent: a share of the videos by one hash has all values of another. The
    query of a signed URL is ignored, because it changes between runs.

    >>> stable_hash("https://host/a.mp4?sig=1", "ledger") == stable_hash("https://host/a.mp4?sig=2", "ledger")
    True
    """
    text = bare_uri(video_uri).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=purpose.encode()).digest(), "big", signed=True)
