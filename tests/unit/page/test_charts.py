"""Charts show the numbers that they are made from, also at the limits of what can occur."""

from __future__ import annotations

import re

import pytest
from html_tree import Element, parse

from reelbeam.pipeline.reports.page.charts.axes import round_step, time_ticks
from reelbeam.pipeline.reports.page.charts.bars import Bar, bars
from reelbeam.pipeline.reports.page.charts.histogram import histogram
from reelbeam.pipeline.reports.page.charts.intervals import Interval, intervals
from reelbeam.pipeline.reports.page.charts.reliability import Point, reliability
from reelbeam.pipeline.reports.page.charts.status import Part, status_bar
from reelbeam.pipeline.reports.page.charts.timeline import timeline_chart
from reelbeam.pipeline.reports.page.text import points, score
from reelbeam.transforms.output.report_content.label_runs import LabelRun, Timeline, TimeSpan
from reelbeam.transforms.output.report_content.shares import Histogram


def share(length: str) -> float:
    """Returns a length in percent as a number."""
    assert length.endswith("%"), length
    return float(length[:-1])


def check_lengths(drawing: Element) -> None:
    """Checks that all lengths are finite and not negative."""
    for each in drawing.all():
        for name in ("x", "x1", "x2", "cx", "width", "height"):
            if name in each.attributes:
                assert re.fullmatch(r"\d+(\.\d+)?%?", each.attributes[name]), (each.name, each.attributes)
    lefts = [share(each.attributes["x"]) for each in drawing.all("svg", "") if "x" in each.attributes]
    assert all(left <= 100 for left in lefts)


def test_bars_are_as_long_as_their_values() -> None:
    drawing = parse(bars("key", "Labels", "A finding.", [Bar("a", 8, "8"), Bar("b", 2, "2"), Bar("c", 90, "90", True)]))
    assert [share(bar.attributes["width"]) for bar in drawing.all("rect", "bar")] == [100, 25]
    assert [text.text for text in drawing.all("text")] == ["a", "8", "b", "2", "c", "90"]


def test_a_histogram_shows_counts_median_and_the_middle_half() -> None:
    values = Histogram((0.0, 0.25, 0.5, 1.0), (1, 0, 4), (0.25, 0.75, 1.0))
    drawing = parse(histogram("key", "Scores", "A finding.", values, score))
    check_lengths(drawing)
    heights = [float(bin_.attributes["height"]) for bin_ in drawing.all("rect", "bin")]
    assert heights == [32.5, 0, 130]
    assert [text.text for text in drawing.all("text", "count")] == ["1", "4"]
    assert share(drawing.one("line", "median").attributes["x1"]) == pytest.approx(83.33, abs=0.01)
    assert drawing.one("text", "median-text").text == "median 0.75"
    half = drawing.one("rect", "half").attributes
    assert share(half["x"]) + share(half["width"]) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize(
    "values",
    [
        Histogram((0.0, 1.0), (0,), None),
        Histogram((0.0, 1.0), (5,), (0.5, 0.5, 0.5)),
        Histogram((0.0, 0.0), (5,), (0.0, 0.0, 0.0)),
        Histogram(tuple(float(edge) for edge in range(31)), (10**9,) * 30, (-5.0, 3.0, 99.0)),
    ],
)
def test_histograms_at_the_limits(values: Histogram) -> None:
    check_lengths(parse(histogram("key", "Scores", "A finding.", values, score)))


def test_the_parts_of_the_status_bar_fill_it() -> None:
    drawing = parse(status_bar("key", "Status", "A.", [Part("ok", 90), Part("partial", 9), Part("failed", 1)]))
    check_lengths(drawing)
    assert [share(part.attributes["x"]) for part in drawing.all("rect", "status")] == [0, 90, 99]
    check_lengths(parse(status_bar("key", "Status", "A.", [Part("ok", 0), Part("failed", 0)])))


def test_a_timeline_has_lanes_gaps_and_links() -> None:
    lanes = (
        (LabelRun(10_000, 30_000, "a", 0.5, 4, 0), LabelRun(30_000, 40_000, "b", 0.5, 2, None)),
        (LabelRun(10_000, 20_000, "", 0.0, 2, None), LabelRun(20_000, 40_000, "a", 0.2, 4, None)),
    )
    shown = Timeline("/a.mp4", 10_000, 50_000, lanes, (TimeSpan(40_000, 50_000),), 1, 0, ())
    drawing = parse(timeline_chart("key", "Time", "A.", shown, ["clip-7"]))
    check_lengths(drawing)
    assert drawing.one("a", "run").attributes["href"] == "#clip-7"
    boxes = [each for each in drawing.all("svg") if each.all("div", "run-name") and "x" in each.attributes]
    extents = [(share(box.attributes["x"]), share(box.attributes["width"])) for box in boxes]
    assert extents == [(0, 50), (50, 25), (25, 50)]
    assert len(drawing.all("rect", "gap")) == 2
    assert [text.text for text in drawing.all("text", "tick")] == ["0:10", "0:20", "0:30", "0:40", "0:50"]


def test_labels_of_a_timeline_differ_in_more_than_color() -> None:
    runs = tuple(LabelRun(i * 1000, i * 1000 + 1000, f"label {i}", 0.5, 1) for i in range(30))
    drawing = parse(timeline_chart("key", "Time", "A.", Timeline("/a", 0, 30_000, (runs,), (), 29, 0, ()), []))
    looks = []
    for still in drawing.all("g", "still"):
        color = next(each.attributes["class"] for each in still.all("rect") if "class" in each.attributes)
        looks.append((color, tuple(each.attributes["fill"] for each in still.all("rect"))))
    assert len(set(looks)) == 30


def test_a_video_without_duration_has_a_timeline() -> None:
    shown = Timeline("/a.mp4", 0, 0, ((LabelRun(0, 0, "a", 1.0, 1),),), (), 0, 0, ())
    check_lengths(parse(timeline_chart("key", "Time", "A.", shown, [])))


def test_intervals_are_around_zero() -> None:
    rows = [Interval("a", "1 → 2", 0.01, 0.03, 0.05, True), Interval("b", "2 → 1", -0.04, -0.01, 0.02, False)]
    drawing = parse(intervals("key", "Changes", "A.", rows))
    check_lengths(drawing)
    zero = share(drawing.one("line", "zero").attributes["x1"])
    first, second = drawing.all("line", "whisker")
    assert zero < share(first.attributes["x1"]) < share(first.attributes["x2"])
    assert share(second.attributes["x1"]) < zero < share(second.attributes["x2"])
    assert "significant" in first.attributes["class"]
    assert "significant" not in second.attributes["class"]


@pytest.mark.parametrize("bounds", [(0.0, 0.0), (-1.0, 1.0), (0.0, 1.0), (1e-6, 2e-6), (-1.0, -0.999)])
def test_intervals_at_the_limits(bounds: tuple[float, float]) -> None:
    low, high = bounds
    check_lengths(parse(intervals("key", "Changes", "A.", [Interval("a", "", low, (low + high) / 2, high, False)])))
    check_lengths(parse(intervals("key", "Changes", "A.", [])))


def test_a_reliability_curve_is_around_the_diagonal() -> None:
    points = [Point(0.0, 0.0, 0.0, 0.25), Point(0.5, 0.5, 0.25, 0.75), Point(1.0, 0.5, 0.25, 1.0)]
    drawing = parse(reliability("key", "Scores", "A finding.", points))
    check_lengths(drawing)
    line = drawing.one("line", "median").attributes
    bottom, top = float(line["y1"]), float(line["y2"])
    dots = [each.attributes for each in drawing.all("circle")]
    assert [share(dot["cx"]) for dot in dots] == [0, 50, 100]
    assert [float(dot["cy"]) for dot in dots] == [bottom, (bottom + top) / 2, (bottom + top) / 2]
    whisker = drawing.all("line", "whisker")[2].attributes
    assert (float(whisker["y1"]), float(whisker["y2"])) == (bottom - (bottom - top) / 4, top)


def test_axes_have_round_numbers() -> None:
    assert [round_step(largest, 5) for largest in (0, 0.03, 1, 4.2, 97, 101, 1e9)] == [1, 0.01, 0.2, 1, 20, 50, 2e8]
    assert time_ticks(0, 3_600_000, 6) == list(range(0, 3_600_001, 600_000))
    assert time_ticks(0, 10**9, 6)
    assert time_ticks(5, 5, 6) == [] or len(time_ticks(5, 5, 6)) == 1
    assert [points(value) for value in (0.031, -0.1, 0.0, 0.0004)] == ["+3.1", "−10", "0", "+0.04"]
