"""The demo: the bundled samples, labeled with the bundled model."""

from __future__ import annotations

import json
import pathlib

import pandas as pd
import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main


@pytest.fixture(scope="module")
def labeled(samples_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("demo")
    assert main(["label", "--model=demo", str(samples_dir), "--output", str(output)]) == 0
    return output


def sql(output: pathlib.Path, query: str) -> list[tuple]:
    return select(
        query.format(*(f"'{output}/{table}/*/*.parquet'" for table in ("videos", "clips", "errors")))
    ).fetchall()


def test_every_sample_gets_its_right_label(labeled: pathlib.Path, samples_dir: pathlib.Path) -> None:
    found = dict(sql(labeled, "SELECT parse_filename(video_uri, true), top_label FROM {0} WHERE status = 'ok'"))
    expected = {path.stem for path in samples_dir.iterdir()} - {"broken"}
    assert found == {stem: stem.replace("_", " ") for stem in expected}
    assert len(found) == 9


def test_the_broken_sample_is_one_row_and_the_run_continues(labeled: pathlib.Path) -> None:
    query = "SELECT parse_filename(video_uri), status, error_code, num_clips, top_label FROM {0} WHERE status <> 'ok'"
    assert sql(labeled, query) == [("broken.mp4", "failed", "not_a_video", 0, None)]
    ((code, stage, message, transient),) = sql(labeled, "SELECT code, stage, message, transient FROM {2}")
    assert (code, stage, transient) == ("not_a_video", "plan", False)
    assert "broken.mp4" in message


def test_every_clip_of_every_sample_has_its_label(labeled: pathlib.Path) -> None:
    wrong = sql(
        labeled,
        "SELECT video_uri, clip_index, top_label FROM {1} "
        "WHERE top_label <> replace(parse_filename(video_uri, true), '_', ' ')",
    )
    clips = sql(labeled, "SELECT count(*) FROM {1}")[0][0]
    assert len(wrong) <= clips // 20, wrong


def test_clips_lie_in_their_video_and_are_numbered(labeled: pathlib.Path) -> None:
    rows = sql(
        labeled,
        "SELECT c.start_ms, c.end_ms, c.num_frames, c.num_real_frames, v.duration_ms, "
        "row_number() OVER (PARTITION BY c.video_uri ORDER BY c.start_ms) - 1 = c.clip_index "
        "FROM {1} c JOIN {0} v USING (video_uri)",
    )
    assert rows
    for start_ms, end_ms, num_frames, num_real_frames, duration_ms, in_order in rows:
        assert 0 <= start_ms and end_ms - start_ms == 2000 and end_ms <= duration_ms + 1
        assert (num_frames, num_real_frames) == (8, 8) and in_order


def test_the_tables_add_up(labeled: pathlib.Path) -> None:
    (document,) = (labeled / "runs").iterdir()
    summary = json.loads(document.read_text("utf-8"))
    by_status = dict(sql(labeled, "SELECT status, count(*) FROM {0} GROUP BY ALL"))
    assert by_status == {"ok": 9, "failed": 1}
    assert {name: summary["counts"][name] for name in ("videos", "ok", "partial", "failed")} == {
        "videos": 10,
        "ok": 9,
        "partial": 0,
        "failed": 1,
    }
    assert summary["run_id"] == document.stem == sql(labeled, "SELECT DISTINCT run FROM {0}")[0][0]
    assert sql(labeled, "SELECT sum(num_clips) FROM {0}") == sql(labeled, "SELECT count(*) FROM {1}")
    assert summary["counts"]["clips"] == sql(labeled, "SELECT count(*) FROM {1}")[0][0]


def test_scores_are_a_softmax_best_first(labeled: pathlib.Path) -> None:
    for labels, entropy, top_label, top_score in sql(labeled, "SELECT labels, entropy, top_label, top_score FROM {1}"):
        scores = [entry["score"] for entry in labels]
        assert scores == sorted(scores, reverse=True) and len(scores) == 5
        assert 0 < sum(scores) <= 1.00001 and 0 <= entropy <= 2.2
        assert (labels[0]["label"], labels[0]["score"]) == (top_label, top_score)


def test_pandas_reads_the_tables_as_they_are(labeled: pathlib.Path) -> None:
    videos = pd.read_parquet(labeled / "videos")
    assert len(videos) == 10 and videos["video_uri"].is_unique
    assert videos.loc[videos.status == "ok", "labels"].map(lambda labels: labels[0]["max_score"]).between(0, 1).all()
    assert (videos["labeled_at"].dt.tz is not None) and (videos["model"] == "demo").all()
    clips = pd.read_parquet(labeled / "clips")
    means = clips.groupby("video_uri")["entropy"].mean()
    assert set(means.index) == set(videos.loc[videos.status == "ok", "video_uri"])


def test_the_table_is_printed(
    samples_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    videos = [str(samples_dir / name) for name in ("moving_left.mp4", "broken.mp4")]
    assert main(["label", "--model=demo", *videos, "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "moving_left.mp4" in printed and "moving left" in printed and "failed (not_a_video)" in printed
    toy = "The model demo knows nine motions of drawn shapes and nothing else: for real videos, pass --model a0-base."
    assert printed.splitlines().count(toy) == 1
    assert "2 videos" in printed and "1 ok, 0 partial, 1 failed" in printed
    assert f"{tmp_path}/videos/run=" in printed
