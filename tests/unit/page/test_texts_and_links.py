"""Texts of the page: links that open, names and times that can be read."""

from __future__ import annotations

import pytest

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.links import video_link


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("/data/a.mp4", "file:///data/a.mp4#t=72.5"),
        ("/data/day 1/50%#2?.mp4", "file:///data/day%201/50%25%232%3F.mp4#t=72.5"),
        ("/data/übung\u202e.mp4", "file:///data/%C3%BCbung%E2%80%AE.mp4#t=72.5"),
        ("/data/caf\udce9.mp4", "file:///data/caf%E9.mp4#t=72.5"),
        ("/data/\ud800.mp4", None),
        ("file:///data/a b.mp4", "file:///data/a%20b.mp4#t=72.5"),
        ("https://host/a%20b.mp4?sig=SECRET#x", "https://host/a%20b.mp4#t=72.5"),
        ('https://me:pw@host/ä b".mp4', "https://host/%C3%A4%20b%22.mp4#t=72.5"),
        ("HTTP://host/a.mp4", "HTTP://host/a.mp4#t=72.5"),
        ("gs://bucket/a.mp4", None),
        ("s3://bucket/a.mp4", None),
        ("data/a.mp4", None),
        ("//host/a.mp4", None),
        ("file://host/a.mp4", None),
        ("javascript:alert(1)", None),
        (" javascript:alert(1)", None),
        ("https:/x", None),
        ("/" + "x" * 5000, None),
        ("", None),
    ],
)
def test_links(uri: str, link: str | None) -> None:
    assert video_link(uri, 72_500) == link


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0:00.0"), (999, "0:01.0"), (59_960, "1:00.0"), (72_500, "1:12.5"), (3_599_990, "1:00:00.0")],
)
def test_times(milliseconds: int, shown: str) -> None:
    assert text.clock(milliseconds) == shown


def test_shares_are_never_rounded_to_nothing_or_to_all() -> None:
    shares = [text.percent(part, 10_000) for part in (0, 1, 50, 150, 1250, 9950, 9999, 10_000)]
    assert shares == ["0 %", "< 0.1 %", "0.5 %", "1.5 %", "12 %", "99.5 %", "> 99.9 %", "100 %"]


def test_a_uri_is_cut_in_the_middle_and_loses_its_query() -> None:
    assert text.shown_uri("https://host/a.mp4?sig=SECRET") == "https://host/a.mp4"
    shown = text.shown_uri("gs://bucket/" + "x" * 1000 + "/name.mp4")
    assert len(shown) == text.MAX_URI
    assert shown.startswith("gs://bucket/")
    assert shown.endswith("/name.mp4")
    assert "".join(text.head_and_tail("gs://bucket/a.mp4")) == "gs://bucket/a.mp4"


def test_names_of_other_scripts_stay_as_they_are() -> None:
    for name in ("视频.mp4", "مقطع.mp4", "वीडियो.mp4", "👩\u200d🚀.mp4", "می\u200cخواهم.mp4"):
        assert text.file_name(f"/data/{name}") == name


def test_sizes_and_numbers() -> None:
    assert [text.size(value) for value in (0, 999, 1500, 15_000_000)] == ["0 B", "999 B", "1.5 kB", "15 MB"]
    assert text.many(1_234_567, "clip") == "1\u202f234\u202f567 clips"
    assert text.many(1, "clip") == "1 clip"
