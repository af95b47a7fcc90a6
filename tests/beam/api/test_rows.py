"""LabelVideos: the rows of the command line, one row for each video, and schemas for other sinks and languages."""

from __future__ import annotations

import collections
import collections.abc
import json
import math
import pathlib
import pickle
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import labeled_rows
import pyarrow.parquet as pq
import pytest
from apache_beam.coders import RowCoder, registry
from apache_beam.internal import pickler
from apache_beam.testing import test_stream
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.typehints import schemas as beam_schemas
from labeled_rows import Rows, Sink
from local_pipeline import LocalPipeline, counters

import reelbeam
from reelbeam.pipeline.cli import main
from reelbeam.transforms import metrics
from reelbeam.transforms.decode_clips import ClipCoder
from reelbeam.transforms.records import Clip
from reelbeam.transforms.schemas import RUN_COLUMNS, SORT_KEYS, tables_of_run

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROW_TYPES = (reelbeam.VideoRow, reelbeam.ClipRow, reelbeam.ErrorRow)
LARGEST_BYTES = 8 << 20


def test_every_column_has_a_type_that_other_languages_know() -> None:
    for row_type in ROW_TYPES:
        assert isinstance(registry.get_coder(row_type), RowCoder)
        schema = beam_schemas.schema_from_element_type(row_type)
        assert [field.name for field in schema.fields] == list(row_type._fields)
        assert "logical_type" not in str(schema)


def test_labels_are_never_null_and_the_schema_of_rows_is_that_of_tables() -> None:
    for row_type, (name, schema) in zip(ROW_TYPES, tables_of_run(2, 2).items(), strict=True):
        hints = typing.get_type_hints(row_type)
        assert list(hints) == [column for column in schema.names if column not in RUN_COLUMNS], name
        for column, hint in hints.items():
            assert schema.field(column).nullable == (type(None) in typing.get_args(hint)), column


def test_output_types_are_inferred_and_steps_may_be_labeled_and_used_twice() -> None:
    pipeline = beam.Pipeline()
    videos = pipeline | beam.Create(["a.mp4"])
    for label in ("First", "Second"):
        labeled = videos | label >> reelbeam.LabelVideos("demo")
        assert isinstance(labeled, reelbeam.LabeledVideos)
        assert tuple(rows.element_type for rows in labeled) == ROW_TYPES


def test_the_transform_can_be_pickled() -> None:
    again = pickler.loads(pickler.dumps(reelbeam.LabelVideos("demo", top_k=2)))
    pipeline = beam.Pipeline()
    assert tuple(rows.element_type for rows in pipeline | beam.Create([]) | again) == ROW_TYPES
    assert len(pickle.dumps(again)) < 10_000


def elements_of(videos: Sequence[pathlib.Path]) -> list[dict[str, object]]:
    """Returns an element for each video, and some with ranges and metadata."""
    whole: list[dict[str, object]] = [{"video_uri": str(video)} for video in videos]
    return [
        *whole,
        {"video_uri": str(videos[0]), "start_seconds": 1, "camera": "é"},
        {"video_uri": str(videos[0]), "end_seconds": 2.5},
        {"video_uri": str(videos[0]), "start_seconds": 100_000, "note": [1, 2]},
        {"video_uri": str(videos[0]) + ".gone", "camera": 3},
    ]


def assert_as_by_the_command_line(
    elements: list[dict[str, object]], model: str, options: dict[str, Any], folder: pathlib.Path
) -> None:
    rows = labeled_rows.label(folder / "rows", elements, model, **options)
    (folder / "list.jsonl").write_text("".join(json.dumps(element) + "\n" for element in elements), "utf-8")
    flags = [f"--{name}={value}" for name, value in options.items() if not isinstance(value, bool)]
    flags += [f"--{name}" for name, value in options.items() if value is True]
    listed = ["--input_list", str(folder / "list.jsonl"), "--max_failure_ratio=1"]
    assert main(["label", *listed, "--model", model, *flags, "--output", str(folder / "out")]) == 0
    for table, found in rows._asdict().items():
        wanted = pq.read_table(folder / "out" / table).drop_columns(["run"]).to_pylist()
        assert len(found) == len(wanted) > 0
        ours = sorted(map(reelbeam.as_dict, found), key=lambda row: sort_key(row, table))
        for one, other in zip(ours, sorted(wanted, key=lambda row: sort_key(row, table)), strict=True):
            other = {name: value for name, value in other.items() if name not in RUN_COLUMNS}
            one = {name: value for name, value in one.items() if name in other or value != []}
            assert one.keys() == other.keys()
            for name in one:
                assert is_same(one[name], other[name]), (table, name, one[name], other[name])


def sort_key(row: dict[str, Any], table: str) -> str:
    return repr([row[name] for name in SORT_KEYS[table]])


def is_same(one: Any, other: Any) -> bool:
    """Whether values are equal; scores may differ in the last bits, because these depend on the batch."""
    if isinstance(one, dict):  # a pair of metadata is a tuple in a map column
        values = tuple(one.values())
        return is_same(values, other if isinstance(other, tuple) else tuple(other.values()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(is_same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=2e-3, abs_tol=1e-5)
    return bool(one == other)


@pytest.mark.slow
def test_rows_are_those_of_the_command_line(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    options = {"top_k": 3, "save_logits": True, "save_embeddings": True, "clip_stride_seconds": "1.5"}
    assert_as_by_the_command_line(elements_of(sorted(samples_dir.iterdir())), "demo", options, tmp_path)


@pytest.mark.slow
def test_rows_of_real_videos_are_those_of_the_command_line(shared_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    found = (path for path in sorted((shared_dir / "media").rglob("*")) if path.is_file())
    videos = [path for path in found if path.stat().st_size <= LARGEST_BYTES]
    assert_as_by_the_command_line(elements_of(videos), "demo", {"clips_per_video": 2}, tmp_path)


@pytest.mark.slow
def test_every_element_gives_one_video_row(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    video, other = str(samples_dir / "growing.mp4"), str(samples_dir / "shrinking.mp4")
    elements: list[object] = [
        video,
        pathlib.Path(video),
        {"video_uri": video, "camera": 3},
        beam.Row(video_uri=video),
        {"video_uri": video, "start_seconds": 1, "big": "x" * 1_000_000},
        {"video_uri": video, "start_seconds": 1.0},
        {"video_uri": other, "end_seconds": math.nan, "camera": 4},
        other,
        str(samples_dir / "broken.mp4"),
        pathlib.Path(str(samples_dir / "gone\udce9.mp4")),  # Beam itself refuses such a str
        "ftp://host/a.mp4",
        None,
        None,
        b"bytes",
        7,
    ]
    rows = labeled_rows.label(tmp_path, elements)
    found = collections.Counter((row.video_uri.rpartition("/")[2], row.status, row.error_code) for row in rows.videos)
    assert found == {
        ("growing.mp4", "ok", None): 2,  # the whole video, and from its second second
        ("shrinking.mp4", "failed", "invalid_input"): 1,
        ("shrinking.mp4", "ok", None): 1,
        ("broken.mp4", "failed", "not_a_video"): 1,
        ("gone%E9.mp4", "failed", "not_found"): 1,
        ("a.mp4", "failed", "unsupported_uri"): 1,
        ("None", "failed", "invalid_input"): 2,
        ("b'bytes'", "failed", "invalid_input"): 1,
        ("7", "failed", "invalid_input"): 1,
    }
    metadata = {
        (row.video_uri.rpartition("/")[2], row.range_start_ms, row.status): [pair.key for pair in row.metadata]
        for row in rows.videos
        if row.metadata
    }
    assert metadata == {
        ("growing.mp4", None, "ok"): ["camera"],
        ("growing.mp4", 1000, "ok"): ["big"],
        ("shrinking.mp4", None, "failed"): ["camera"],
    }
    failed = sorted((row.video_uri, row.error_code) for row in rows.videos if row.error_code)
    assert failed == sorted((row.video_uri, row.code) for row in rows.errors)
    assert_rows_survive_their_coder(rows)


def assert_rows_survive_their_coder(rows: Rows) -> None:
    for found in rows:
        assert found
        for row in found:
            assert_types(row)
            coder = registry.get_coder(type(row))
            assert coder.decode(coder.encode(row)) == row


def assert_types(row: Any) -> None:
    """Checks the type of every value: RowCoder writes the number 1.5 in a column of integers as 1."""
    for name, hint in typing.get_type_hints(type(row)).items():
        value, args = getattr(row, name), typing.get_args(hint)
        if typing.get_origin(hint) is collections.abc.Sequence:
            assert isinstance(value, list) and {*map(type, value)} <= {args[0]}, name
            for each in value:
                if hasattr(each, "_fields"):
                    assert_types(each)
        else:
            assert type(value) in (args or (hint,)), name


@pytest.mark.slow
def test_an_empty_collection_gives_no_rows(tmp_path: pathlib.Path) -> None:
    sink = Sink(tmp_path)
    with LocalPipeline() as pipeline:
        labeled = pipeline | beam.Create([]) | reelbeam.LabelVideos("demo")
        sink.collect_rows(labeled)
    assert sink.rows() == Rows([], [], [])


@pytest.mark.slow
def test_two_models_in_one_pipeline(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    demo = ROOT / "transforms" / "models" / "registry" / "demo"
    names = (demo / "labels.txt").read_text("utf-8").split("\n")
    (tmp_path / "labels.txt").write_text("\n".join(f"other {name}" if name else "" for name in names), "utf-8")
    preset: Any = {"num_frames": 8, "target_fps": 4, "resize": 64, "size": 64}
    sink = Sink(tmp_path)
    with LocalPipeline() as pipeline:
        videos = pipeline | beam.Create([str(samples_dir / "growing.mp4"), str(samples_dir / "shrinking.mp4")])
        sink.collect_rows(videos | "Demo" >> reelbeam.LabelVideos("demo"), "demo")
        other = reelbeam.LabelVideos(demo, labels=str(tmp_path / "labels.txt"), **preset)
        sink.collect_rows(videos | "Other" >> other, "other")
    assert [row.top_label for row in sink.rows("demo").videos] == ["growing", "shrinking"]
    assert [row.top_label for row in sink.rows("other").videos] == ["other growing", "other shrinking"]


@pytest.mark.slow
def test_no_clip_is_pickled_or_encoded(
    samples_dir: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beam decides when it codes an element, so the two ways to code a clip are watched."""
    coded: list[str] = []

    def encode(_: ClipCoder, clip: Clip) -> bytes:
        coded.append("encode")
        return b""

    def pickle_clip(_: Clip, protocol: int) -> tuple[type, tuple[()]]:
        coded.append("pickle")
        return str, ()

    monkeypatch.setattr(ClipCoder, "encode", encode)
    monkeypatch.setattr(Clip, "__reduce_ex__", pickle_clip)
    with LocalPipeline() as pipeline:
        videos = pipeline | beam.Create([str(path) for path in sorted(samples_dir.iterdir())])
        videos | reelbeam.LabelVideos("demo", clip_stride_seconds="0.5")
    assert counters(pipeline)[metrics.CLIPS_CLASSIFIED] == counters(pipeline)[metrics.CLIPS_PLANNED] > 40
    assert coded == []


class Notification(NamedTuple):
    """A notification of a store."""

    video_uri: str
    event: str


@pytest.mark.slow
def test_rows_of_an_unbounded_input_have_its_windows_and_times(
    samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    video, broken = str(samples_dir / "growing.mp4"), str(samples_dir / "broken.mp4")
    events = test_stream.TestStream()
    for second, name in ((5, video), (65, broken), (70, ""), (125, video)):
        events = events.advance_watermark_to(second).add_elements([TimestampedValue(Notification(name, "new"), second)])
    sink = Sink(tmp_path)
    with beam.Pipeline() as pipeline:  # Beam's own choice of a runner: Prism is not chosen for a TestStream
        windowed = pipeline | events.advance_watermark_to_infinity() | beam.WindowInto(FixedWindows(60))
        for table, rows in (windowed | reelbeam.LabelVideos("demo"))._asdict().items():
            sink.collect(table, rows | f"Time of {table}" >> beam.Map(_with_time))
    short = {video: "growing", broken: "broken"}
    found = [(second, window, short.get(row.video_uri, ""), row.status) for second, window, row in sink.read("videos")]
    assert sorted(found) == [
        (5, 60, "growing", "ok"),
        (65, 120, "broken", "failed"),
        (70, 120, "", "failed"),
        (125, 180, "growing", "ok"),
    ]
    assert [found[:2] for found in sink.read("clips")] == [(125, 180)] * 2 + [(5, 60)] * 2
    assert sorted(found[:2] for found in sink.read("errors")) == [(65, 120), (70, 120)]


def _with_time(
    row: Any, time: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
) -> tuple[int, int, Any]:
    return int(time), int(window.end), row
