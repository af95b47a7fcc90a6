"""Why videos are selected or skipped, as text: one for each reason of `reelbeam.transforms.output.ledger`."""

from __future__ import annotations

from collections.abc import Mapping

from reelbeam.transforms.output.ledger import (
    ALREADY_LABELED,
    ASKED_FOR,
    BEFORE_SINCE,
    BEYOND_LIMIT,
    CHANGED,
    FAILED_BEFORE,
    FORCED,
    GAVE_UP,
    NEW,
    NEW_DECODER,
    OTHER_OPTIONS,
    OTHER_SHARD,
    RETRIED,
    UNVERSIONED,
)

DONE_BEFORE = frozenset({ALREADY_LABELED, OTHER_OPTIONS, FAILED_BEFORE, GAVE_UP})

_TEXTS = {
    NEW: "new",
    CHANGED: "changed since they were labeled",
    UNVERSIONED: "in a store without object versions: labeled by every run",
    RETRIED: "failed before, for a transient reason",
    NEW_DECODER: "failed before, with another version of the decoder",
    ASKED_FOR: "failed before, and named by --retry_failed",
    FORCED: "labeled again (--force)",
    ALREADY_LABELED: "labeled already",
    OTHER_OPTIONS: "labeled already, by runs with other row options than {options} (pass --force to label again)",
    FAILED_BEFORE: "failed before",
    GAVE_UP: "failed too often",
    OTHER_SHARD: "in other shards",
    BEFORE_SINCE: "older than --since",
    BEYOND_LIMIT: "beyond --limit",
}


def counted_reasons(outcomes: Mapping[str, int], options: str) -> list[tuple[int, str]]:
    """Returns numbers of videos with their reasons, selected videos first.

    Args:
      outcomes: the numbers by reason.
      options: the flags that rows of skipped videos were not made with.
    """
    known = [(reason, outcomes[reason]) for reason in _TEXTS if outcomes.get(reason)]
    return [(number, _TEXTS[reason].format(options=options)) for reason, number in known]


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
