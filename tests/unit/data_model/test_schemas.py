"""Rows fit their schemas, and say what the records said."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
import record_factory as make

from reelbeam.transforms import schemas
from reelbeam.transforms.output.run_files import to_table
from reelbeam.transforms.records import LabelScore, VideoSummary

SUMMARY = VideoSummary(
    video=make.video("b.mp4", camera="7"),
    media=make.MEDIA,
    status="partial",
    labels=(LabelScore("right", 1, 0.75, 0.875), LabelScore("left", 0, 0.25, 0.5)),
    num_planned_clips=3,
    num_clips=2,
    failure=make.failure("b.mp4"),
)


def test_a_video_row_says_everything() -> None:
    (row,) = to_table("videos", [schemas.video_row(SUMMARY, make.RUN)]).to_pylist()
    assert row["video_uri"] == "b.mp4"
    assert (row["status"], row["error_code"]) == ("partial", "corrupt_video")
    assert (row["top_label"], row["top_score"]) == ("right", 0.75)
    assert row["labels"][1] == {"label": "left", "class_id": 0, "score": 0.25, "max_score": 0.5}
    assert (row["num_planned_clips"], row["num_clips"]) == (3, 2)
    assert (row["duration_ms"], row["width"], row["height"], row["codec"]) == (4000, 64, 48, "h264")
    assert row["metadata"] == [("camera", "7")]
    assert row["labeled_at"] == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert row["schema_version"] == schemas.SCHEMA_VERSION


def test_a_video_without_headers_or_labels_has_nulls() -> None:
    summary = VideoSummary(make.video(), None, "failed", (), 0, 0, make.failure(stage="plan", segment=None))
    (row,) = to_table("videos", [schemas.video_row(summary, make.RUN)]).to_pylist()
    assert row["top_label"] is None and row["labels"] == [] and row["duration_ms"] is None


def test_a_clip_row_repeats_its_best_label() -> None:
    (row,) = to_table("clips", [schemas.clip_row(make.scores(index=4, values=(0.1, 0.8, 0.1)), make.RUN)]).to_pylist()
    assert (row["clip_index"], row["start_ms"], row["end_ms"]) == (4, 8000, 10000)
    assert row["top_label"] == "right" == row["labels"][0]["label"]
    assert row["top_score"] == pytest.approx(0.8) == row["labels"][0]["score"]
    assert (row["num_frames"], row["num_real_frames"]) == (2, 2)


def test_an_error_row_keeps_what_was_lost() -> None:
    (row,) = to_table("errors", [schemas.error_row(make.failure(segment=2), make.RUN)]).to_pylist()
    assert row == {
        "video_uri": "a.mp4",
        "range_start_ms": None,
        "range_end_ms": None,
        "segment_index": 2,
        "clip_index": None,
        "stage": "decode",
        "code": "corrupt_video",
        "message": "a.mp4: broken",
        "transient": False,
        "run_id": make.RUN.run_id,
    }


def test_signed_urls_lose_their_query_in_every_row() -> None:
    uri = "https://host/a.mp4?signature=SECRET"
    rows = [
        schemas.video_row(VideoSummary(make.video(uri), None, "failed", (), 0, 0, make.failure(uri)), make.RUN),
        schemas.clip_row(make.scores(uri), make.RUN),
        schemas.error_row(make.failure(uri), make.RUN),
    ]
    assert [row["video_uri"] for row in rows] == ["https://host/a.mp4"] * 3
    assert "SECRET" not in str(rows)


@pytest.mark.parametrize("name", schemas.TABLES)
def test_every_schema_bears_its_version_and_knows_its_order(name: str) -> None:
    schema = schemas.TABLES[name]
    assert schema.metadata[b"reelbeam.schema_version"] == str(schemas.SCHEMA_VERSION).encode()
    assert set(schemas.SORT_KEYS[name]) <= set(schema.names)


def test_a_row_that_does_not_fit_is_a_bug() -> None:
    row = schemas.error_row(make.failure(), make.RUN)
    with pytest.raises(KeyError):
        to_table("errors", [{name: value for name, value in row.items() if name != "code"}])
    with pytest.raises(ValueError, match="column code must not be null"):
        to_table("errors", [row | {"code": None}])
    with pytest.raises(pa.ArrowInvalid):
        to_table("errors", [row | {"segment_index": "two"}])
