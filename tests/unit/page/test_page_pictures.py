"""A picture is embedded once, and pictures are dropped in the stated order."""

from __future__ import annotations

import re

import pytest
from html_tree import parse
from page_contents import TILES, all_pictures, report_changes, report_content

from reelbeam.pipeline.reports.page.budget import PictureBudget, dropped_text, fit, picture_sizes, pictures_text
from reelbeam.pipeline.reports.page.options import PageOptions
from reelbeam.pipeline.reports.page.page import render_page
from reelbeam.pipeline.reports.page.picture_counts import PictureCounts
from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip, Pictures
from reelbeam.transforms.output.report_content.shown_clips import ClipKey


def page_and_pictures() -> tuple[str, dict[ClipKey, Pictures]]:
    content, changes = report_content(), report_changes()
    pictures = all_pictures(content, changes)
    return render_page(content, pictures, changes), pictures


def test_each_picture_is_embedded_once() -> None:
    page, pictures = page_and_pictures()
    strips = parse(page).all("img", "strip")
    assert len(strips) == len(pictures)
    assert len(parse(page).all("img", "whole")) == len(pictures)


def test_a_later_card_refers_to_the_first_one() -> None:
    page = parse(page_and_pictures()[0])
    sample = next(each for each in page.all("section") if each.attributes.get("id") == "sample")
    link = sample.one(class_="elsewhere").one("a")
    assert link.text == "Pictures: see archery, surest"
    first = next(each for each in page.all("article") if each.attributes.get("id") == link.attributes["href"][1:])
    pictures = first.one(class_="pictures")
    assert pictures.attributes["id"] == sample.one(class_="elsewhere").attributes["data-pictures"]
    reel = pictures.one(class_="reel")
    assert reel.attributes["data-tiles"] == str(TILES)
    assert reel.attributes["data-times"] == "0:00.0 0:00.5 0:01.0 0:01.5"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("gone", "The video does not exist any more."),
        ("changed", "The video has changed since it was labeled."),
        ("unreadable", "The video cannot be read now."),
        ("omitted", "They were not requested"),
    ],
)
def test_a_card_without_pictures_says_why(reason: str, text: str) -> None:
    content = report_content()
    pictures: dict[ClipKey, Pictures] = {clip.key: NoFilmstrip(reason, "why") for clip in content.clips()}  # type: ignore[arg-type]
    page = parse(render_page(content, pictures, None))
    assert not page.all("img")
    missing = page.all(class_="missing")
    assert len(missing) == len(list(content.clips()))
    assert all(text in each.text and "why" in each.text for each in missing)


def test_the_least_important_pictures_are_dropped_first() -> None:
    content, changes = report_content(), report_changes()
    sizes = picture_sizes(content, changes, all_pictures(content, changes))
    sample = {clip.key for clip in content.sheets.sample}
    timeline = {clip.key for clip in content.timelines[0].clips}
    assert set(list(sizes)[: len(sample)]) == sample
    assert set(list(sizes)[-len(timeline) :]) == timeline
    kept = sum(list(sizes.values())[:-1])
    budget = fit(content, changes, all_pictures(content, changes), kept)
    assert budget.dropped == {list(sizes)[-1]}
    assert budget.num_pictures == len(sizes) - 1
    assert fit(content, changes, all_pictures(content, changes), 0).num_pictures == 0


def test_one_clip_has_the_singular() -> None:
    key = report_content().sheets.sample[0].key
    assert pictures_text(PictureBudget(frozenset(), 1)) == "1 clip has pictures."
    assert pictures_text(PictureBudget(frozenset(), 2)) == "2 clips have pictures."
    assert dropped_text(PictureBudget(frozenset(), 2), 10) == ""
    assert dropped_text(PictureBudget(frozenset({key}), 2), 15_000_000) == (
        "1 clip has no pictures, so that this file is not larger than 15 MB."
    )


def test_the_footer_says_how_many_clips_have_pictures_and_why_not() -> None:
    content = report_content()
    pictures = all_pictures(content)
    keys = list(pictures)
    pictures |= {key: NoFilmstrip("gone") for key in keys[:2]} | {keys[2]: NoFilmstrip("changed")}
    expected = (
        f"{len(keys) - 3} of {len(keys)} clips have pictures: 2 of videos that do not exist any more, "
        "1 of videos that changed since they were labeled"
    )
    assert f"{expected}." in parse(render_page(content, pictures)).one("footer").text
    budgets: list[PictureBudget] = []
    render_page(content, pictures, None, PageOptions(max_bytes=1), on_budget=budgets.append)
    (budget,) = budgets
    assert len(budget.dropped) == len(keys) - 3
    counts = PictureCounts.of(pictures, len(budget.dropped))
    assert counts.num_pictures == 0
    assert counts.to_text().endswith(f", {len(keys) - 3} left out because of the size of the page")


def test_no_picture_is_missing_if_none_was_requested() -> None:
    counts = PictureCounts.of({key: NoFilmstrip("omitted") for key in all_pictures(report_content())}, 0)
    assert (counts.to_text(), counts.num_pictures) == ("", 0)


def test_a_page_over_the_limit_loses_pictures_and_says_so() -> None:
    content = report_content()
    pictures = all_pictures(content)
    heavy = pictures[content.sheets.sample[0].key]
    assert not isinstance(heavy, NoFilmstrip)
    whole = len(render_page(content, pictures, None))
    limit = whole - 1
    page = render_page(content, pictures, None, PageOptions(max_bytes=limit))
    assert len(page.encode()) <= limit
    tree = parse(page)
    assert "so that this file is not larger than" in tree.one("footer").text
    assert "sample last" in tree.one("footer").text
    assert re.search(r"\b[1-9]\d* clips? ha(s|ve) no pictures", tree.one(class_="notice").text)
    assert "sample last" not in parse(render_page(content, pictures, None)).one("footer").text
