"""Other flags on a labeled output: a run reports what it does not label again, and which flag would."""

from __future__ import annotations

import json
import pathlib

import duckdb
import pytest

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # whole runs

DONE = "1 input, 1 skipped: 1 labeled already"
WANTED = DONE + ", by runs with other row options than this run's {} (pass --force to label again)\n"


def label(output: pathlib.Path, video: pathlib.Path, *flags: str) -> None:
    assert main(["label", str(video), "--model=demo", f"--output={output}", *flags]) == 0


@pytest.mark.slow
def test_rows_that_are_kept_without_requested_columns_are_reported(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    video = samples_dir / "growing.mp4"
    label(tmp_path, video)
    for flag, wanted_flags in (
        ("--save_embeddings", "--top_k 5, --min_score 0, --save_embeddings"),
        ("--save_logits", "--top_k 5, --min_score 0, --save_logits"),
        ("--top_k=3", "--top_k 3, --min_score 0"),
        ("--min_score=0.5", "--top_k 5, --min_score 0.5"),
        ("--save_logits", "--top_k 5, --min_score 0, --save_logits"),
    ):
        capsys.readouterr()
        label(tmp_path, video, flag)
        assert WANTED.format(wanted_flags) in capsys.readouterr().out, flag
    assert main(["plan", str(video), "--model=demo", f"--output={tmp_path}", "--save_logits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcomes"] == {"other_options": 1}
    # A single job, as on a cluster, reports the same.
    label(tmp_path, video, "--save_logits", "--videos_per_part=0")
    assert WANTED.format("--top_k 5, --min_score 0, --save_logits") in capsys.readouterr().out
    label(tmp_path, video, "--save_logits", "--force")
    capsys.readouterr()
    for flags in (["--save_logits"], []):  # rows that hold more than is asked for will do
        label(tmp_path, video, *flags)
        assert f"{DONE}\n" in capsys.readouterr().out
    summaries = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/*.json"))]
    assert sum(summary["skipped"].get("other_options", 0) for summary in summaries) == 6
    assert main(["verify", str(tmp_path)]) == 0


def test_a_switch_of_the_sampling_is_reported_in_both_directions(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every field of the labeling key counts, not only the model; the current rows have the last run's key."""
    video = samples_dir / "growing.mp4"
    text = "was last labeled with another sampling of clips. This run, with the model demo, also labels videos"
    shown = []
    connection = duckdb.connect()
    for number, flags in enumerate(([], ["--clips_per_video=1"], [], [])):
        caplog.clear()
        label(tmp_path, video, *flags)
        assert (text in caplog.text) == (number in (1, 2))
        capsys.readouterr()
        if number == 0:
            assert main(["sql", str(tmp_path)]) == 0
            connection.execute(capsys.readouterr().out)
        shown += connection.execute("SELECT num_clips FROM current_videos").fetchall()
        assert main(["status", str(tmp_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["totals"]["clips"] == shown[-1][0]
    assert shown == [(2,), (1,), (2,), (2,)]
