"""The page has the structure that screen readers and keyboards need, and can be read without styles and scripts."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from html_tree import Element, parse
from page_contents import NO_SHARES, NO_VALUES, all_pictures, report_accuracy, report_changes, report_content

from reelbeam.pipeline.reports.page.page import render_page
from reelbeam.transforms.output.report_content.content import Content, Totals
from reelbeam.transforms.output.report_content.label_runs import Timeline, VideoFailure
from reelbeam.transforms.output.report_content.shares import Corpus, Shares
from reelbeam.transforms.output.report_content.shown_clips import Sheets

EMPTY = Content(
    "/data/labels",
    Totals(0, 0, 0, 0, 0, 0, 0, 0, {}, {}),
    (),
    (),
    Corpus(NO_SHARES, NO_VALUES, NO_VALUES, NO_VALUES, NO_SHARES, NO_SHARES, NO_SHARES, NO_SHARES),
    Sheets((), (), (), (), ()),
    (),
)


@pytest.fixture(scope="module", params=["full", "only content", "empty"])
def page(request: pytest.FixtureRequest) -> Element:
    if request.param == "empty":
        return parse(render_page(EMPTY, {}, None))
    content = report_content()
    if request.param == "only content":
        return parse(render_page(content, all_pictures(content)))
    changes, accuracy = report_changes(), report_accuracy(content)
    return parse(render_page(content, all_pictures(content, changes), changes, accuracy=accuracy))


def test_landmarks(page: Element) -> None:
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("head").one("title").text
    for name in ("main", "nav", "footer"):
        page.one(name)
    skip = page.all("a")[0]
    assert skip.attributes["href"] == f"#{page.one('main').attributes['id']}"
    assert page.one("nav").attributes["aria-label"]


def test_headings_are_in_order(page: Element) -> None:
    page.one("h1")
    levels = [int(each.name[1]) for each in page.all() if each.name in ("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(each.text for each in page.all() if each.name in ("h1", "h2", "h3", "h4"))


def test_ids_are_unique_and_references_lead_to_one(page: Element) -> None:
    ids = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for each in page.all():
        wanted = (
            each.attributes.get("aria-labelledby", "").split() + each.attributes.get("aria-describedby", "").split()
        )
        wanted += [each.attributes[name] for name in ("for", "data-pictures") if name in each.attributes]
        if each.attributes.get("href", "").startswith("#"):
            wanted.append(each.attributes["href"][1:])
        assert set(wanted) <= set(ids), each.attributes


def test_pictures_have_texts_and_sizes(page: Element) -> None:
    for image in page.all("img"):
        assert image.attributes["alt"].strip()
        assert int(image.attributes["width"]) > 0 < int(image.attributes["height"])
        assert (image.attributes["loading"], image.attributes["decoding"]) == ("lazy", "async")


def test_a_strip_has_label_score_time_and_name() -> None:
    content = report_content()
    strip = parse(render_page(content, all_pictures(content), None)).all("img", "strip")[0]
    assert strip.attributes["alt"] == "4 frames: archery 0.97, 0:00.0 – 0:02.0, a.mp4"


def test_charts_have_names_findings_and_tables(page: Element) -> None:
    for drawing in page.all("svg"):
        if drawing.attributes.get("aria-hidden") == "true" or "role" not in drawing.attributes:
            continue
        assert drawing.attributes["role"] == ("group" if drawing.all("a") else "img")
        title, description = drawing.children[:2]
        assert (title.name, description.name) == ("title", "desc")
        assert title.text
        assert description.text.endswith((".", "…"))
        assert drawing.attributes["aria-labelledby"] == f"{title.attributes['id']} {description.attributes['id']}"
    for figure in page.all("figure"):
        if figure.all("svg", "plot"):
            assert figure.one("details").one("summary").text
            figure.one("details").one("table")


def test_a_failed_video_has_its_error_instead_of_a_timeline() -> None:
    shown = Timeline("/data/bad.mp4", 0, 0, (), (), 0, 0, (), VideoFailure("truncated", "it ends too early"))
    page = parse(render_page(dataclasses.replace(report_content(), timelines=(shown,)), {}, None))
    section = page.one("section", "timeline")
    assert "The video failed: truncated it ends too early" in section.text
    assert not section.all("svg")


def test_a_chart_without_values_is_a_sentence() -> None:
    for figure in parse(render_page(EMPTY, {}, None)).all("figure", "chart"):
        assert figure.text.endswith(("There are none.", "There are no values."))
        assert not figure.all("svg") and not figure.all("table")


def test_every_other_drawing_is_hidden_or_inside_a_chart(page: Element) -> None:
    for drawing in page.one("body").all("svg", "plot"):
        assert drawing.attributes["role"] in ("img", "group")
    for drawing in [*page.all("svg", "score"), *page.all("svg", "patterns")]:
        assert drawing.attributes["aria-hidden"] == "true"


def test_tables_have_captions_and_headers(page: Element) -> None:
    for table in page.all("table"):
        assert table.one("caption").text
        columns = table.one("thead").all("th")
        assert all(cell.attributes["scope"] == "col" for cell in columns)
        for row in table.one("tbody").all("tr"):
            assert row.children[0].name == "th"
            assert row.children[0].attributes["scope"] == "row"
            assert len(row.children) == len(columns)


def test_what_can_be_used_can_be_reached_and_has_a_name(page: Element) -> None:
    field = page.one("input")
    assert field.attributes["id"] == "search"
    assert [label.attributes["for"] for label in page.all("label")] == ["search"]
    assert page.one("output").attributes["role"] == "status"
    for each in page.all():
        if each.attributes.get("tabindex") is not None:
            assert each.attributes["tabindex"] == "0"
            assert each.attributes["aria-label"]
            assert each.attributes["role"] == "group"
    for link in page.all("a"):
        assert link.text or link.attributes.get("aria-label")


def test_the_page_can_be_read_without_style_and_script() -> None:
    content = report_content()
    page = parse(render_page(content, all_pictures(content), report_changes()))
    text = page.one("main").text
    for wanted in ("5 of 6 videos labeled", "movinet_a0_base_k600", "truncated", "Copy the file again.", "archery"):
        assert wanted in text
    assert "About 14 % of the videos moved to other labels (p = 0.004)" in text
    assert page.one(class_="find").attributes["hidden"] == "", "the field needs the script"


def test_a_label_is_the_most_frequent_one_only_if_it_is_the_only_one() -> None:
    content = report_content()
    most = "The most frequent label is archery, with 3 videos."
    assert most in render_page(content, {}, None)
    archery = content.corpus.labels.largest[0]
    tied = Shares((archery, dataclasses.replace(archery, name="yoga")))
    content = dataclasses.replace(content, corpus=dataclasses.replace(content.corpus, labels=tied))
    assert "The most frequent label is" not in render_page(content, {}, None)


def test_a_run_of_a_timeline_leads_to_the_card_of_its_clip() -> None:
    content = report_content()
    page = parse(render_page(content, all_pictures(content), None))
    runs = page.all("a", "run")
    cards = {card.attributes["id"]: card for card in page.one("section", "timeline").all("article", "clip")}
    assert [cards[run.attributes["href"][1:]].one(class_="time").text for run in runs[:2]] == [
        "0:00.0 – 0:02.0",
        "0:02.0 – 0:04.0",
    ]
    assert runs[0].attributes["aria-label"] == "archery, 0:00.0 – 0:02.0, mean score 0.75"
