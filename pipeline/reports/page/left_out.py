"""The inputs that have no rows, and how much else is not shown, as texts."""

from __future__ import annotations

from collections.abc import Mapping

from reelbeam.pipeline.reports.page import text
from reelbeam.transforms.output.report_content.content import Totals

_MAX_KINDS = 20


def left_out(totals: Totals) -> list[str]:
    """Returns the inputs without rows, as texts: the largest counts, and the numbers of other names."""
    skipped = [(text.shown_label(reason).replace("_", " "), count) for reason, count in _largest(totals.skipped)]
    ignored = [(text.shown_label(kind), count) for kind, count in _largest(totals.ignored)]
    return [
        *(f"{text.many(count, 'input')} skipped by the last run: {reason}" for reason, count in skipped),
        *_others(totals.skipped, "inputs skipped for", "other reason"),
        *(f"{text.many(count, 'file')} ignored by the last run: {kind}" for kind, count in ignored),
        *_others(totals.ignored, "files ignored of", "other kind"),
    ]


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Returns the largest counts, in the order of their names."""
    found = sorted(((name, count) for name, count in counts.items() if count), key=lambda entry: -entry[1])
    return sorted(found[:_MAX_KINDS])


def _others(counts: Mapping[str, int], what: str, noun: str) -> list[str]:
    """Returns a line about the names that are not among the largest, if there are any."""
    others = more(sum(1 for count in counts.values() if count) - _MAX_KINDS, noun)
    return [f"{what} {others}"] if others else []


def more(count: int, noun: str) -> str:
    """Returns how many more there are, as text; "" for none."""
    return text.many(count, noun) if count > 0 else ""
