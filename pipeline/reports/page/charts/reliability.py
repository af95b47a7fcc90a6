"""Scores against the shares of right labels, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from reelbeam.pipeline.reports.page.charts.svg import chart, percents, tag

_TOP, _HEIGHT = 34, 250
_BOTTOM = _TOP + _HEIGHT
_TICKS = (0, 0.25, 0.5, 0.75, 1)


class Point(NamedTuple):
    """Labels with similar scores.

    Attributes:
      score: their mean score.
      share: the share of right ones.
      low, high: its interval.
    """

    score: float
    share: float
    low: float
    high: float


def reliability(key: str, title: str, finding: str, points: Sequence[Point]) -> Markup:
    """Returns a chart with a point for each group, and the line on which perfect scores are."""
    children = [tag("text", "share of right labels", class_="tick", x=0, y=12)]
    for tick in _TICKS:
        anchor = "start" if tick == 0 else "end" if tick == 1 else "middle"
        children += [
            tag("line", class_="grid", x1=0, x2="100%", y1=_down(tick), y2=_down(tick), stroke="#aaa"),
            tag("line", class_="grid", x1=percents(tick), x2=percents(tick), y1=_TOP, y2=_BOTTOM, stroke="#aaa"),
            tag("text", f"{tick:g}", class_="tick", x=percents(tick), y=_BOTTOM + 18, text_anchor=anchor),
        ]
        if 0 < tick < 1:
            children.append(tag("text", f"{tick:g}", class_="tick", x=4, y=_down(tick) - 4))
    children.append(tag("text", "mean score", class_="tick", x="100%", y=_BOTTOM + 36, text_anchor="end"))
    children.append(tag("line", class_="median", x1=0, y1=_BOTTOM, x2="100%", y2=_TOP, stroke="#333"))
    for point in points:
        x = percents(point.score)
        children += [
            tag("line", class_="whisker", x1=x, x2=x, y1=_down(point.low), y2=_down(point.high), stroke="#4a63d8"),
            tag("circle", class_="dot significant", cx=x, cy=_down(point.share), r=5, fill="#4a63d8"),
        ]
    return chart(key, title, finding, _BOTTOM + 44, *children)


def _down(share: float) -> float:
    """Returns the distance of a share from the top, in pixels."""
    return _BOTTOM - share * _HEIGHT
