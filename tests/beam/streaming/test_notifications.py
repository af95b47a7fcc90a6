"""LabelVideos on an unbounded source that splits itself, on Prism: each row once."""

from __future__ import annotations

import pathlib

import apache_beam as beam
import pytest
from apache_beam.transforms.window import FixedWindows
from notifications import Notify, WriteSeen, written
from prism import PrismPipeline
from streams import SeeRows

import reelbeam

pytestmark = pytest.mark.slow


def test_each_row_of_an_unbounded_source_comes_once(
    prism_program: str, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    names = ["growing", "shrinking", "broken", "moving_up"]
    with PrismPipeline(prism_program, "--streaming") as pipeline:
        uris = [str(samples_dir / f"{name}.mp4") for name in names]
        notified = pipeline | Notify(uris, pause_seconds=0.2, ends=True) | beam.Reshuffle()
        labeled = notified | beam.WindowInto(FixedWindows(2)) | reelbeam.LabelVideos("demo")
        _ = labeled | SeeRows() | beam.ParDo(WriteSeen(str(tmp_path)))
    rows = written(tmp_path)
    assert set(rows.values()) == {1} and len(rows) == 3 * 3 + 2
    videos = {(row.name, row.what, row.window, row.timestamp) for row in rows if row.table == "videos"}
    assert videos == {
        ("growing.mp4", "growing", (0, 2), 0),
        ("shrinking.mp4", "shrinking", (0, 2), 1),
        ("broken.mp4", "not_a_video", (2, 4), 2),
        ("moving_up.mp4", "moving up", (2, 4), 3),
    }
