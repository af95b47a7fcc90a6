"""`reelbeam.label`: its rows are those of the command line, and nothing of it stays."""

from __future__ import annotations

import os
import pathlib
import shutil
import threading
from typing import Any

import data_generation as generate
import processes
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_stream_model import tiny_model

import reelbeam
from reelbeam.pipeline.cli import main
from reelbeam.transforms.labeling.video_labeler import VideoLabeler
from reelbeam.transforms.schemas import RUN_COLUMNS, SORT_KEYS, TABLES

pytestmark = pytest.mark.usefixtures("no_process_left")


def run(inputs: list[str], output: pathlib.Path, *flags: str) -> dict[str, pa.Table]:
    """Returns the tables of a run of the command line, without the columns of the run."""
    assert main(["label", *inputs, "--output", str(output), "--max_failure_ratio=1", *flags]) == 0
    found = {}
    for name in TABLES:
        files = sorted((output / name).glob("*/*.parquet"))
        table = pa.concat_tables(pq.ParquetFile(path).read() for path in files)
        kept = [column for column in table.column_names if column not in RUN_COLUMNS]
        found[name] = table.select(kept).sort_by([(key, "ascending") for key in SORT_KEYS[name]])
    return found


def assert_same(result: reelbeam.LabelTables, tables: dict[str, pa.Table]) -> None:
    for name, expected in tables.items():
        found = getattr(result, name)
        assert found.schema.names == expected.schema.names
        expected = expected.cast(found.schema)  # sorting a table drops that the numbers of arrays are not null
        assert found.to_pylist() == expected.to_pylist(), name


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("reelbeam")]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, samples_dir: pathlib.Path) -> pathlib.Path:
    """A folder with odd names, broken videos, links, and files that are not videos."""
    folder = tmp_path_factory.mktemp("hostile")
    good = samples_dir / "growing.mp4"
    for name in ("a.mp4", "<b>&.mp4", "new\nline.mp4", "[1].mp4", "ümläut 映画.mp4", "sub/deep.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(good, folder / name)
    generate.truncated(good, folder / "cut.mp4", 0.5)
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 64)
    (folder / "notes.txt").write_text("not a video")
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    (folder / "again.mp4").symlink_to("a.mp4")
    generate.make_audio(folder / "sound.mp4")
    return folder


def test_the_rows_are_those_of_the_command_line(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    options = {"top_k": 3, "min_score": 0.01, "save_logits": True, "save_embeddings": True, "clip_stride_seconds": 1.5}
    flags = ["--top_k=3", "--min_score=0.01", "--save_logits", "--save_embeddings", "--clip_stride_seconds=1.5"]
    result = reelbeam.label(samples_dir, model="demo", progress=False, **options)  # type: ignore[arg-type]
    assert_same(result, run([str(samples_dir)], tmp_path, "--model=demo", *flags))
    assert result.videos.num_rows == 10 and result.clips.num_rows > 21 and result.errors.num_rows == 1
    assert result.cost.decode_cpu_seconds > 0 and result.cost.model_cpu_seconds > 0
    assert threads() == []


def test_the_rows_of_hostile_files_are_those_of_the_command_line(hostile: pathlib.Path, tmp_path: pathlib.Path) -> None:
    expected = run([str(hostile)], tmp_path, "--model=demo")
    assert_same(reelbeam.label(hostile, model="demo", progress=False, num_workers=3), expected)
    assert len(set(expected["videos"]["error_code"].to_pylist())) > 3


def test_elements_are_labeled_like_the_rows_of_a_list(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    video, missing = str(samples_dir / "moving_left.mp4"), str(tmp_path / "no.mp4")
    (tmp_path / "list.csv").write_text(
        f"video_uri,start_seconds,end_seconds,camera\n{video},1,3,left\n{video},,,right\n{video},1,3,left\n{missing},,,\n"
    )
    listed = run(["--input_list", str(tmp_path / "list.csv")], tmp_path / "out", "--model=demo")
    elements: list[dict[str, object]] = [
        {"video_uri": video, "start_seconds": 1, "end_seconds": 3, "camera": "left"},
        {"video_uri": video, "camera": "right"},
        {"video_uri": video, "start_seconds": 1.0, "end_seconds": "3", "camera": "left"},
        {"video_uri": missing, "camera": ""},
    ]
    assert_same(reelbeam.label(elements, model="demo", progress=False), listed)
    result = reelbeam.label([*elements, {"name": video}, 7], model="demo", progress=False)
    assert result.videos.num_rows == 5 and result.errors["code"].to_pylist().count("invalid_input") == 2


@pytest.mark.slow
def test_the_rows_of_real_videos_are_those_of_the_command_line(
    shared_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for folder in ("media", "faults"):
        inputs = str(shared_dir / folder)
        options: dict[str, Any] = {"clips_per_video": 3, "num_workers": 2}
        result = reelbeam.label(inputs, model="demo", progress=False, **options)
        assert_same(result, run([inputs], tmp_path / folder, "--model=demo", "--clips_per_video=3"))
        assert result.videos.num_rows > 5


@pytest.mark.slow
def test_a_long_video_of_a_stream_model_occupies_all_threads(tmp_path: pathlib.Path) -> None:
    film = generate.make_video(tmp_path / "film.mp4", 2 * 1000, 2, 64, 48, gop=19, draw=generate.draw_moving)
    tiny_model(tmp_path / "model")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    options: dict[str, Any] = {"num_frames": 25, "target_fps": 5, "resize": 8, "size": 6}
    options["labels"] = str(tmp_path / "labels.txt")
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.005):
            most = max(most, len(processes.decoding_of(os.getpid(), "film.mp4")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = reelbeam.label(film, model=tmp_path / "model", progress=False, num_workers=3, **options)
    finally:
        ended.set()
        watcher.join()
    assert most >= 2
    flags = [f"--{name}={value}" for name, value in options.items()]
    assert_same(result, run([str(film)], tmp_path / "out", f"--model={tmp_path}/model", *flags))


def test_nothing_at_a_path_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(reelbeam.ConfigError, match="matches no video"):
        reelbeam.label(tmp_path, model="demo")
    assert reelbeam.label([], model="demo").videos.num_rows == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_workers": 0}, reelbeam.ConfigError, "^num_workers is 0"),
        ({"num_workers": True}, reelbeam.ConfigError, "^num_workers is True"),
        ({"top_k": 0}, reelbeam.ConfigError, "^top_k"),
        ({"topk": 3}, TypeError, "did you mean top_k"),
        ({"model": "a9"}, reelbeam.ModelError, "a9"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(
    options: dict[str, Any], error: type[Exception], message: str, samples_dir: pathlib.Path
) -> None:
    with pytest.raises(error, match=message):
        reelbeam.label(samples_dir, **{"model": "demo", **options})


def test_a_bug_in_a_thread_is_raised_and_ends_the_others(
    samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = VideoLabeler.label_segment

    def broken(self: VideoLabeler, segment: Any, *arguments: Any) -> Any:
        if segment.video.video_uri.endswith("moving_up.mp4"):
            raise KeyError("a bug")
        return whole(self, segment, *arguments)

    monkeypatch.setattr(VideoLabeler, "label_segment", broken)
    with pytest.raises(KeyError, match="a bug"):
        reelbeam.label(samples_dir, model="demo", progress=False)
    assert threads() == []
    monkeypatch.undo()
    assert reelbeam.label(samples_dir, model="demo", progress=False).videos.num_rows == 10


def test_progress_is_shown_on_stderr_unless_silenced(
    samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reelbeam.label(samples_dir / "growing.mp4", model="demo", progress=False)
    assert capsys.readouterr() == ("", "")
    reelbeam.label(samples_dir / "growing.mp4", model="demo")
    shown = capsys.readouterr()
    assert shown.out == "" and "1 video, headers of 0 read" in shown.err
