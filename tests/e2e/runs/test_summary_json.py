"""--summary_json prints one line for a scheduler at the end of a run, successful or not; --no_wait does not wait."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from processes import wait_until
from slow_cases import fast_rows

from reelbeam.pipeline import cli
from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job import execution
from reelbeam.pipeline.job.outcome import Outcome
from reelbeam.transforms.errors import StorageError
from tools import docs_reference, make_run_schema


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert isinstance(line, dict)
    return line


def label(output: pathlib.Path, *flags: object) -> int:
    return main(["label", "--model=demo", *map(str, flags), f"--output={output}", "--summary_json"])


def test_a_committed_run_prints_the_content_of_its_json(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path, samples_dir / "growing.mp4", tmp_path / "gone.mp4") == 0
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"], line["job"]) == ("committed", 0, None, None)
    assert (line["counts"]["ok"], line["counts"]["failed"], line["counts"]["videos"]) == (1, 1, 2)
    assert line["output"] == str(tmp_path)
    committed = json.loads(pathlib.Path(line["run_json"]).read_text())
    assert {name: line[name] for name in committed} == committed
    jsonschema.validate(committed, json.loads(make_run_schema.SCHEMA.read_text("utf-8")))
    assert [error["code"] for error in line["errors"]] == ["not_found"]


def test_a_refused_run_reports_why_and_where_its_summary_is(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path / "out", tmp_path / "gone.mp4") == 3
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"]["code"]) == ("rejected", 3, "too_many_failures")
    assert line["counts"]["failed"] == 1
    assert json.loads(pathlib.Path(line["run_json"]).read_text())["rejection"] == line["error"]


def test_a_failed_job_reports_its_cause(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    break_writing: Callable[[], None],
) -> None:
    break_writing()
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
def test_a_run_that_did_not_start_reports_its_error(
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


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--input_list={here}/gone.csv"], "invalid_config"),
        (["{here}/gone"], "invalid_config"),
        (["hdfs://host/folder/"], "invalid_config"),
        (["{here}/x.mp4", "--model=hdfs://host/model"], "model_not_found"),
    ],
    ids=["missing list", "missing folder", "input without a client", "model without a client"],
)
def test_a_place_that_cannot_be_used_has_the_code_and_exit_code_of_the_docs(
    tmp_path: pathlib.Path, flags: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path / "out", *(flag.format(here=tmp_path) for flag in flags)) == 2
    assert last_line(capsys)["error"]["code"] == code
    table = docs_reference.run_codes()
    assert f"| `{code}` | 2 |" in table
    assert "`not_found`" not in table and "`unsupported_uri`" not in table


def test_without_the_flag_there_is_no_such_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "--model=demo", str(tmp_path / "gone.mp4"), f"--output={tmp_path / 'out'}"]) == 3
    assert "exit_code" not in capsys.readouterr().out


@pytest.fixture
def job_server(tmp_path: pathlib.Path) -> Iterator[str]:
    """The address of a job server of Beam's, in another process."""
    port_file = tmp_path / "port"
    module = "apache_beam.runners.portability.local_job_service_main"
    command = [sys.executable, "-m", module, "-p", "0", f"--port_file={port_file}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        wait_until(lambda: port_file.exists() and port_file.read_text().strip(), 120)
        yield f"localhost:{port_file.read_text().strip()}"
        server.kill()


def test_a_job_started_with_no_wait_commits_its_run(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str], job_server: str
) -> None:
    portable = ["--runner=PortableRunner", f"--job_endpoint={job_server}", "--environment_type=LOOPBACK"]
    assert label(tmp_path, samples_dir / "growing.mp4", "--no_wait", *portable) == 0
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"]) == ("submitted", 0, None)
    assert line["job"] and "counts" not in line
    document = pathlib.Path(line["run_json"])
    wait_until(document.exists, 60)
    assert json.loads(document.read_text())["counts"]["ok"] == 1


@pytest.mark.slow
def test_parts_are_reported_in_sum(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path, samples_dir, "--videos_per_part=4") == 0
    line = last_line(capsys)
    assert len(line["parts"]) > 1 and line["run_id"] == line["parts"][-1]
    assert line["counts"]["inputs"] == line["counts"]["videos"] == 10 and line["selected"] == {"new": 10}
    assert {error["code"]: error["count"] for error in line["errors"]} == {"not_a_video": 1}
    assert sum(entry["videos"] for entry in line["labels"]) == 9
    assert len(line["files"]["videos"]) == len(line["parts"])


def test_a_refused_part_leaves_no_list_of_inputs(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = [tmp_path / f"gone_{number}.mp4" for number in range(4)]
    assert label(tmp_path / "out", *gone, "--videos_per_part=2") == 3
    assert last_line(capsys)["status"] == "rejected"
    assert not list((tmp_path / "out").rglob("selected"))
    assert list((tmp_path / "out").rglob("failed.json"))


def second_part(monkeypatch: pytest.MonkeyPatch, before: Callable[[], None]) -> None:
    """Lets something happen before the second part is labeled."""
    real, calls = execution.label, iter(range(100))

    def labeled(*args: Any, **flags: Any) -> Outcome:
        if next(calls) == 1:
            before()
        return real(*args, **flags)

    monkeypatch.setattr(execution, "label", labeled)


def check_first_part(line: dict[str, Any], output: pathlib.Path, num_parts: int) -> None:
    (document,) = output.glob("runs/*.json")
    committed = json.loads(document.read_text())
    assert line["counts"] == committed["counts"] and line["counts"]["videos"] > 0
    assert line["parts"][0] == committed["run_id"] and len(line["parts"]) == num_parts
    assert line["files"] == committed["files"] and line["output"] == str(output)


@pytest.mark.slow
def test_a_part_that_fails_leaves_those_before_it(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    break_writing: Callable[[], None],
) -> None:
    second_part(monkeypatch, break_writing)
    assert label(tmp_path, samples_dir, "--videos_per_part=5") == 1
    printed = capsys.readouterr().out
    assert "This part was not committed. Committed before: 1 part." in printed
    assert "Nothing was committed" not in printed
    line = json.loads(printed.splitlines()[-1])
    assert (line["status"], line["error"]["message"]) == ("failed", 'KeyError: "a bug"')
    check_first_part(line, tmp_path, 2)


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    fast_rows([(StorageError("the disk is away"), "storage_error", 1), (KeyboardInterrupt(), "interrupted", 130)]),
)
def test_an_end_amid_parts_keeps_what_was_committed(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: str,
    exit_code: int,
) -> None:
    def ends() -> None:
        raise error

    second_part(monkeypatch, ends)
    monkeypatch.setattr(cli, "_exit_at_once", sys.exit)  # it would end this very process
    try:
        assert label(tmp_path, samples_dir, "--videos_per_part=5") == exit_code
    except SystemExit as stop:
        assert stop.code == exit_code
    line = last_line(capsys)
    assert (line["status"], line["exit_code"], line["error"]["code"]) == ("failed", exit_code, code)
    check_first_part(line, tmp_path, 1)
    assert line["parts"][0].startswith(f"{line['run_id']}-part")


@pytest.mark.parametrize("place", ["run_model.load_any_engine", "preparation.check_inputs"])
def test_an_interrupted_run_reports_its_name_and_where_it_wrote(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"reelbeam.pipeline.job.{place}", interrupt)
    monkeypatch.setattr(cli, "_exit_at_once", sys.exit)  # it would end this very process
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        label(pathlib.Path("out/"), samples_dir)
    assert stop.value.code == 130
    line = last_line(capsys)
    assert (line["status"], line["error"]["code"]) == ("failed", "interrupted")
    assert line["output"] == str(tmp_path / "out")
    assert bool(line["run_id"]) == (place == "run_model.load_any_engine"), "it has a name once the model is there"


def test_a_store_that_is_away_when_the_job_fails_still_leaves_a_line(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    break_writing: Callable[..., None],
) -> None:
    def spoil() -> None:
        for staged in tmp_path.glob(".staging/run=*"):  # where the run's JSON would be something that cannot be read
            (tmp_path / "runs" / f"{staged.name.removeprefix('run=')}.json").mkdir(parents=True, exist_ok=True)

    break_writing(spoil)
    assert label(tmp_path, samples_dir / "growing.mp4") == 1
    line = last_line(capsys)
    assert (line["status"], line["error"]["code"]) == ("failed", "run_failed")
    assert 'KeyError: "a bug"; whether it was committed before is unknown' in line["error"]["message"]


def test_rows_that_cannot_be_shown_are_committed_all_the_same(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = execution.label

    def labeled(*args: Any, **flags: Any) -> Outcome:
        outcome = real(*args, **flags)
        for path in tmp_path.glob("videos/*/*.parquet"):
            path.unlink()
        return outcome

    monkeypatch.setattr(execution, "label", labeled)
    assert label(tmp_path, samples_dir / "growing.mp4") == 0
    printed = capsys.readouterr().out
    assert "The rows cannot be shown" in printed and json.loads(printed.splitlines()[-1])["status"] == "committed"


def test_an_interruption_while_a_native_module_is_imported_is_an_interruption(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails_to_import(*_: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()  # as pybind11 does for openvino

    monkeypatch.setattr("reelbeam.pipeline.job.run_model.load_any_engine", fails_to_import)
    monkeypatch.setattr(cli, "_exit_at_once", sys.exit)  # it would end this very process
    with pytest.raises(SystemExit) as stop:
        label(tmp_path / "out", samples_dir)
    assert stop.value.code == 130
    assert last_line(capsys)["error"]["code"] == "interrupted"
