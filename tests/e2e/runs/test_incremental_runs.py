"""Incremental runs over one folder: new and changed videos are labeled exactly once, also after interrupted runs."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import subprocess
from typing import Any

import data_generation as generate
import duckdb
import pytest
from duckdb_queries import select
from processes import program

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job import labeler
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.output.sql.views import create_views
from reelbeam.transforms.output.tables import Output, current_rows
from tools.incremental_runs import Content, Corpus, run_with_kills, verify


def label(output: pathlib.Path, *flags: object) -> dict[str, Any]:
    """Labels, and returns the JSON of the run."""
    before = set(output.glob("runs/*.json"))
    assert main(["label", "--model=demo", *map(str, flags), "--output", str(output)]) == 0
    (document,) = set(output.glob("runs/*.json")) - before
    return json.loads(document.read_text())


def rows(output: pathlib.Path, run: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """What a run says of its videos, by file name: status and attempt."""
    found = select(
        f"SELECT video_uri, status, attempts FROM '{output}/videos/*/*.parquet' WHERE run = '{run['run_id']}'"
    ).fetchall()
    return {os.path.basename(uri): (status, attempts) for uri, status, attempts in found}


@pytest.mark.slow
def test_three_runs(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(samples_dir / "growing.mp4", folder / name)
    (folder / "broken.mp4").write_text("no video")

    first = label(output, folder)
    assert first["selected"] == {"new": 3} and first["skipped"] == {}
    second = label(output, folder)
    assert second["skipped"] == {"already_labeled": 2, "failed_before": 1}
    assert second["counts"]["inputs"] == 3 and second["counts"]["videos"] == 0
    assert second["files"] == {"videos": [], "clips": [], "errors": []}

    shutil.copy(samples_dir / "moving_left.mp4", folder / "b.mp4")
    generate.make_video(folder / "c.mp4", 20, 10)
    (folder / "a.mp4").unlink()
    third = label(output, folder)
    assert third["selected"] == {"new": 1, "changed": 1} and third["skipped"] == {"failed_before": 1}
    assert rows(output, third) == {"b.mp4": ("ok", 1), "c.mp4": ("ok", 1)}

    asked = label(output, folder, "--retry_failed=not_a_video")
    assert asked["selected"] == {"asked_for": 1} and rows(output, asked) == {"broken.mp4": ("failed", 2)}
    other = label(output, folder, "--tail_policy=drop")
    assert other["selected"] == {"new": 3}
    forced = label(output, folder, "--force")
    assert forced["selected"] == {"forced": 3} and forced["skipped"] == {}
    assert label(output, folder)["skipped"] == {"already_labeled": 2, "failed_before": 1}
    assert not list(output.glob(".staging/run=*"))


@pytest.mark.slow
def test_what_may_pass_is_tried_three_times(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copy(samples_dir / "growing.mp4", folder / "a.mp4")
    loop = folder / "loop.mp4"
    loop.symlink_to(loop)  # the disk refuses to open it: a storage_error, for root as well
    attempts = [rows(output, label(output, folder)) for _ in range(4)]
    assert attempts[0] == {"a.mp4": ("ok", 1), "loop.mp4": ("failed", 1)}
    assert attempts[1:] == [{"loop.mp4": ("failed", 2)}, {"loop.mp4": ("failed", 3)}, {}]
    assert label(output, folder)["skipped"] == {"already_labeled": 1, "gave_up": 1}
    assert rows(output, label(output, folder, "--max_attempts=4")) == {"loop.mp4": ("failed", 4)}
    loop.unlink()
    shutil.copy(samples_dir / "growing.mp4", loop)
    assert rows(output, label(output, folder)) == {"loop.mp4": ("ok", 1)}


def current(output: pathlib.Path) -> dict[str, tuple[str, str | None]]:
    """What the views show of every video, by file name: status and label; and that `status` counts the same."""
    connection = duckdb.connect()
    connection.execute(create_views(str(output), "duckdb", 0.5))
    found = connection.execute("SELECT video_uri, status, top_label FROM current_videos").fetchall()
    (totals,) = current_rows(Output.read(str(output)))
    assert sorted(totals["status"].to_pylist()) == sorted(status for _, status, _ in found)
    return {os.path.basename(uri): (status, label) for uri, status, label in found}


@pytest.mark.slow
def test_what_comes_back_is_labeled_again_and_the_views_show_it(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    """The disk refuses a video during one run; another one is replaced during one run. Each comes back as it was."""
    folder, aside, output = tmp_path / "in", tmp_path / "aside", tmp_path / "out"
    folder.mkdir()
    aside.mkdir()
    names = ("away.mp4", "replaced.mp4", "stays.mp4")
    for name in names:
        shutil.copy(samples_dir / "growing.mp4", folder / name)
    label(output, folder)
    as_at_first = dict.fromkeys(names, ("ok", "growing"))
    assert current(output) == as_at_first

    for name in ("away.mp4", "replaced.mp4"):
        (folder / name).rename(aside / name)
    (folder / "away.mp4").symlink_to(folder / "away.mp4")  # cannot be opened, nor looked at: a storage_error
    shutil.copy(samples_dir / "moving_left.mp4", folder / "replaced.mp4")
    assert label(output, folder)["selected"] == {"changed": 2}
    shown = {"away.mp4": ("failed", None), "replaced.mp4": ("ok", "moving left"), "stays.mp4": ("ok", "growing")}
    assert current(output) == shown

    for name in ("away.mp4", "replaced.mp4"):
        (folder / name).unlink()
        (aside / name).rename(folder / name)
    again = label(output, folder)
    assert again["selected"] == {"changed": 2} and again["skipped"] == {"already_labeled": 1}
    assert rows(output, again) == {"away.mp4": ("ok", 1), "replaced.mp4": ("ok", 1)}
    assert current(output) == as_at_first
    assert label(output, folder)["skipped"] == {"already_labeled": 3}


@pytest.mark.slow
def test_a_run_after_an_upgrade_of_the_decoder_is_not_refused_for_old_failures(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(45):  # more than the labeled ones may vouch for
        (folder / f"{number}.mp4").write_text("no video")
    with monkeypatch.context() as before:
        before.setattr(labeler, "decoder_version", lambda: "an older one")
        label(output, folder, "--max_failure_ratio=1")
    upgraded = label(output, folder)
    assert upgraded["selected"] == {"new_decoder": 45}
    assert (upgraded["counts"]["failed"], upgraded["counts"]["first_attempts"]) == (45, 0)
    assert set(rows(output, upgraded).values()) == {("failed", 2)}
    assert label(output, folder)["skipped"] == {"failed_before": 45}


@pytest.mark.slow
def test_shards_and_limits_come_to_the_whole(tmp_path: pathlib.Path) -> None:
    corpus, output = Corpus(tmp_path / "in"), tmp_path / "out"
    corpus.add(12)
    one = label(output, tmp_path / "in", "--shard=1/2")
    two = label(output, tmp_path / "in", "--shard=2/2", "--limit=2")
    assert one["selected"]["new"] + two["counts"]["videos"] + two["skipped"]["beyond_limit"] == 12
    assert two["counts"]["videos"] == 2 and two["skipped"]["other_shard"] == one["counts"]["videos"]
    label(output, tmp_path / "in", "--since=2020-01-01")
    assert verify(output, corpus.contents()) == []
    late = label(output, tmp_path / "in", "--force", "--since=2999-01-01")
    assert late["skipped"] == {"before_since": 12}


@pytest.mark.slow
@pytest.mark.parametrize("videos_per_part", [0, 5])
def test_parts_or_one_job_make_the_same_rows(
    tmp_path: pathlib.Path, videos_per_part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, output = Corpus(tmp_path / "in"), tmp_path / "out"
    corpus.add(14)
    flags = [str(tmp_path / "in"), "--output", str(output), f"--videos_per_part={videos_per_part}"]
    assert main(["label", "--model=demo", *flags]) == 0
    shown = capsys.readouterr().out
    runs = [json.loads(path.read_text()) for path in output.glob("runs/*.json")]
    assert len(runs) in ((2, 3) if videos_per_part else (1,)), "a hash assigns videos to parts: one can stay empty"
    assert (f"Committed {len(runs)} parts. 14 videos" in shown) == bool(videos_per_part)
    assert sum(run["counts"]["inputs"] for run in runs) == 14
    assert verify(output, corpus.contents()) == []
    assert main(["label", "--model=demo", *flags]) == 0
    assert "14 inputs, 14 skipped: 14 labeled already" in capsys.readouterr().out
    assert verify(output, corpus.contents()) == []


@pytest.mark.slow
def test_the_second_of_two_runs_says_so_and_stops(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["label", "--model=demo", str(samples_dir / "growing.mp4"), "--output", str(tmp_path)]
    with OutputLock(LockTicket(str(tmp_path), "other")):
        assert main(command) == 5
        assert "is in use: run other on" in capsys.readouterr().err
    assert main(command) == 0


@pytest.mark.slow
def test_a_run_waits_for_the_other_if_asked(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    command = program("label", "--model=demo", samples_dir / "growing.mp4", "--output", tmp_path)
    command += ["--wait_for_lock", "--videos_per_part=0"]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait(timeout=200) for run in runs] == [0, 0]
    ended = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*.json")]
    first, second = sorted(ended, key=lambda run: run["finished_at"])
    assert (first["counts"]["videos"], second["counts"]["videos"]) == (1, 0)
    assert second["started_at"] >= first["finished_at"]  # the time of its rows: they are the later ones


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_runs_are_exact(tmp_path: pathlib.Path, seed: int) -> None:
    corpus, output = Corpus(tmp_path / "in", seed), tmp_path / "out"
    chance = random.Random(seed)
    expected: set[Content] = set()
    for added, changed, deleted in ((60, 0, 0), (10, 5, 3), (10, 5, 3)):
        corpus.add(added)
        corpus.change(changed)
        corpus.delete(deleted)
        expected |= corpus.contents()
        run_with_kills(str(tmp_path / "in"), str(output), ["--videos_per_part=20"], num_kills=3, chance=chance)
        assert verify(output, expected) == []
