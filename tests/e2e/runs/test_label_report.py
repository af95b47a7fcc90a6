"""`reelbeam label --report`: the page at the end of a run, which never changes how the run ends."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections.abc import Callable

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.reports import run_report

pytestmark = pytest.mark.slow  # whole runs


def label(output: pathlib.Path, *flags: object) -> int:
    return main(["label", "--model=demo", "--report", *map(str, flags), "--output", str(output)])


@pytest.fixture
def videos(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> pathlib.Path:
    (tmp_path / "in").mkdir()
    shutil.copy(samples_dir / "growing.mp4", tmp_path / "in")
    return tmp_path / "in"


def test_a_run_writes_the_page_when_its_rows_are_newer(
    tmp_path: pathlib.Path, videos: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, page = tmp_path / "out", tmp_path / "out/report.html"
    assert label(output, videos, "--summary_json") == 0
    *_, said, line = capsys.readouterr().out.splitlines()
    assert said.startswith("report: ") and json.loads(line)["report"] == str(page)
    first = page.stat()

    assert label(output, videos, "--summary_json") == 0, "nothing to do"
    assert page.stat().st_mtime_ns == first.st_mtime_ns
    *_, said, line = capsys.readouterr().out.splitlines()
    assert said == f"report: {page} is up to date" and json.loads(line)["report"] == str(page)

    page.unlink()
    assert label(output, videos) == 0, "nothing to do"
    assert page.exists(), "it was missing"

    os.utime(page, (1, 1))
    assert label(output, videos) == 0, "nothing to do"
    assert page.stat().st_mtime > 1, "a run before was killed when it wrote the page"

    shutil.copy(samples_dir / "moving_left.mp4", videos)
    assert label(output, videos, "--videos_per_part=1") == 0
    assert "moving left" in page.read_text("utf-8")


def test_a_page_that_cannot_be_written_is_a_warning(
    tmp_path: pathlib.Path,
    videos: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "out/report.html").mkdir(parents=True)
    assert label(tmp_path / "out", videos, "--summary_json") == 0
    assert "the run is committed, but its report could not be written: " in caplog.text
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["status"] == "committed" and "report" not in line


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (MemoryError("no memory"), "no memory"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (ValueError("a hostile row"), "ValueError: a hostile row"),
    ],
)
def test_a_failure_to_make_the_page_is_a_warning(
    tmp_path: pathlib.Path,
    videos: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    text: str,
) -> None:
    def fail(request: object) -> None:
        raise failure

    monkeypatch.setattr(run_report, "write_report", fail)
    assert label(tmp_path / "out", videos) == 0
    assert f"could not be written: {text}" in caplog.text


def test_an_interruption_while_the_page_is_made_leaves_a_committed_run(
    tmp_path: pathlib.Path,
    videos: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(request: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_report, "write_report", interrupt)
    assert label(tmp_path / "out", videos, "--summary_json") == 0
    assert "interrupted: the run is committed, but its report was not written" in caplog.text
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"] == "committed"


def test_a_rejected_run_writes_no_page(tmp_path: pathlib.Path) -> None:
    assert label(tmp_path / "out", tmp_path / "gone.mp4") == 3
    assert not (tmp_path / "out/report.html").exists()


def test_a_failed_job_writes_no_page(
    tmp_path: pathlib.Path, videos: pathlib.Path, break_writing: Callable[[], None]
) -> None:
    break_writing()
    assert label(tmp_path / "out", videos) == 1
    assert not (tmp_path / "out/report.html").exists()


@pytest.mark.parametrize("flags", [["--no_wait"], ["--runner=PortableRunner", "--job_endpoint=h:1", "--no_wait"]])
def test_a_launcher_that_does_not_wait_cannot_write_it(
    tmp_path: pathlib.Path, videos: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    assert label(tmp_path / "out", videos, *flags) == 2
    assert "--report is written when the run has ended" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
