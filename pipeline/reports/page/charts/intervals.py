"""Changes of shares with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from reelbeam.pipeline.reports.page.charts.axes import round_step
from reelbeam.pipeline.reports.page.charts.svg import chart, percents, tag
from reelbeam.pipeline.reports.page.text import end_cut, points

_ROW, _BASELINE, _LINE = 48, 15, 30
_MAX_NAME = 34


class Interval(NamedTuple):
    """A change with its interval, as differences of shares.

    Attributes:
      name: the text at the left.
      text: the text at the right.
      low, middle, high: the change and its interval.
      is_significant: whether its mark is filled.
    """

    name: str
    text: str
    low: float
    middle: float
    high: float
    is_significant: bool


def intervals(key: str, title: str, finding: str, rows: Sequence[Interval]) -> Markup:
    """Returns a chart with a row for each change, around one line at zero."""
    low, high, step = _limits(rows)

    def across(value: float) -> str:
        return percents((min(max(value, low), high) - low) / (high - low))

    bottom = _ROW * len(rows)
    children = []
    for tick in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        value = tick * step
        at = across(value)
        kind = "zero" if tick == 0 else "grid"
        anchor = "start" if value - low < step / 4 else "end" if high - value < step / 4 else "middle"
        children.append(tag("line", class_=kind, x1=at, x2=at, y1=20, y2=bottom + 2, stroke="#aaa"))
        children.append(tag("text", points(value), class_="tick", x=at, y=bottom + 18, text_anchor=anchor))
    for index, row in enumerate(rows):
        top = index * _ROW
        y = top + _LINE
        name = end_cut(row.name, _MAX_NAME)
        kind = "change significant" if row.is_significant else "change"
        ends = {"x1": across(row.low), "x2": across(row.high)}
        children += [
            tag("text", name, class_="name", x=0, y=top + _BASELINE),
            tag("text", row.text, class_="value", x="100%", y=top + _BASELINE, text_anchor="end"),
            tag("line", class_=f"whisker {kind}", y1=y, y2=y, stroke="#4a63d8", **ends),
            tag("circle", class_=f"dot {kind}", cx=across(row.middle), cy=y, r=5, fill="#4a63d8", stroke="#4a63d8"),
        ]
    return chart(key, title, finding, bottom + 26, *children)


def _limits(rows: Sequence[Interval]) -> tuple[float, float, float]:
    low = min([0.0, *(row.low for row in rows)])
    high = max([0.0, *(row.high for row in rows)])
    step = round_step(max(high - low, 0.001), 5)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (low, high, step) if high > low else (-step, step, step)
