"""Where a report may be written."""

from __future__ import annotations

import pytest

from reelbeam.pipeline.reports.report_place import place_of
from reelbeam.transforms.errors import ConfigError


@pytest.mark.parametrize("folder", ["videos", "clips", "errors", "runs", ".staging", "videos/below"])
@pytest.mark.parametrize("output", ["/data/out", "gs://bucket/out"])
def test_a_report_is_not_written_into_folders_of_the_output(output: str, folder: str) -> None:
    with pytest.raises(ConfigError, match=f"which only runs write: pass a name .*, such as {output}/report.html"):
        place_of(f"{output}/{folder}/page.html", output)


def test_a_local_place_is_compared_as_an_absolute_path() -> None:
    with pytest.raises(ConfigError, match="is in /data/out/clips"):
        place_of("/data/out/new/../clips/page.html", "/data/out")


@pytest.mark.parametrize(
    "name", ["out/page.html", "out/PAGE.HTML", "out/new/page.html", "out/videos.html", "videos/page.html"]
)
def test_a_report_may_be_anywhere_else(name: str) -> None:
    assert place_of(f"/data/{name}", "/data/out") == f"/data/{name}"
    assert place_of(None, "/data/out") == "/data/out/report.html"
