"""The reasons why videos are skipped, as text: one text for each of `reelbeam.transforms.output.ledger.SKIPPED`."""

from __future__ import annotations

from collections.abc import Mapping

from reelbeam.transforms.output.ledger import (
    ALREADY_LABELED,
    BEFORE_SINCE,
    BEYOND_LIMIT,
    FAILED_BEFORE,
    GAVE_UP,
    OTHER_OPTIONS,
    OTHER_SHARD,
)

DONE_BEFORE = frozenset({ALREADY_LABELED, OTHER_OPTIONS, FAILED_BEFORE, GAVE_UP})

_TEXTS = {
    ALREADY_LABELED: "labeled already",
    OTHER_OPTIONS: "labeled already, but not with {options} (pass --force to label again)",
    FAILED_BEFORE: "failed before",
    GAVE_UP: "failed too often",
    OTHER_SHARD: "in other shards",
    BEFORE_SINCE: "older than --since",
    BEYOND_LIMIT: "beyond --limit",
}


def skipped_text(skipped: Mapping[str, int], options: str = "what the run asks for") -> str:
    """Returns the numbers of skipped videos by reason, as text.

    >>> skipped_text({"already_labeled": 3, "gave_up": 1})
    '3 labeled already, 1 failed too often'

    Args:
      skipped: the numbers by reason.
      options: the flags of this run that the rows of skipped videos were made without.
    """
    return ", ".join(
        f"{number} {_TEXTS.get(reason, reason).format(options=options)}" for reason, number in skipped.items()
    )
