"""Values that no run writes: the page stays valid, short and without secrets."""

from __future__ import annotations

import dataclasses

import pytest
from html_tree import parse
from page_contents import report_content, shown_clip

from reelbeam.pipeline.reports.page.cards import bars
from reelbeam.pipeline.reports.page.page import render_page
from reelbeam.pipeline.reports.page.text import shown_label, shown_message
from reelbeam.transforms.output.report_content.label_runs import Timeline
from reelbeam.transforms.output.report_content.shown_clips import ScoredLabel

SECRET_URL = "https://me:SECRET@host/a?signature=SECRET"


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf"), -3e38, 1e30])
def test_the_bar_of_any_score_is_inside_its_track(score: float) -> None:
    (bar,) = bars((ScoredLabel("yoga", score),), 1)
    assert parse(str(bar.bar)).all("rect")[1].attributes["width"] in ("0%", "100%")
    assert len(bar.score) < 10 and "nan" not in bar.score and "inf" not in bar.score


def test_times_that_cannot_be_are_not_drawn_outside() -> None:
    clip = dataclasses.replace(shown_clip("a.mp4"), start_ms=-(2**63), end_ms=2**63 - 1, entropy=float("nan"))
    content = report_content()
    odd = Timeline("a.mp4", -(2**63), 2**63 - 1, ((),), (), 0, 0, ())
    sheets = dataclasses.replace(content.sheets, sample=(clip,))
    page = render_page(dataclasses.replace(content, sheets=sheets, timelines=(odd,)), {}, None)
    assert "nan" not in page.lower().partition("<main")[2].replace("finance", "") and "e+" not in page
    assert 'width="-' not in page


def test_names_have_no_secrets() -> None:
    totals = dataclasses.replace(report_content().totals, skipped={SECRET_URL: 1}, ignored={SECRET_URL: 1})
    labeling = dataclasses.replace(report_content().labelings[0], engine=SECRET_URL, precision=SECRET_URL)
    content = dataclasses.replace(report_content(label=SECRET_URL), totals=totals, labelings=(labeling,))
    assert "SECRET" not in render_page(content, {}, None)


def test_only_the_beginning_of_a_long_text_is_searched_for_secrets() -> None:
    text = "http://" + "://a-" * 1_000_000
    assert len(shown_label(text)) == 120
    assert len(shown_message(text)) == 500


def test_very_many_names_are_summed_up() -> None:
    content = report_content()
    counts = {f"kind {number:06d}": number for number in range(200_000)}
    totals = dataclasses.replace(content.totals, skipped=counts, ignored=counts)
    labelings = tuple(dataclasses.replace(content.labelings[0], model=f"model-{number}") for number in range(300))
    many = dataclasses.replace(content, totals=totals, labelings=labelings, num_codes_left_out=19_980)
    page = render_page(many, {}, None)
    assert len(page) < len(render_page(content, {}, None)) + 10_000
    text = " ".join(parse(page).one("main").text.split())
    assert "model-0, model-1 and 298 other models labeled" in text and "294 older settings not shown" in text
    assert "19 980 other error codes not shown" in text and "files ignored of 199 979 other kinds" in text
