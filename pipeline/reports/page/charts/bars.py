"""Parts of the corpus: a bar for each, under its name and its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from reelbeam.pipeline.reports.page.charts.svg import chart, percents, tag
from reelbeam.pipeline.reports.page.text import end_cut

_ROW, _BASELINE, _BAR_TOP, _BAR_HEIGHT = 36, 15, 22, 6
_MAX_NAME = 38


class Bar(NamedTuple):
    """A bar.

    Attributes:
      name: the text at the left.
      value: its length.
      text: the text at the right.
      is_rest: whether it is the sum of all parts without an own bar; it has no bar either.
    """

    name: str
    value: float
    text: str
    is_rest: bool = False


def bars(key: str, title: str, finding: str, rows: Sequence[Bar]) -> Markup:
    """Returns a bar chart. The longest bar is as wide as the chart."""
    longest = max((row.value for row in rows if not row.is_rest), default=0) or 1
    children = [_row(row, index * _ROW, longest) for index, row in enumerate(rows)]
    return chart(key, title, finding, max(_ROW, _ROW * len(rows)), *children)


def _row(row: Bar, top: int, longest: float) -> Markup:
    name = end_cut(row.name, _MAX_NAME)
    kind = "rest" if row.is_rest else "name"
    texts = [
        tag("text", name, class_=kind, x=0, y=top + _BASELINE),
        tag("text", row.text, class_="value", x="100%", y=top + _BASELINE, text_anchor="end"),
    ]
    track = tag("rect", class_="track", y=top + _BAR_TOP, width="100%", height=_BAR_HEIGHT, rx=3, fill="#eee")
    bar = tag(
        "rect",
        class_="bar",
        y=top + _BAR_TOP,
        width=percents(row.value / longest),
        height=_BAR_HEIGHT,
        rx=3,
        fill="#4a63d8",
    )
    return Markup("").join(texts if row.is_rest else [*texts, track, bar])
