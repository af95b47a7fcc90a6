"""Distributions as histograms, with the median and the middle half."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from markupsafe import Markup

from reelbeam.pipeline.reports.page.charts.axes import round_step
from reelbeam.pipeline.reports.page.charts.svg import chart, percents, tag
from reelbeam.pipeline.reports.page.text import number
from reelbeam.transforms.output.report_content.shares import Histogram

_TOP, _PLOT, _HEIGHT = 30, 130, 196
_MOST_LABELED, _MOST_TICKS = 12, 5


def histogram(key: str, title: str, finding: str, values: Histogram, edge_text: Callable[[float], str]) -> Markup:
    """Returns a histogram whose bins are equally wide in the picture."""
    return chart(
        key,
        title,
        finding,
        _HEIGHT,
        *_grid(values),
        *_bins(values),
        *_scale(values),
        *_axis(values, edge_text),
        *_middle(values, edge_text),
        *_counts(values),
    )


def _grid(values: Histogram) -> list[Markup]:
    heights = [y for _, y in _levels(values)]
    return [tag("line", class_="grid", x1=0, x2="100%", y1=y, y2=y, stroke="#ddd") for y in heights]


def _scale(values: Histogram) -> list[Markup]:
    """Returns the numbers of the grid, at the side where the bars are lower."""
    is_right = bool(values.counts) and values.counts[0] > values.counts[-1]
    place = {"x": "100%", "text_anchor": "end"} if is_right else {"x": "0", "text_anchor": "start"}
    return [tag("text", number(count), class_="tick scale", y=y - 3, **place) for count, y in _levels(values)]


def _levels(values: Histogram) -> list[tuple[int, float]]:
    """Returns round numbers of values, and how far from the top they are."""
    largest = max(values.counts, default=0)
    if not largest:
        return []
    step = max(1, round(round_step(largest, 3)))
    return [(count, _TOP + _PLOT * (1 - count / largest)) for count in range(step, largest + 1, step)]


def _bins(values: Histogram) -> list[Markup]:
    largest = max(values.counts, default=0) or 1
    size = len(values.counts)
    found = []
    for place, count in enumerate(values.counts):
        height = _bin_height(count, largest)
        left = percents(place / size)
        found.append(
            tag(
                "rect",
                class_="bin",
                x=left,
                y=_TOP + _PLOT - height,
                width=percents(1 / size),
                height=height,
                fill="#4a63d8",
                stroke="#fff",
            )
        )
    return found


def _counts(values: Histogram) -> list[Markup]:
    """Returns the numbers above the bins, unless there are too many bins."""
    largest = max(values.counts, default=0) or 1
    size = len(values.counts)
    if size > _MOST_LABELED:
        return []
    return [
        tag(
            "text",
            number(count),
            class_="count",
            x=percents((place + 0.5) / size),
            y=_TOP + _PLOT - _bin_height(count, largest) - 4,
            text_anchor="middle",
        )
        for place, count in enumerate(values.counts)
        if count
    ]


def _bin_height(count: int, largest: int) -> float:
    return max(1.5, _PLOT * count / largest) if count else 0


def _axis(values: Histogram, edge_text: Callable[[float], str]) -> list[Markup]:
    size = len(values.counts)
    base = _TOP + _PLOT
    found = [tag("line", class_="axis", x1=0, x2="100%", y1=base, y2=base, stroke="#888")]
    step = next((step for step in range(1, size + 1) if size % step == 0 and size // step <= _MOST_TICKS), size)
    for place in range(0, size + 1, step):
        anchor = "start" if place == 0 else "end" if place == size else "middle"
        text = edge_text(values.edges[place])
        found.append(tag("text", text, class_="tick", x=percents(place / size), y=base + 30, text_anchor=anchor))
    return found


def _middle(values: Histogram, edge_text: Callable[[float], str]) -> list[Markup]:
    """Returns the line at the median, and the line under the axis from the 25th to the 75th percentile."""
    if values.quartiles is None:
        return []
    low, median, high = (_place(value, values.edges) for value in values.quartiles)
    base = _TOP + _PLOT
    anchor = "start" if median < 0.5 else "end"
    text = f"median {edge_text(values.quartiles[1])}"
    width = percents(max(0.004, high - low))
    at = percents(median)
    return [
        tag("line", class_="median", x1=at, x2=at, y1=_TOP - 12, y2=base + 10, stroke="#222"),
        tag("text", text, class_="median-text", x=at, y=_TOP - 18, text_anchor=anchor),
        tag("rect", class_="half", x=percents(low), y=base + 7, width=width, height=3, rx=1.5, fill="#222"),
    ]


def _place(value: float, edges: tuple[float, ...]) -> float:
    """Returns where a value is in the picture, as a share of its width."""
    size = len(edges) - 1
    left = min(max(bisect.bisect_right(edges, value) - 1, 0), size - 1)
    width = edges[left + 1] - edges[left]
    inside = (value - edges[left]) / width if width else 0.5
    return (left + min(max(inside, 0), 1)) / size
