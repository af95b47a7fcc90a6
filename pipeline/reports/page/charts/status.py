"""Videos by status, in one bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from reelbeam.pipeline.reports.page.charts.svg import chart, percents, tag

_HEIGHT, _GAP = 12, 0.003


class Part(NamedTuple):
    """The videos with one status: "ok", "partial" or "failed"."""

    status: str
    videos: int


def status_bar(key: str, title: str, finding: str, parts: Sequence[Part]) -> Markup:
    """Returns one bar, whose parts are as wide as their numbers of videos."""
    total = sum(part.videos for part in parts) or 1
    children = []
    left = 0.0
    for part in parts:
        share = part.videos / total
        is_last = left + share > 1 - 1e-9
        width = share if is_last else max(share - _GAP, min(share, _GAP))
        children.append(
            tag(
                "rect",
                class_=f"status {part.status}",
                x=percents(left),
                width=percents(width),
                height=_HEIGHT,
                rx=2,
                fill="#999",
            )
        )
        if part.status != "ok" and part.videos:
            pattern = "url(#lines)" if part.status == "partial" else "url(#cross)"
            children.append(tag("rect", x=percents(left), width=percents(width), height=_HEIGHT, rx=2, fill=pattern))
        left += share
    return chart(key, title, finding, _HEIGHT, *children)
