"""The labels of a video over time, in lanes. A run of clips with one label is a link to a clip of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from reelbeam.pipeline.reports.page.charts.axes import time_ticks
from reelbeam.pipeline.reports.page.charts.svg import chart, percents, tag
from reelbeam.pipeline.reports.page.text import clock, score, shown_label, span, whole_clock
from reelbeam.transforms.output.report_content.label_runs import Timeline

_NAMES = ("top label", "second", "third")
_FIRST_HEIGHT, _HEIGHT, _NAME_HEIGHT, _LANE_GAP, _AXIS_HEIGHT = 34, 24, 17, 6, 24
_SCORE_HEIGHT = 3
_TICKS = 6
_COLORS, _PATTERNS = 7, ("", "url(#lines)", "url(#dots)", "url(#levels)", "url(#cross)")


class _Lane(NamedTuple):
    top: int
    height: int


class _Look(NamedTuple):
    color: int
    pattern: str
    score: float


def timeline_chart(key: str, title: str, finding: str, shown: Timeline, targets: Sequence[str]) -> Markup:
    """Returns the chart of a timeline.

    Args:
      key, title, finding: see `svg.chart`.
      shown: the timeline.
      targets: the ids of the cards of `shown.clips`.
    """
    lanes, bottom = [], 0
    for place in range(len(shown.lanes)):
        height = _HEIGHT if place else _FIRST_HEIGHT
        lanes.append(_Lane(bottom + _NAME_HEIGHT, height))
        bottom += _NAME_HEIGHT + height + _LANE_GAP
    looks = _looks(shown)
    children = [
        *_axis(shown, bottom),
        *(_gap(shown, gap.start_ms, gap.end_ms, lane) for gap in shown.gaps for lane in lanes),
    ]
    for place, (lane, runs) in enumerate(zip(lanes, shown.lanes, strict=True)):
        name = _NAMES[place] if place < len(_NAMES) else f"rank {place + 1}"
        children.append(tag("text", name, class_="lane", x=0, y=lane.top - 5))
        for run in runs:
            if not run.label:
                continue
            left, width = _extent(shown, run.start_ms, run.end_ms)
            text = shown_label(run.label)
            description = f"{text}, {span(run.start_ms, run.end_ms)}, mean score {score(run.score)}"
            color, pattern = looks[run.label]
            drawn = _box(left, width, lane, _Look(color, pattern, run.score), text, description)
            if run.clip is None:
                children.append(tag("g", drawn, class_="still"))
            else:
                children.append(tag("a", drawn, class_="run", href=f"#{targets[run.clip]}", aria_label=description))
    return chart(key, title, finding, bottom + _AXIS_HEIGHT, *children, role="group")


def _box(left: float, width: float, lane: _Lane, look: _Look, text: str, description: str) -> Markup:
    children = [
        tag("title", description),
        tag("rect", class_=f"color-{look.color}", width="100%", height=lane.height, fill="#ccd", stroke="#fff"),
    ]
    if look.pattern:
        children.append(tag("rect", width="100%", height=lane.height, fill=look.pattern))
    sure = percents(min(max(look.score, 0.0), 1.0))
    children.append(
        tag("rect", class_="bar", y=lane.height - _SCORE_HEIGHT, width=sure, height=_SCORE_HEIGHT, fill="#4a63d8")
    )
    name = tag("div", text, class_="run-name")  # text of SVG cannot end in an ellipsis
    children.append(tag("foreignObject", name, width="100%", height=lane.height))
    return tag("svg", *children, x=percents(left), y=lane.top, width=percents(width), height=lane.height)


def _gap(shown: Timeline, start_ms: int, end_ms: int, lane: _Lane) -> Markup:
    left, width = _extent(shown, start_ms, end_ms)
    description = f"no clips, {span(start_ms, end_ms)}"
    box = tag("rect", tag("title", description), class_="gap", width="100%", height=lane.height, fill="url(#gap)")
    return tag("svg", box, x=percents(left), y=lane.top, width=percents(width), height=lane.height)


def _axis(shown: Timeline, top: int) -> list[Markup]:
    found = [tag("line", class_="axis", x1=0, x2="100%", y1=top, y2=top, stroke="#888")]
    ticks = time_ticks(shown.start_ms, shown.end_ms, _TICKS)
    are_whole = all(tick % 1000 == 0 for tick in ticks)
    for tick in ticks:
        left, _ = _extent(shown, tick, tick)
        anchor = "start" if left < 0.03 else "end" if left > 0.97 else "middle"
        text = whole_clock(tick) if are_whole else clock(tick)
        at = percents(left)
        found.append(tag("line", class_="axis", x1=at, x2=at, y1=top, y2=top + 4, stroke="#888"))
        found.append(tag("text", text, class_="tick", x=at, y=top + 17, text_anchor=anchor))
    return found


def _extent(shown: Timeline, start_ms: int, end_ms: int) -> tuple[float, float]:
    """Returns the left end and the width of a part of the video, as shares of the width of the chart."""
    length = max(1, shown.end_ms - shown.start_ms)
    return (start_ms - shown.start_ms) / length, (end_ms - start_ms) / length


def _looks(shown: Timeline) -> Mapping[str, tuple[int, str]]:
    """Returns the color and the pattern of each label. Labels that follow each other differ in both."""
    labels = dict.fromkeys(run.label for lane in shown.lanes for run in lane)
    return {label: (place % _COLORS, _PATTERNS[place % len(_PATTERNS)]) for place, label in enumerate(labels)}
