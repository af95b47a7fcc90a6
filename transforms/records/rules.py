"""Which of the listed videos a run labels."""

from __future__ import annotations

import dataclasses
import hashlib

from reelbeam.transforms.redaction import bare_uri


@dataclasses.dataclass(frozen=True)
class SkipRules:
    """What a run asks for, out of what is listed.

    Attributes:
      max_attempts: runs that try a video whose failure is transient.
      retry_failed: codes of failures to be tried again whatever they are; "all" for every one.
      force: label everything, the ledger is not asked.
      shard: (I, N): only the I-th of N shares of the videos, I from 0, by a hash of the URI.
      limit: label so many at most: those with the smallest hash, so that the next run goes on with others.
      since: only content that is as new as that, in seconds since 1970. Where the store doesn't tell, it is taken up.
    """

    max_attempts: int = 3
    retry_failed: frozenset[str] = frozenset()
    force: bool = False
    shard: tuple[int, int] | None = None
    limit: int | None = None
    since: float | None = None


ALL_CODES = "all"
"""What `--retry_failed` takes for every code."""


def stable_hash(video_uri: str, purpose: str) -> int:
    """Returns 64 bits, as a signed number, that are the same for a URI or a key in every process, run and version.

    Hashes for different purposes are independent: who takes every fourth video by one of them still finds all values
    of another. The query of a signed URL, which changes from night to night, does not count.

    >>> stable_hash("https://host/a.mp4?sig=1", "ledger") == stable_hash("https://host/a.mp4?sig=2", "ledger")
    True
    """
    text = bare_uri(video_uri).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=purpose.encode()).digest(), "big", signed=True)
