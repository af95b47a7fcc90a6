"""`reelbeam report`: the page of a real output, also when its videos are gone, changed, or nothing but failures."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import data_generation as generate
import pytest
from faulty_proxy import FaultyProxy
from gcs_emulator import GcsServer
from object_stores import BUCKET, S3Server, s3_flags

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.reports import html_report

pytestmark = pytest.mark.slow  # whole runs

PICTURE = 'src="data:image/webp;base64,'
GONE, CHANGED = "The video does not exist any more.", "The video has changed since it was labeled."
NAMES = ("broken.mp4", "growing.mp4", "moving_left.mp4", "moving_right.webm")


def label(output: object, *flags: object) -> int:
    return main(["label", "--model=demo", *map(str, flags), "--output", str(output)])


def report(output: object, *flags: object) -> int:
    """Runs the command; returns its exit code."""
    return main(["report", str(output), *map(str, flags)])


def copied(folder: pathlib.Path, samples_dir: pathlib.Path, *names: str) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(samples_dir / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, samples_dir: pathlib.Path) -> pathlib.Path:
    """An output of two runs, whose videos are beside it. Tests do not change it."""
    folder = tmp_path_factory.mktemp("report")
    videos = copied(folder / "in", samples_dir, *NAMES[:3])
    assert label(folder / "out", videos) == 0
    copied(videos, samples_dir, *NAMES[3:])
    assert label(folder / "out", videos) == 0
    return folder / "out"


def runs_of(output: pathlib.Path) -> list[str]:
    return sorted(path.stem for path in output.glob("runs/*.json"))


def test_the_page_is_in_the_output_and_shows_what_is_there(
    output: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(output.parent)
    assert report("out") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"report: out/report\.html \(\d+\.\d MB\): \d+ clips of 3 videos; open it in a browser", line)
    page = (output / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") and PICTURE in page
    for shown in ("growing", "moving left", "moving right", "not_a_video", "demo", "openvino"):
        assert shown in page, shown
    assert GONE not in page and CHANGED not in page
    assert (output / "in").as_uri() not in page and f"{output.parent}/in/growing.mp4" in page
    assert main(["verify", "out"]) == 0, "the page is not in the way"
    assert {path.name for path in output.iterdir()} == {"runs", "videos", "clips", "errors", "report.html", ".staging"}


def test_the_same_rows_give_the_same_bytes(
    output: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [tmp_path / "1.html", tmp_path / "2.html", tmp_path / "3.html"]
    assert report(output, "--to", pages[0]) == 0
    monkeypatch.chdir(output)
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-m", "reelbeam", "report", ".", "--to", str(pages[1])]
    root = pathlib.Path(__file__).resolve().parents[3]
    subprocess.run(command, env=environment | {"PYTHONPATH": str(root)}, check=True)
    first, second = (page.read_text("utf-8") for page in pages[:2])
    assert first == second
    assert report(output, "--to", pages[2], "--clips=2") == 0
    assert pages[2].stat().st_size < pages[0].stat().st_size


def test_without_pictures_no_video_is_read(output: pathlib.Path, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "page.html"
    assert report(output, "--to", place, "--no_images", "--run", runs_of(output)[0]) == 0
    page = place.read_text("utf-8")
    assert PICTURE not in page and "growing.mp4" in page and "moving_right.webm" not in page


def test_a_page_that_is_too_large_without_pictures_is_written_with_a_warning(
    output: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(output, "--to", tmp_path / "page.html", "--no_images", "--max_bytes=1KiB") == 0
    assert "MB without any picture, which is more than --max_bytes 1024: pass" in capsys.readouterr().err


def test_a_wanted_video_has_a_timeline(output: pathlib.Path, tmp_path: pathlib.Path) -> None:
    place, video = tmp_path / "page.html", output.parent / "in/growing.mp4"
    assert report(output, "--to", place, "--no_images") == 0
    before = place.read_text("utf-8").count('class="run')
    assert report(output, "--to", place, "--no_images", "--video", video) == 0
    assert place.read_text("utf-8").count('class="run') > before


def test_a_wanted_video_without_a_row_is_an_error(output: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(output, "--no_images", "--video", "/no/such.mp4") == 2
    assert "/no/such.mp4" in capsys.readouterr().err


def test_what_changed_since_a_run_or_another_output(
    output: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "page.html"
    shutil.copytree(output, tmp_path / "other")
    for against in (runs_of(output)[0], tmp_path / "other"):
        assert report(output, "--to", place, "--no_images", "--against", against) == 0
        assert 'id="changes"' in place.read_text("utf-8")
    capsys.readouterr()
    assert report(output, "--to", place, "--against", "1999") == 2
    assert "--against 1999 is neither a run of" in capsys.readouterr().err


def test_videos_that_are_gone_or_changed_have_no_pictures(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = copied(tmp_path / "in", samples_dir, *NAMES[1:])
    assert label(tmp_path / "out", videos) == 0
    (videos / "growing.mp4").unlink()
    shutil.copy(samples_dir / "shrinking.mp4", videos / "moving_left.mp4")
    assert report(tmp_path / "out") == 0
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert PICTURE in page
    assert GONE in page and CHANGED in page
    for path in videos.iterdir():
        path.unlink()
    capsys.readouterr()
    assert report(tmp_path / "out") == 0
    out, err = capsys.readouterr()
    found = re.fullmatch(r"report: .*: (\d+) clips of 3 videos, 0 with pictures; open it in a browser\n", out)
    assert found is not None
    number = found[1]
    assert f"0 of {number} clips have pictures: {number} of videos that do not exist any more\n" in err
    assert PICTURE not in (tmp_path / "out/report.html").read_text("utf-8")


def test_an_output_of_failures_has_a_page(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    assert label(tmp_path / "out", samples_dir / "broken.mp4", "--max_failure_ratio=1") == 0
    assert report(tmp_path / "out") == 0
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "not_a_video" in page and PICTURE not in page


def test_a_place_that_cannot_be_written_is_a_wrong_flag(
    output: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert report(output, "--no_images", "--to", tmp_path / "file/page.html") == 2
    assert f"{tmp_path}/file/page.html cannot be written" in (said := capsys.readouterr().err)
    assert "pass --to FILE.html" in said
    assert report(output, "--to", "/proc/page.html") == 2
    assert "/proc/page.html cannot be written (No such file or directory)" in capsys.readouterr().err
    (tmp_path / "video.mp4").write_bytes(b"precious")
    assert report(output, "--no_images", "--to", tmp_path / "video.mp4") == 2
    assert (tmp_path / "video.mp4").read_bytes() == b"precious"
    assert report(tmp_path / "nothing") == 2
    assert "holds no committed run" in capsys.readouterr().err


def test_no_video_is_read_for_a_page_that_cannot_be_written(
    output: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_report, "make_filmstrips", lambda *args: pytest.fail("a video was read"))
    (tmp_path / "page.html").mkdir()
    assert report(output, "--to", tmp_path / "page.html") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_hostile_names_stay_text(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    folder = tmp_path / "x<" / "script>"
    folder.mkdir(parents=True)
    for name in ("<img src=x onerror=alert(1)>", "\"'&lt;\u2028\u202e", "{{7*7}}", os.fsdecode(b"\xff\xfe")):
        shutil.copy(samples_dir / "growing.mp4", folder / f"{name}.mp4")
    shutil.copy(samples_dir / "broken.mp4", folder / "<b>broken.mp4")
    assert label(tmp_path / "out", tmp_path / "x<") == 0
    assert report(tmp_path / "out") == 0
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert PICTURE in page and "<img src=x" not in page and "<b>broken" not in page and "x</script>" not in page
    assert "49.mp4" not in page


def test_the_page_of_an_output_in_a_bucket_is_there(
    s3: S3Server, proxy: FaultyProxy, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[:3]:
        s3.put(f"in/{name}", (samples_dir / name).read_bytes())
    flags = s3_flags(proxy.url)
    assert label(f"{s3.uri}/out", f"{s3.uri}/in/", *flags) == 0
    assert report(f"{s3.uri}/out", *flags) == 0
    assert "reading pictures from 2 videos in object stores: at most" in capsys.readouterr().err
    page = s3.get("out/report.html").decode()
    assert page.startswith("<!DOCTYPE html>") and PICTURE in page
    assert s3.client.head_object(Bucket=BUCKET, Key="out/report.html")["ContentType"].startswith("text/html")


@pytest.mark.usefixtures("quick_retries")
def test_videos_in_a_bucket_that_does_not_answer_have_no_pictures(
    s3: S3Server, proxy: FaultyProxy, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    s3.put("in/growing.mp4", (samples_dir / "growing.mp4").read_bytes())
    flags = s3_flags(proxy.url)
    assert label(tmp_path, f"{s3.uri}/in/", *flags) == 0
    proxy.fault = lambda request: "503"
    assert report(tmp_path, *flags) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert PICTURE not in page and "growing" in page


@pytest.mark.timeout(1800)
def test_the_page_of_an_output_on_google_cloud_storage(gcs: GcsServer, samples_dir: pathlib.Path) -> None:
    gcs.put("in/growing.mp4", (samples_dir / "growing.mp4").read_bytes())
    place = f"gs://{BUCKET}/out"
    assert label(place, f"gs://{BUCKET}/in/", "--report") == 0
    assert main(["status", place]) == 0, "the page is not in the way"
    from reelbeam.transforms import storage

    with storage.open_binary(f"{place}/report.html") as file:
        assert PICTURE in file.read().decode()


def test_a_long_name_is_shown(tmp_path: pathlib.Path) -> None:
    generate.make_video(tmp_path / f"{'n' * 240}.mp4", 60)
    assert label(tmp_path / "out", tmp_path) == 0
    assert report(tmp_path / "out") == 0
