"""What a listing leaves out, from end to end: in the printed summary, in the run's JSON and in the plan."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from duckdb_queries import select
from faulty_proxy import FaultyProxy
from local_pipeline import LocalPipeline, counters, list_videos
from object_stores import S3Server, s3_flags

from reelbeam.pipeline.cli import main
from reelbeam.transforms import metrics, storage
from reelbeam.transforms.decode_clips import DecodeClips
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.storage.spool import folder as spool

pytestmark = pytest.mark.slow  # whole runs

PRESET = find("demo").preset
SAMPLING = ClipSampling(PRESET.num_frames, PRESET.target_fps)


@pytest.fixture
def folder(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> pathlib.Path:
    """One video, a linked folder with another, and all kinds of other files."""
    folder, far = tmp_path / "in", tmp_path / "far"
    for name in ("in/.git/x.mp4", "in/notes.txt", "in/b.srt", "in/c.srt", "in/._growing.mp4", "far/README"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    shutil.copy(samples_dir / "growing.mp4", folder)
    shutil.copy(samples_dir / "moving_up.mp4", far)
    (folder / "link").symlink_to(far)
    return folder


IGNORED = {".srt": 2, ".txt": 1, "hidden_file": 1, "hidden_folder": 1, "no_extension": 1}
LINE = "Ignored: 2 .srt, 1 .txt, 1 hidden file, 1 hidden folder, 1 without extension"


@pytest.mark.parametrize("flags", [[], ["--videos_per_part", "0"], ["--videos_per_part", "1"]])
def test_what_a_folder_leaves_out_is_in_every_report(
    tmp_path: pathlib.Path, folder: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    argv = [str(folder), "--output", str(tmp_path / "out"), *flags]
    assert main(["plan", "--model=demo", *argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["inputs"], found["ignored"]) == (2, IGNORED)
    assert main(["plan", "--model=demo", *argv]) == 0
    assert f"\n{LINE}\n" in capsys.readouterr().out
    for num_skipped in (0, 2):  # the second run has nothing to label, and says so all the same
        assert main(["label", "--model=demo", *argv, "--summary_json"]) == 0
        printed = capsys.readouterr().out
        assert printed.splitlines().count(LINE) == 1
        last = json.loads(printed.splitlines()[-1])
        assert (last["ignored"], last["counts"]["skipped"]) == (IGNORED, num_skipped)
    runs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("out/runs/*.json"))]
    assert (
        sum(run["ignored"] == IGNORED for run in runs) == 2 and sum(not run["ignored"] for run in runs) == len(runs) - 2
    )


def test_a_folder_without_a_video_says_what_is_in_it(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / ".x.mp4").touch()
    assert main(["label", "--model=demo", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(": the folder holds no file with a video's extension (ignored here: 1 .txt, 1 hidden file)")


@pytest.mark.parametrize(("how", "exit_code"), [("folder", 0), ("pattern", 3), ("list", 3)])
def test_other_files_with_a_videos_extension_count_as_failures_only_where_they_were_named(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, how: str, exit_code: int
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples_dir / "growing.mp4", folder)
    for name in ("app.ts", "lib.mts", "go.mod"):
        (folder / name).write_text("export const x = 1;\n" * 50)
    (tmp_path / "list.txt").write_text("\n".join(map(str, folder.iterdir())))
    inputs: dict[str, list[object]] = {
        "folder": [folder],
        "pattern": [f"{folder}/*"],
        "list": ["--input_list", tmp_path / "list.txt"],
    }
    assert main(["label", "--model=demo", *map(str, inputs[how]), "--output", str(tmp_path / "out")]) == exit_code
    if exit_code:
        return
    rows = select(f"SELECT video_uri, error_code FROM '{tmp_path}/out/videos/*/*.parquet' ORDER BY 1").fetchall()
    assert [(os.path.basename(uri), code) for uri, code in rows] == [
        ("app.ts", "not_a_video"),
        ("go.mod", "not_a_video"),
        ("growing.mp4", None),
        ("lib.mts", "not_a_video"),
    ]
    (run,) = [json.loads(path.read_text()) for path in tmp_path.glob("out/runs/*.json")]
    assert (run["counts"]["failed"], run["counts"]["excused"]) == (3, 3)
    (folder / "broken.mp4").write_text("not a video")
    (folder / "more.ts").write_text("export {}\n" * 20)
    assert (
        main(["label", "--model=demo", str(folder), "--output", str(tmp_path / "out2"), "--max_failure_ratio", "0.3"])
        == 3
    )
    assert (
        main(["label", "--model=demo", str(folder), "--output", str(tmp_path / "out2"), "--max_failure_ratio", "0.5"])
        == 0
    )


@pytest.mark.parametrize(
    ("argv", "flag"),
    [
        (["label", "--model=demo", "VIDEO", "--output", ""], "--output"),
        (["label", "--model=demo", "VIDEO", "--output", " "], "--output"),
        (["plan", "--model=demo", "VIDEO", "--output", ""], "--output"),
        (["label", "--model=demo", "", "--output", "OUT"], "INPUT"),
        (["label", "--model=demo", "VIDEO", "--input_list", "", "--output", "OUT"], "--input_list"),
        (["label", "--model=demo", "VIDEO", "--spool_dir", "", "--output", "OUT"], "--spool_dir"),
        (["label", "--model=demo", "VIDEO", "--model", "", "--output", "OUT"], "--model"),
        (["label", "--model=demo", "VIDEO", "--labels", "", "--output", "OUT"], "--labels"),
        (["status", ""], "OUTPUT"),
        (["verify", "  "], "OUTPUT"),
        (["models", "export", "demo", "--to", ""], "--to"),
        (["label", "--model=demo", "VIDEO", "--output", "s3://"], "--output"),
        (["status", "gs://"], "OUTPUT"),
    ],
)
def test_a_name_that_is_blank_or_only_a_scheme_is_refused_with_one_line(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    flag: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"VIDEO": str(samples_dir / "growing.mp4"), "OUT": str(tmp_path / "out")}
    assert main([places.get(argument, argument) for argument in argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    blank = next(argument for argument in argv if not argument.strip() or argument.endswith("://"))
    assert line.endswith(f"{flag} is {blank!r}: it must be a name; a shell variable may be unset")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_keeps_remote_headers_where_a_run_keeps_videos(
    s3: S3Server,
    proxy: FaultyProxy,
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = (samples_dir / "growing.mp4").read_bytes()
    uri, known = s3.put("growing.mp4", data), set(spool._spools)
    argv = ["plan", "--model=demo", uri, "--output", str(tmp_path / "out"), *s3_flags(proxy.url), "--json"]
    for max_bytes, failures in ((len(data), {}), (len(data) - 1, {"file_too_large": 1})):
        place = tmp_path / f"spool{max_bytes}"
        assert main([*argv, "--spool_dir", str(place), "--spool_bytes", str(max_bytes)]) == 0
        assert json.loads(capsys.readouterr().out)["failures"] == failures
        (config,) = set(spool._spools) - known
        assert config == spool.SpoolConfig(str(place), max_bytes)
        assert [path.parent for path in (spool._spools[config].folder,)] == [place]
        spool._spools.pop(config).close()


def test_two_signed_urls_of_one_video_are_one_video(tmp_path: pathlib.Path) -> None:
    urls = [f"https://host/a.mp4?sig={i}" for i in (2, 1, 3)]
    (tmp_path / "list.txt").write_text("\n".join([*urls, "https://host/b.mp4"]))
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [], str(tmp_path / "list.txt"))
        assert_that(videos | beam.Map(lambda v: v.video_uri), equal_to([urls[1], "https://host/b.mp4"]))
    assert counters(pipeline)[metrics.DUPLICATES_DROPPED] == 2
    output = tmp_path / "out"
    argv = [
        "label",
        "--model",
        "demo",
        "--input_list",
        str(tmp_path / "list.txt"),
        "--output",
        str(output),
        "--max_failure_ratio",
        "1",
    ]
    assert main(argv) == 0 and main(["verify", str(output)]) == 0
    rows = select(f"SELECT video_uri, error_code FROM '{output}/videos/*/*.parquet' ORDER BY 1").fetchall()
    assert rows == [(f"https://host/{name}.mp4", "unsupported_uri") for name in "ab"]


@pytest.mark.parametrize("step", ["plan", "decode"])
def test_a_local_video_that_is_replaced_after_the_listing_is_a_transient_row(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, step: str
) -> None:
    path = tmp_path / "a.mp4"
    shutil.copy(samples_dir / "growing.mp4", path)
    os.utime(path, (1000, 1000))
    video = storage.video_of(storage.stat(str(path)))

    def replace(element: object) -> object:
        shutil.copy(samples_dir / "moving_up.mp4", path)
        os.utime(path, (2000, 2000))
        return element

    with LocalPipeline() as pipeline:
        videos = pipeline | beam.Create([video])
        plan = (videos | beam.Map(replace) if step == "plan" else videos) | PlanClips(
            PlannerConfig(sampling=SAMPLING, max_video_bytes=1 << 30)
        )
        failures = plan.failures
        if step == "decode":
            segments = plan.segments | "Spread" >> beam.Reshuffle() | "Replace" >> beam.Map(replace)
            decoded = segments | DecodeClips(
                DecoderConfig(geometry=Geometry(PRESET.resize, PRESET.size), max_video_bytes=1 << 30)
            )
            assert_that(decoded.clips, equal_to([]), label="clips")
            failures = decoded.failures
        reported = failures | beam.Map(lambda f: (f.stage, f.code, f.transient, f.message))
        message = f"{path} changed after it was listed; run again"
        assert_that(reported, equal_to([(step, "video_changed", True, message)]), label="failures")


def test_a_name_that_is_not_utf_8_is_labeled(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    name = os.fsdecode(b"bad_\xff.mp4")
    shutil.copy(samples_dir / "growing.mp4", folder / name)
    for number, given in enumerate((folder, folder / name)):
        output = tmp_path / str(number)
        assert main(["label", "--model=demo", str(given), "--output", str(output)]) == 0
        found = select(f"SELECT video_uri, status FROM '{output}/videos/*/*.parquet'").fetchall()
        assert found == [(f"file://{folder}/bad_%FF.mp4", "ok")]


def test_an_output_that_is_not_utf_8_is_refused(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = os.fsdecode(os.fsencode(tmp_path) + b"/out_\xff")
    assert main(["label", "--model=demo", str(tmp_path), "--output", output]) == 2
    assert capfd.readouterr().err.count("must be UTF-8") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"video_uri;start_second\n/a.mp4;2\n",
            "the column 'start_second' is not 'start_seconds'",
        ),
        (b"video_uri\n/\xff.mp4\n", "byte 0xff is not UTF-8; save the list as UTF-8"),
    ],
)
def test_a_list_that_means_something_else(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    argv = ["label", "--model=demo", "--input_list", str(tmp_path / "list.csv"), "--output", str(tmp_path / "out")]
    assert main(argv) == 2
    assert message in capfd.readouterr().err
