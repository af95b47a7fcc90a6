"""Ranges of videos from end to end: rows, the ledger, verify, diff, views, compaction and the plan."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import data_generation as generate
import duckdb
import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main
from reelbeam.transforms.output.sql.views import create_views

pytestmark = pytest.mark.slow  # whole runs

HEADER = "video_uri;start_seconds;end_seconds"


@pytest.fixture
def video(tmp_path: pathlib.Path) -> pathlib.Path:
    """Ten seconds."""
    return generate.make_video(tmp_path / "v.mp4", 250, 25, 96, 72, gop=25)


def write(folder: pathlib.Path, *rows: str) -> pathlib.Path:
    path = folder / "list.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def label(folder: pathlib.Path, *flags: object) -> int:
    argv = ["label", "--model", "demo", "--input_list", folder / "list.csv", "--output", folder / "out", *flags]
    return main([str(argument) for argument in argv])


def rows(folder: pathlib.Path, table: str, columns: str) -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM '{folder}/out/{table}/*/*.parquet' ORDER BY ALL"
    return select(query).fetchall()


def test_each_range_is_a_row_of_its_own_with_times_of_the_video(tmp_path: pathlib.Path, video: pathlib.Path) -> None:
    write(
        tmp_path, f"{video};2;6", f"{video};;", f"{video};4.5;", f"{video};2.0;6.000", f"{video};7;10.5", f"{video};2;3"
    )
    assert label(tmp_path) == 0
    found = rows(tmp_path, "videos", "range_start_ms, range_end_ms, status, error_code, num_clips, duration_ms")
    assert found == [
        (2000, 3000, "ok", None, 1, 1000),
        (2000, 6000, "ok", None, 2, 4000),
        (4500, None, "ok", None, 3, 5500),
        (7000, 10500, "failed", "range_outside_video", 0, None),
        (None, None, "ok", None, 5, 10000),
    ]
    clips = rows(tmp_path, "clips", "range_start_ms, range_end_ms, clip_index, start_ms, end_ms, num_real_frames")
    assert clips == [
        (2000, 3000, 0, 2000, 3000, 4),
        (2000, 6000, 0, 2000, 4000, 8),
        (2000, 6000, 1, 4000, 6000, 8),
        (4500, None, 0, 4500, 6500, 8),
        (4500, None, 1, 6500, 8500, 8),
        (4500, None, 2, 8000, 10000, 8),
        *((None, None, i, 2000 * i, 2000 * i + 2000, 8) for i in range(5)),
    ]
    scores = f"""SELECT count(*) FROM '{tmp_path}/out/clips/*/*.parquet' a JOIN '{tmp_path}/out/clips/*/*.parquet' b
        USING (video_uri, start_ms, num_real_frames)
        WHERE a.range_end_ms = 6000 AND b.range_start_ms IS NULL AND a.labels = b.labels AND a.entropy = b.entropy"""
    assert select(scores).fetchall() == [(2,)], "the same frames give the same scores"
    ((code, start, end, message),) = rows(tmp_path, "errors", "code, range_start_ms, range_end_ms, message")
    assert (code, start, end) == ("range_outside_video", 7000, 10500)
    assert message.startswith(f"{video}: the range from 7 s to 10.5 s is not inside the video, which lasts 10 s;")
    (run,) = [json.loads(path.read_text()) for path in tmp_path.glob("out/runs/*.json")]
    counts = run["counts"]
    assert (counts["inputs"], counts["ok"], counts["failed"], counts["video_ms"]) == (5, 4, 1, 20500)


def test_a_range_has_its_own_place_in_the_ledger_and_in_every_report(
    tmp_path: pathlib.Path, video: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, f"{video};2;6", f"{video};6;8")
    assert label(tmp_path) == 0
    write(tmp_path, f"{video};2;6", f"{video};8;10", f"{video};;", f"{video};9;11")
    flags = ["--input_list", str(tmp_path / "list.csv"), "--output", str(tmp_path / "out")]
    capsys.readouterr()
    assert main(["plan", "--model", "demo", *flags, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["outcomes"] == {"already_labeled": 1, "new": 3} and plan["failures"] == {"range_outside_video": 1}
    assert (plan["clips"], round(plan["hours"] * 3600, 6)) == (6, 12)
    assert label(tmp_path) == 0
    printed = capsys.readouterr().out
    for name in ("v.mp4", "v.mp4#t=8,10", "v.mp4#t=9,11"):
        assert f" {name} " in printed
    runs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("out/runs/*.json"))]
    assert runs[1]["selected"] == {"new": 3} and runs[1]["skipped"] == {"already_labeled": 1}
    assert label(tmp_path, "--force", "--limit", 2) == 0, "a limit counts ranges"
    runs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("out/runs/*.json"))]
    assert runs[2]["counts"]["videos"] == 2
    capsys.readouterr()
    assert main(["diff", str(tmp_path / "out"), runs[0]["run_id"], runs[1]["run_id"], "--json"]) == 0
    diff = json.loads(capsys.readouterr().out)
    assert diff["lost"] == [f"{video}#t=2,6", f"{video}#t=6,8"]
    assert diff["new"] == [str(video), f"{video}#t=8,10", f"{video}#t=9,11"]
    for command in ([], ["compact"]):
        if command:
            assert main([*command, str(tmp_path / "out")]) == 0
        assert main(["verify", str(tmp_path / "out")]) == 0, capsys.readouterr().out
        connection = duckdb.connect()
        connection.execute(create_views(str(tmp_path / "out"), "duckdb", 0.0))
        current = connection.sql("SELECT range_start_ms, range_end_ms, num_clips FROM current_videos ORDER BY ALL")
        assert current.fetchall() == [
            (2000, 6000, 2),
            (6000, 8000, 1),
            (8000, 10000, 1),
            (9000, 11000, 0),
            (None, None, 5),
        ]
        clips = connection.sql("SELECT count(*) FROM current_clips").fetchall()
        assert clips == [(9,)]
        assert connection.sql("SELECT range_start_ms, code FROM current_errors").fetchall() == [
            (9000, "range_outside_video")
        ]
        ends = connection.sql("SELECT DISTINCT range_start_ms, max(end_ms) FROM label_timeline GROUP BY 1 ORDER BY 1")
        assert ends.fetchall() == [(2000, 6000), (6000, 8000), (8000, 10000), (None, 10000)]


def test_a_bad_range_stops_the_run_before_it_starts(
    tmp_path: pathlib.Path, video: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, f"{video};2;6", f"{video};6;2")
    assert label(tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("list.csv: line 3: end_seconds is 2, and should be above start_seconds, 6")
    assert not (tmp_path / "out").exists()
