"""Which rows of an output a report shows."""

from __future__ import annotations

import pathlib
from typing import Any

import output_factory as factory
import pyarrow as pa
import pytest
from output_factory import Video

from reelbeam.pipeline.cli import main
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output


def commit_runs(output: pathlib.Path) -> tuple[str, str]:
    """The second run labels a.mp4 and c.mp4 again; c.mp4 failed before, and e.mp4 fails in both."""
    broken = [Video("c.mp4", None), Video("e.mp4", None)]
    first = factory.commit_run(output, 1, [Video("a.mp4", "left", 3), Video("b.mp4", "right", 2), *broken], num_files=2)
    again = [Video("a.mp4", "still", 2), Video("c.mp4", "left", 1), Video("e.mp4", None, code="no_frames")]
    return first, factory.commit_run(output, 2, again)


def read(rows: ShownRows, table: str, *columns: str) -> list[tuple[Any, ...]]:
    batches = list(rows.batches(table, columns))
    assert all(batch.schema.names == list(columns) for batch in batches)
    found = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    return sorted(found, key=str)


def summary(rows: ShownRows) -> dict[str, Any]:
    return {
        "videos": read(rows, "videos", "video_uri", "top_label"),
        "clips": read(rows, "clips", "video_uri", "clip_index", "top_label"),
        "errors": read(rows, "errors", "code", "video_uri"),
        "runs": [run.run_id for run in rows.runs()],
        "num_videos": rows.num_videos,
    }


@pytest.mark.parametrize("is_compacted", [False, True])
def test_current_rows_are_the_last_row_of_each_video_with_its_clips(tmp_path: pathlib.Path, is_compacted: bool) -> None:
    first, second = commit_runs(tmp_path / "labels")
    if is_compacted:
        assert main(["compact", str(tmp_path / "labels")]) == 0
    rows = ShownRows.current(Output.read(str(tmp_path / "labels")))
    assert summary(rows) == {
        "videos": [("a.mp4", "still"), ("b.mp4", "right"), ("c.mp4", "left"), ("e.mp4", None)],
        "clips": [
            *[("a.mp4", 0, "still"), ("a.mp4", 1, "still"), ("b.mp4", 0, "right"), ("b.mp4", 1, "right")],
            ("c.mp4", 0, "left"),
        ],
        "errors": [("no_frames", "e.mp4")],
        "runs": [first, second],
        "num_videos": 4,
    }
    assert rows.name == "labels"
    assert [run.run_id for run in rows.last_runs] == [second]


@pytest.mark.parametrize("is_compacted", [False, True])
def test_rows_of_runs_are_those_of_these_runs(tmp_path: pathlib.Path, is_compacted: bool) -> None:
    first, _ = commit_runs(tmp_path)
    if is_compacted:
        assert main(["compact", str(tmp_path)]) == 0
    output = Output.read(str(tmp_path))
    rows = ShownRows.of_runs(output, output.find(first))
    assert summary(rows) == {
        "videos": [("a.mp4", "left"), ("b.mp4", "right"), ("c.mp4", None), ("e.mp4", None)],
        "clips": [*[("a.mp4", i, "left") for i in range(3)], *[("b.mp4", i, "right") for i in range(2)]],
        "errors": [("corrupt_video", "c.mp4"), ("corrupt_video", "e.mp4")],
        "runs": [first],
        "num_videos": 4,
    }
    assert rows.name == first
    both = ShownRows.of_runs(output, list(reversed(output.labeling_runs())))
    assert summary(both) == summary(ShownRows.current(output))


def test_current_rows_prefer_the_model_of_the_last_run(tmp_path: pathlib.Path) -> None:
    factory.commit_run(tmp_path, 1, [Video("a.mp4", "left", 1), Video("b.mp4", "right", 1)], model="first")
    factory.commit_run(tmp_path, 2, [Video("a.mp4", "still", 1)], model="second")
    last = factory.commit_run(tmp_path, 3, [], model="first", skipped={"already_labeled": 2})
    output = Output.read(str(tmp_path))
    rows = ShownRows.current(output)
    assert read(rows, "clips", "top_label") == [("left",), ("right",)]
    assert [run.run_id for run in rows.last_runs] == [last]
    assert summary(ShownRows.current(output, rows_in_memory=1)) == summary(rows)
    nothing = ShownRows.of_runs(output, output.find(last))
    assert summary(nothing) == {"videos": [], "clips": [], "errors": [], "runs": [], "num_videos": 0}


def test_videos_have_the_same_number_in_all_tables(tmp_path: pathlib.Path) -> None:
    commit_runs(tmp_path)
    rows = ShownRows.current(Output.read(str(tmp_path)))
    numbers: dict[str, set[int]] = {}
    for table in ("videos", "clips", "errors"):
        for batch, videos in rows.numbered(table, ["video_uri"]):
            for uri, number in zip(batch["video_uri"].to_pylist(), videos.tolist(), strict=True):
                numbers.setdefault(uri, set()).add(number)
    assert sorted(number for found in numbers.values() for number in found) == [0, 1, 2, 3]


def test_files_are_reported_and_those_of_replaced_runs_are_not_read(tmp_path: pathlib.Path) -> None:
    factory.commit_run(tmp_path, 1, [Video("a.mp4")])
    factory.commit_run(tmp_path, 2, [Video("a.mp4", "right")])
    rows = ShownRows.current(Output.read(str(tmp_path)))
    paths: list[str] = []
    (batch,) = rows.batches("clips", ["top_label"], paths.append)
    assert batch["top_label"].unique() == pa.array(["right"])
    assert [path.split("/")[-2] for path in paths] == [f"run={factory.run_info(2).run_id}"]
