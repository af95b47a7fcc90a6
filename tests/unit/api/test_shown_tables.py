"""The result of `label` as text and as HTML: names and labels in it are not trusted."""

from __future__ import annotations

import html.parser
import pathlib

import pytest
import record_factory as make
from rich.cells import cell_len

from reelbeam.pipeline.api.label_tables import LabelTables, TableRows
from reelbeam.transforms.labeling.summary import summarize
from reelbeam.transforms.labeling.video_labeler import LabeledVideo
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import LabelScore, VideoRef
from reelbeam.transforms.schemas import RUN_COLUMNS, TABLES

HOSTILE = [
    "<script>alert(1)</script>",
    "\"onmouseover='alert(1)'",
    "[bold red]not markup[/bold red]",
    "[/nothing]",
    "\x1b[2J\x1b[31mred\r\n",
    "right \u202eto left",
    "&amp;lt;",
    "\u6620\u753b" * 40,
    "long " * 400,
]


def tables(names: list[str], label: str = "juggling balls") -> LabelTables:
    rows = TableRows(make.RUN)
    for name in names:
        video = VideoRef(f"/data/{name}")
        labels = (LabelScore(label, 3, 0.87, 0.9),)
        failures = [make.failure(video.video_uri)] if name.startswith("bad") else []
        summary = summarize(video, [], 1, () if failures else labels, failures)
        rows.add(LabeledVideo(summary, [make.scores(video.video_uri)], failures, RunCost(1.0, 2.0, 3)))
    return rows.to_tables()


class Texts(html.parser.HTMLParser):
    """The tags of a page, those with attributes, and the texts of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.with_attributes: list[str] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.with_attributes += [tag] if attrs else []
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_and_labels_are_only_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    name = text.replace("/", "\u2215")
    result = tables([name, "other.mp4"], label=text)
    page = Texts(result._repr_html_())
    assert page.tags == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.with_attributes == []
    assert all(character.isprintable() for character in result._repr_html_())
    shown = repr(result).split("\n")
    assert all(line.isprintable() for line in shown)
    assert max(map(cell_len, shown)) <= 90
    if len(text) < 40 and text.isprintable():
        assert name in page.cells and text in page.cells
        assert name in repr(result)


def test_the_counts_and_the_first_videos_are_shown() -> None:
    result = tables([f"{number:02d}.mp4" for number in range(12)] + ["bad.mp4"])
    for text in (repr(result), result._repr_html_()):
        assert "13 videos (12 ok, 0 partial, 1 failed)" not in text  # a clip was classified before the failure
        assert "13 videos (12 ok, 1 partial, 0 failed); 13 clips; 1 error" in text
        assert "and 3 more: .videos, .clips and .errors are Arrow tables" in text
        assert "09.mp4" in text and "10.mp4" not in text and "/data" not in text


def test_no_videos_are_shown_as_such() -> None:
    assert repr(tables([])) == "LabelTables: 0 videos (0 ok, 0 partial, 0 failed); 0 clips; 0 errors"
    assert "<tbody></tbody>" in tables([])._repr_html_()


def test_the_tables_have_the_columns_and_the_order_of_an_output() -> None:
    result = tables(["b.mp4", "a.mp4", "bad.mp4"])
    for name, schema in TABLES.items():
        wanted = [field for field in schema if field.name not in RUN_COLUMNS]
        assert list(getattr(result, name).schema) == wanted
    assert result.videos["video_uri"].to_pylist() == ["/data/a.mp4", "/data/b.mp4", "/data/bad.mp4"]
    assert result.cost == RunCost(3.0, 6.0, 9)
    assert result.videos.to_pandas()["top_label"].tolist()[:2] == ["juggling balls"] * 2
    assert pathlib.PurePath(result.errors["video_uri"][0].as_py()).name == "bad.mp4"
