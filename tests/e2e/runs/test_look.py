"""Two real runs, inspected and compacted, and followed by a third."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import shutil
from typing import Any

import duckdb
import pytest

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # whole runs

QUERIES = (
    "SELECT video_uri, status, top_label, run_id FROM current_videos ORDER BY 1",
    "SELECT video_uri, clip_index, top_label, run_id FROM current_clips ORDER BY 1, 2",
    "SELECT video_uri, label, start_ms, end_ms, num_clips FROM label_timeline ORDER BY 1, 2, 3",
)


def names(rows: list[tuple[Any, ...]], *columns: int) -> list[tuple[Any, ...]]:
    return [(os.path.basename(row[0]), *(row[i] for i in columns)) for row in rows]


def test_two_runs_are_inspected_and_compacted(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, output = tmp_path / "in", tmp_path / "out"
    videos.mkdir()

    def labeled_once() -> str:
        assert main(["label", "--model=demo", str(videos), "--output", str(output)]) == 0
        return max(path.stem for path in output.glob("runs/*.json") if "-compact-" not in path.stem)

    def said(*argv: str) -> Any:
        capsys.readouterr()
        assert main([*argv]) == 0
        return capsys.readouterr().out

    def view() -> list[list[tuple[Any, ...]]]:
        connection = duckdb.connect()
        connection.execute(said("sql", str(output)))
        return [connection.execute(query).fetchall() for query in QUERIES]

    for name in ("broken.mp4", "growing.mp4", "moving_up.mp4"):
        shutil.copy2(samples_dir / name, videos / name)
    first = labeled_once()
    shutil.copy(samples_dir / "shrinking.mp4", videos / "growing.mp4")
    shutil.copy(samples_dir / "standing_still.mp4", videos / "standing_still.mp4")
    second = labeled_once()

    rows, clips, timeline = view()
    assert names(rows, 1, 2, 3) == [
        ("broken.mp4", "failed", None, first),
        ("growing.mp4", "ok", "shrinking", second),
        ("moving_up.mp4", "ok", "moving up", first),
        ("standing_still.mp4", "ok", "standing still", second),
    ]
    num_clips = {"growing.mp4": 2, "moving_up.mp4": 2, "standing_still.mp4": 3}
    assert collections.Counter(name for name, *_ in names(clips)) == num_clips
    assert names(timeline, 1, 4) == [
        ("growing.mp4", "shrinking", 2),
        ("moving_up.mp4", "moving up", 2),
        ("standing_still.mp4", "standing still", 3),
    ]
    difference = said("diff", str(output), first, second, "--json")
    found = json.loads(difference)
    (row,) = found["relabeled"]
    assert (row["top_label_before"], row["top_label_after"]) == ("growing", "shrinking")
    assert [os.path.basename(uri) for uri in found["new"]] == ["standing_still.mp4"]
    assert found["skipped"]["after"] == 2

    before = view()
    assert "merged 2 runs" in said("compact", str(output))
    assert len(list(output.glob("*/*/*.parquet"))) == 3
    assert view() == before and said("diff", str(output), first, second, "--json") == difference
    assert "no faults found" in said("verify", str(output))

    third = labeled_once()
    counts = json.loads((output / "runs" / f"{third}.json").read_text())["counts"]
    assert (counts["inputs"], counts["skipped"], counts["videos"]) == (4, 4, 0)
    assert "no faults found" in said("verify", str(output)) and view() == before
