"""The summary at the end of a run: names of videos are distinguishable and are not wrong paths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from reelbeam.pipeline.reports import summary


@pytest.mark.parametrize(
    ("uris", "names"),
    [
        (["/data/a.mp4", "/data/b.mp4"], ["a.mp4", "b.mp4"]),
        (["/data/a.mp4"], ["a.mp4"]),
        (["/data/day/a.mp4", "/data/b.mp4"], ["…/day/a.mp4", "…/b.mp4"]),
        (["/data/one/a.mp4", "/data/other/b.mp4"], ["…/one/a.mp4", "…/other/b.mp4"]),
        (["/data/a.mp4", "/var/b.mp4"], ["/data/a.mp4", "/var/b.mp4"]),
        (["s3://one/a.mp4", "s3://other/b.mp4"], ["s3://one/a.mp4", "s3://other/b.mp4"]),
        (["s3://one/a.mp4", "/data/b.mp4"], ["s3://one/a.mp4", "/data/b.mp4"]),
        (["s3://one/x/a.mp4", "s3://one/b.mp4"], ["…/x/a.mp4", "…/b.mp4"]),
    ],
)
def test_a_shortened_path_is_marked(uris: list[str], names: list[str]) -> None:
    assert summary._names(uris) == names


def test_the_end_of_a_long_path_is_shown() -> None:
    folders = [f"/{'deep' * 10}/{letter * 60}" for letter in "ab"]
    rows: list[dict[str, object]] = [
        {"video_uri": f"{folder}/clip.mp4", "labels": [], "num_clips": 0, "status": "ok", "error_code": None}
        for folder in folders
    ]
    page = io.StringIO()
    Console(file=page, width=60).print(summary._videos_table(rows))
    shown = "".join(line.split("  ")[0].strip() for line in page.getvalue().splitlines())
    assert f"…/{'a' * 60}/clip.mp4" in shown and f"…/{'b' * 60}/clip.mp4" in shown
