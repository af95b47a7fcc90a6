"""--summary_json ends a run with one line that a scheduler can read, however it ends; --no_wait leaves it alone."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any

import pytest

from pipeline.cli import main


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert isinstance(line, dict)
    return line


def label(output: pathlib.Path, *flags: object) -> int:
    return main(["label", *map(str, flags), f"--output={output}", "--summary_json"])


def test_a_committed_run_tells_what_its_json_says(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path, samples_dir / "growing.mp4", tmp_path / "gone.mp4") == 0
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"], line["job"]) == ("committed", 0, None, None)
    assert (line["counts"]["ok"], line["counts"]["failed"], line["counts"]["videos"]) == (1, 1, 2)
    assert line["output"] == str(tmp_path)
    committed = json.loads(pathlib.Path(line["run_json"]).read_text())
    assert {name: line[name] for name in committed} == committed
    assert [error["code"] for error in line["errors"]] == ["not_found"]


def test_a_refused_run_tells_why_and_where_its_summary_is(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path / "out", tmp_path / "gone.mp4") == 3
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"]["code"]) == ("refused", 3, "too_many_failures")
    assert line["counts"]["failed"] == 1
    assert json.loads(pathlib.Path(line["run_json"]).read_text())["refused"] == line["error"]


def test_a_failed_job_tells_what_broke(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("transforms.write_results.to_table", broken)
    assert label(tmp_path, samples_dir / "growing.mp4") == 1
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["run_json"]) == ("failed", 1, None)
    assert line["error"] == {"code": "run_failed", "message": 'KeyError: "a bug"'}


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["x.mp4", "--model=nonsense"], "model_not_found", "nonsense"),
        (["no_such_*.mp4"], "invalid_config", "matches no video"),
        (["https://me:pw@host/*.mp4?sig=SECRET", "--top_k=0"], "invalid_config", "--top_k"),
        (["x.mp4", "--no_such_flag"], "invalid_config", "unrecognized arguments: --no_such_flag"),
        (["x.mp4", "--top_k=five"], "invalid_config", "argument --top_k: invalid int value: 'five'"),
        (["x.mp4", "--no_wait"], "invalid_config", "local run"),
    ],
)
def test_a_run_that_never_began_tells_its_error(
    tmp_path: pathlib.Path, flags: list[str], code: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        exit_code = label(tmp_path / "out", *flags)
    except SystemExit as stop:  # argparse's way
        exit_code = int(stop.code or 0)
    line = last_line(capsys)
    assert exit_code == line["exit_code"] == 2
    assert line["error"]["code"] == code and message in line["error"]["message"]
    assert "SECRET" not in str(line)


def test_without_the_flag_there_is_no_such_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", str(tmp_path / "gone.mp4"), f"--output={tmp_path / 'out'}"]) == 3
    assert "exit_code" not in capsys.readouterr().out


def test_a_job_that_nobody_waits_for_commits_its_run(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portable = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]
    assert label(tmp_path, samples_dir / "growing.mp4", "--no_wait", *portable) == 0
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"]) == ("submitted", 0, None)
    assert line["job"] and "counts" not in line
    marker = pathlib.Path(line["run_json"])
    for _ in range(600):
        if marker.exists():
            break
        time.sleep(0.1)
    assert json.loads(marker.read_text())["counts"]["ok"] == 1


def test_parts_are_told_in_sum(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path, samples_dir, "--videos_per_part=4") == 0
    line = last_line(capsys)
    assert len(line["parts"]) > 1 and line["run_id"] == line["parts"][-1]
    assert line["counts"]["inputs"] == line["counts"]["videos"] == 10 and line["taken_up"] == {"new": 10}
    assert {error["code"]: error["count"] for error in line["errors"]} == {"not_a_video": 1}
    assert sum(entry["videos"] for entry in line["labels"]) == 9
    assert len(line["files"]["videos"]) == len(line["parts"])


def test_a_refused_part_leaves_no_list_of_inputs_behind(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = [tmp_path / f"gone_{number}.mp4" for number in range(4)]
    assert label(tmp_path / "out", *gone, "--videos_per_part=2") == 3
    assert last_line(capsys)["status"] == "refused"
    assert not list((tmp_path / "out").rglob("selected"))
    assert list((tmp_path / "out").rglob("failed.json"))
