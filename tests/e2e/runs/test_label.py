"""`reelbeam label` on odd files, broken files and lists, and runs that fail."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import data_generation as generate
import output_factory as factory
import pytest
from duckdb_queries import select
from output_factory import Video
from processes import program
from slow_cases import fast_first

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job.places import unwritable
from reelbeam.transforms.errors import StorageError


def label(output: pathlib.Path, *flags: object) -> int:
    return main(["label", "--model=demo", *map(str, flags), "--output", str(output)])


def videos(output: pathlib.Path) -> dict[str, dict]:
    """Rows of the videos table, by file name."""
    table = select(f"SELECT * FROM '{output}/videos/*/*.parquet'").to_arrow_table().to_pylist()
    return {os.path.basename(row["video_uri"]): row for row in table}


def test_odd_and_broken_files_end_in_one_row_each(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    sample = samples_dir / "moving_left.mp4"
    good = ["näme with späces & 'quotes'.mp4", "a[1].mp4", "sub/same.mp4", "same.mp4", "UPPER.MP4"]
    for name in good:
        shutil.copy(sample, folder / name)
    generate.make_audio(folder / "audio.mp4")
    generate.make_audio(folder / "cover.mp4", cover_art=True)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    generate.truncated(sample, folder / "truncated.mp4", 0.5)
    generate.make_video(folder / "one_frame.mp4", 1)
    generate.make_video(folder / "portrait.webm", 60, 24, 90, 160, codec="libvpx-vp9")
    generate.make_video(folder / "rotated.mp4", 60, 25, rotation=90)
    generate.make_video(folder / "variable.mkv", 40, pts=[i * 20 + (i % 3) * 7 for i in range(40)], time_base=None)
    (folder / "notes.txt").write_text("not looked at")

    assert label(tmp_path / "out", folder, "--max_failure_ratio", 1) == 0
    table = select(f"SELECT video_uri, status, error_code FROM '{tmp_path}/out/videos/*/*.parquet'").fetchall()
    found = {os.path.relpath(uri, folder): (status, code) for uri, status, code in table}
    assert len(table) == len(found) == 14
    assert {name: found[name] for name in good} == dict.fromkeys(good, ("ok", None))
    assert [found[name] for name in ("audio.mp4", "cover.mp4")] == [("failed", "no_video_stream")] * 2
    assert found["empty.mp4"] == ("failed", "empty_file")
    assert found["text.mp4"] == found["truncated.mp4"] == ("failed", "not_a_video")
    for name in ("one_frame.mp4", "portrait.webm", "rotated.mp4", "variable.mkv"):
        assert found[name] == ("ok", None), name


@pytest.mark.slow
def test_a_stream_that_breaks_off_keeps_its_whole_clips(tmp_path: pathlib.Path) -> None:
    # With the index in front, a cut MP4 can be read up to the cut, and still promises all eight seconds.
    options = {"movflags": "faststart"}
    whole = generate.make_video(tmp_path / "whole.mp4", 240, 30, gop=30, container_options=options)
    generate.truncated(whole, tmp_path / "cut.mp4", 0.6)
    assert label(tmp_path / "out", tmp_path / "cut.mp4") == 0
    row = videos(tmp_path / "out")["cut.mp4"]
    assert (row["status"], row["error_code"]) == ("partial", "corrupt_video")
    assert (row["num_clips"], row["num_planned_clips"]) == (2, 4)
    assert row["top_label"] is not None


def test_a_missing_file_is_a_row_and_a_duplicate_is_none(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = samples_dir / "growing.mp4"
    assert label(tmp_path, sample, tmp_path / "gone.mp4", sample, f"file://{sample}") == 0
    rows = videos(tmp_path)
    assert {name: (row["status"], row["error_code"]) for name, row in rows.items()} == {
        "growing.mp4": ("ok", None),
        "gone.mp4": ("failed", "not_found"),
    }
    assert "\n2 duplicates left out: " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--videos_per_part=1"], ["--videos_per_part=0"]])
def test_duplicates_are_reported_once_for_any_number_of_parts(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    videos = [samples_dir / "growing.mp4", samples_dir / "shrinking.mp4"]
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{path}\n" for path in [*videos, videos[0]]))
    assert label(tmp_path / "out", samples_dir / "grow*.mp4", "--input_list", listing, *flags) == 0
    assert capsys.readouterr().out.count("2 duplicates left out: ") == 1
    assert label(tmp_path / "out", videos[0], videos[0], *flags) == 0
    printed = capsys.readouterr().out
    assert printed.count("1 duplicate left out: ") == 1 and "1 labeled already" in printed


def test_columns_of_the_list_are_carried_into_the_rows(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(f"video_uri,camera,shift\n{samples_dir}/growing.mp4,7,night\n", encoding="utf-8")
    assert label(tmp_path / "out", "--input_list", listing) == 0
    ((camera, shift),) = select(
        f"SELECT metadata['camera'], metadata['shift'] FROM '{tmp_path}/out/videos/*/*.parquet'"
    ).fetchall()
    assert (camera, shift) == ("7", "night")


@pytest.mark.slow
def test_flags_reach_the_rows(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    flags = ["--top_k=2", "--clips_per_video=1", "--engine=tensorflow"]
    assert label(tmp_path / "one", samples_dir / "growing.mp4", *flags) == 0
    row = videos(tmp_path / "one")["growing.mp4"]
    assert (len(row["labels"]), row["num_clips"], row["engine"]) == (2, 1, "tensorflow")
    assert label(tmp_path / "dense", samples_dir / "growing.mp4", "--clip_stride_seconds=0.5", "--min_score=0.5") == 0
    row = videos(tmp_path / "dense")["growing.mp4"]
    assert row["num_clips"] == 5 and len(row["labels"]) == 1


@pytest.mark.slow
def test_two_runs_are_kept_side_by_side(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    for _ in range(2):
        assert label(tmp_path, samples_dir / "growing.mp4", "--force") == 0
    runs = [json.loads(path.read_text()) for path in (tmp_path / "runs").iterdir()]
    assert len({run["run_id"] for run in runs}) == 2
    assert select(f"SELECT count(*), count(DISTINCT run) FROM '{tmp_path}/videos/*/*.parquet'").fetchall() == [(2, 2)]


@pytest.mark.parametrize("command", fast_first(["plan", "label"]))
def test_a_change_of_the_model_is_reported(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    sample, output = samples_dir / "growing.mp4", tmp_path / "out"
    factory.commit_run(output, 1, [Video("a.mp4")])
    flags = [str(sample), "--model=demo", "--output", str(output)]
    assert main([command, *flags]) == 0
    warnings = [
        record.getMessage() for record in caplog.records if "was last labeled with the model" in record.getMessage()
    ]
    assert len(warnings) == 1 and "This run, with the model demo, also labels" in warnings[0]
    caplog.clear()
    assert main(["label", *flags]) == 0
    assert ("was last labeled" in caplog.text) == (command == "plan")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["no_such_*.mp4"], "no_such_*.mp4 matches no video"),
        (["x.mp4", "--model=nonsense"], "no model is called 'nonsense'"),
        (["x.mp4", "--warm_up_seconds=5"], "--warm_up_seconds is for Stream models"),
        (["x.mp4", "--carry_state"], "--carry_state is for Stream models"),
        (["x.mp4", "--model=a0-stream", "--warm_up_seconds=5"], "--warm_up_seconds needs --carry_state"),
        (["x.mp4", "--tail_policy=keep"], "must be one of shift_back, repeat_last, drop for a Base model"),
        (
            ["x.mp4", "--model=a0-stream", "--tail_policy=repeat_last"],
            "must be one of shift_back, keep, drop for a Stream",
        ),
        (["x.mp4", "--model=a0-stream", "--clip_stride_seconds=5"], "clips of a Stream model cannot overlap"),
        (["x.mp4", "--model=a0-stream", "--warm_up_seconds=-1"], "--warm_up_seconds is -1: it must be at least 0"),
        (["x.mp4", "--max_batch_bytes=0"], "--max_batch_bytes is 0"),
        (["x.mp4", "--top_k=0"], "--top_k is 0"),
        (["x.mp4", "--labels=nowhere.txt"], "nowhere.txt"),
        (["--input_list=nowhere.csv"], "nowhere.csv"),
        (["--input_list=empty.txt"], "names no video"),
        (["nowhere://bucket/*.mp4"], "reelbeam[gcp]"),
        (["x.mp4", "--runner=Nope"], "Unexpected pipeline runner: Nope"),
        (["x.mp4", "--labels=kinetics-600"], "holds 600 labels but the model gives 9 scores"),
    ],
)
def test_bad_flags_exit_with_2_and_say_what_is_wrong(
    tmp_path: pathlib.Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").touch()
    assert label(tmp_path / "out", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_too_many_failures_exit_with_3_and_commit_nothing(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = [samples_dir / "growing.mp4", samples_dir / "broken.mp4", tmp_path / "gone.mp4"]
    assert label(tmp_path / "out", *inputs) == 3
    printed = capsys.readouterr().out
    assert "2 of 3 inputs failed" in printed and "not_a_video" in printed and "not_found" in printed
    failed = printed.partition("\nFailed: 2 videos\n")[2]
    assert "broken.mp4 not_a_video: not a video that FFmpeg can read" in failed
    assert f"  {tmp_path}/gone.mp4 not_found: does not exist; check the path and its spelling\n" in failed
    assert printed.count("check the path and its spelling") == 1
    (staging,) = (tmp_path / "out" / ".staging").glob("run=*")
    assert f"errors  {staging}/errors/" in printed and f"summary {staging}/failed.json" in printed
    rows = select(f"SELECT video_uri FROM read_parquet('{staging}/errors/*.staged')").fetchall()
    assert {uri for (uri,) in rows} == {str(path) for path in inputs[1:]}
    assert not list((tmp_path / "out").rglob("*.parquet")) and not list((tmp_path / "out").glob("runs/*"))


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("file", "{folder}/file is a file, not a folder; name another place"),
        ("file/below/it", "{folder}/file is a file, not a folder; name another place"),
        ("/proc/labels", "no folder can be made in /proc (No such file or directory)"),
    ],
)
def test_an_output_that_cannot_be_written_is_met_before_the_work(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str], output: str, reason: str
) -> None:
    (tmp_path / "file").write_text("keep me")
    assert label(tmp_path / output, samples_dir / "growing.mp4") == 2
    (line,) = capsys.readouterr().err.splitlines()
    message = reason.format(folder=tmp_path)
    assert line == f"reelbeam: --output {tmp_path / output} cannot be written: {message}"
    assert (tmp_path / "file").read_text() == "keep me"


def test_a_read_only_folder_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can write to read-only folders, so the check of the folder is replaced."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    error = unwritable(f"{tmp_path}/a/b", StorageError("the storage says no"))
    assert str(error).startswith(f"--output {tmp_path}/a/b cannot be written: {tmp_path} is read-only for user id ")


def test_a_job_that_fails_exits_with_1_and_commits_nothing(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    break_writing: Callable[[], None],
) -> None:
    break_writing()
    assert label(tmp_path / "out", samples_dir / "growing.mp4") == 1
    captured = capsys.readouterr()
    assert 'The run failed: KeyError: "a bug"' in captured.out and "Traceback" not in captured.err
    assert not list((tmp_path / "out").rglob("*.parquet")) and not list((tmp_path / "out").glob("runs/*"))


@pytest.mark.parametrize("seconds", fast_first([2, 3, 4]))
def test_a_killed_run_leaves_nothing_that_looks_finished(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, seconds: int
) -> None:
    output, listing = tmp_path / "out", tmp_path / "list.txt"
    copies = [shutil.copy(samples_dir / "moving_left.mp4", tmp_path / f"{i}.mp4") for i in range(100)]
    listing.write_text("\n".join(map(str, copies)))
    command = program("label", "--model=demo", "--input_list", listing, "--output", output)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        time.sleep(seconds)  # any moment will do
        process.send_signal(signal.SIGKILL)
    if list(output.glob("runs/*.json")):  # a fast machine was done before it was killed
        assert len(videos(output)) == 100
    else:
        assert not list(output.rglob("*.parquet"))


@pytest.mark.slow
def test_a_model_that_does_not_fit_leaves_no_selection(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    """The selection has URIs with their signatures. A first run refuses such a model before the selection."""
    labels = tmp_path / "labels.txt"
    labels.write_text("left\nright\n")
    assert label(tmp_path / "out", samples_dir / "growing.mp4") == 0
    assert label(tmp_path / "out", samples_dir / "growing.mp4", "--labels", labels) == 2
    assert list((tmp_path / "out").rglob("selected")) == []
