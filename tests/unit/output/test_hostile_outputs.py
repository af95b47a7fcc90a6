"""An output that an attacker can write to: nothing outside of it is touched, and each command reports the fault."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import ledger_factory
import output_factory as factory
import pytest
from hostile_documents import snapshot, variants
from output_factory import Video

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job.earlier_runs import last_run
from reelbeam.pipeline.job.output_access import hold_output
from reelbeam.transforms.errors import ReelbeamError
from reelbeam.transforms.output import commits, runs
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_document import KEY_COLUMNS, LabelingKey, committed_document
from reelbeam.transforms.output.run_files import RunPaths

RUN, CUT_OFF, COMPACTION = "20260102T000000Z-000002", "20260103T000000Z-000003", "20260104T000000Z-compact-00000a"
COMMANDS = ("label", "plan", "status", "verify", "report", "diff", "sql", "compact")
KEY = {name: 4 if name == "schema_version" else "x" for name in KEY_COLUMNS}
NUM_VARIANTS = int(os.environ.get("REELBEAM_FUZZ_DOCUMENTS", "4"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An output with two committed runs, one that was interrupted after its commit record, and a lock."""
    output = tmp_path_factory.mktemp("made") / "out"
    for number in (1, 2):
        factory.commit_run(output, number, [Video("a.mp4"), Video("b.mp4", None)])
    run = factory.run_info(3)
    files = factory.stage(output, run, [Video("c.mp4")])
    paths = RunPaths(str(output), CUT_OFF)
    summary = json.loads((output / f"runs/{RUN}.json").read_text().replace(RUN, CUT_OFF))
    commits.write_commit_record(paths, committed_document("", CUT_OFF, summary), files)
    with hold_output(LockTicket(str(output.with_name("other")), CUT_OFF), ends_with_process=True, wait=False):
        lock = json.loads(output.with_name("other").joinpath(".staging/lock.json").read_text())
    lock["process"]["start"] = 1  # its process is gone
    lock |= {"progress": {"videos_done": 1, "videos": 3, "at": "2026-01-03T00:00:00+00:00"}, "released_at": None}
    (output / ".staging/lock.json").write_text(json.dumps(lock))
    return output


@pytest.fixture
def output(made: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of it, beside a folder that must stay as it is."""
    canary = tmp_path / "canary"
    for folder in ("videos/run=r", "run=victim", ""):
        (canary / folder).mkdir(parents=True, exist_ok=True)
        (canary / folder / "part-00000.parquet").write_text("precious")
    (tmp_path / "canary.parquet").write_text("precious")
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def arguments(command: str, output: pathlib.Path) -> list[str]:
    nothing = str(output.parent / "canary.parquet")
    more = {
        "label": [nothing, "--model=demo", "--output", str(output), "--max_failure_ratio", "1"],
        "plan": [nothing, "--model=demo", "--output", str(output)],
        "report": [str(output), "--no_images", "--to", str(output.with_name("report.html"))],
        "diff": [str(output), "20260101", RUN],
    }
    return [command, *more.get(command, [str(output)])]


def outcome(command: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Runs a command; returns its exit code and stderr, after looking that nothing outside was touched."""
    outside = [output.parent / "canary", output.parent / "canary.parquet"]
    before = [snapshot(path) if path.is_dir() else path.read_bytes() for path in outside]
    code = main(arguments(command, output))
    out, err = capsys.readouterr()
    assert [snapshot(path) if path.is_dir() else path.read_bytes() for path in outside] == before
    assert "\x1b" not in out + err and "\x07" not in out + err and "Traceback" not in out + err
    return code, err


def record(output: pathlib.Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = output / f".staging/run={CUT_OFF}/commit.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


HOSTILE_RECORDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "replaced above": lambda d: d.update(replaced=["../canary.parquet"]),
    "replaced absolute": lambda d: d.update(replaced=["/etc/hostname"]),
    "replaced with dots": lambda d: d.update(replaced=["videos/run=../../../canary/part-00000.parquet"]),
    "replaced of a run that is not compacted": lambda d: d.update(replaced=[f"videos/run={RUN}/part-00000.parquet"]),
    "replaced that is not a list": lambda d: d.update(replaced="../canary.parquet"),
    "a table above": lambda d: d.update(moves=[["../../../canary", 0]]),
    "a shard that is text": lambda d: d.update(moves=[["videos", "../../x"]]),
    "a negative shard": lambda d: d.update(moves=[["videos", -1]]),
    "another run's name": lambda d: d["summary"].update(run_id="../../canary"),
    "files of another run": lambda d: d["summary"]["files"].update(videos=[f"/o/videos/run={RUN}/part-00000.parquet"]),
}


@pytest.mark.parametrize("command", ["label", "compact"])
@pytest.mark.parametrize("name", HOSTILE_RECORDS)
def test_a_commit_record_that_names_anything_else_is_refused(
    name: str, command: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(output, HOSTILE_RECORDS[name])
    tables = {folder: snapshot(output / folder) for folder in ("videos", "clips", "errors", "runs")}
    code, err = outcome(command, output, capsys)
    assert code == 2 and err.count("\n") == 1 and "which no run writes" in err, err
    assert f".staging/run={CUT_OFF}/commit.json" in err
    assert {folder: snapshot(output / folder) for folder in tables} == tables


@pytest.mark.parametrize(
    "path",
    [
        "x/../../victim.parquet",
        "/o/videos/run=../part-00000.parquet",
        f"/o/clips/run={RUN}/part-00000.parquet",
        f"/o/videos/run={RUN}/part-00000.parquet.staged",
        f"/o/videos/run={RUN}/part-0.parquet",
        f"/o/videos/run={RUN}/part-00000.parquet\n",
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_names_other_files_is_refused(
    path: str, command: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = output / f"runs/{RUN}.json"
    summary = json.loads(document.read_text())
    summary["files"]["videos"] = [path]
    document.write_text(json.dumps(summary))
    code, err = outcome(command, output, capsys)
    expected = {"label": 2, "plan": 2, "verify": 4}.get(command, 1)
    assert (code, err.count("\n")) == (expected, 0 if command == "verify" else 1), err


LINKS = {
    "the staging folder": ".staging",
    "a run's staging folder": f".staging/run={CUT_OFF}",
    "a table": "videos",
    "a run of a table": f"videos/run={RUN}",
    "the runs": "runs",
}


@pytest.mark.parametrize("command", ["label", "compact", "status", "verify"])
@pytest.mark.parametrize("place", LINKS.values(), ids=LINKS)
def test_no_link_is_followed(
    place: str, command: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What the link leads to has everything that is looked for.
    outside = output.parent / "canary" / "linked"
    (output / place).rename(outside)
    (output / place).symlink_to(outside)
    code, err = outcome(command, output, capsys)
    if code == 4:
        return  # verify reports it on stdout
    found = "is a symbolic link, which is not followed inside an output" in err
    # An interrupted commit can be completed, and a status printed, without the files of an older run.
    assert (code, found) in {(1, True), (2, True)} or place == f"videos/run={RUN}" or command in ("status", "verify"), (
        err
    )


@pytest.mark.parametrize("name", ["lock.json", f"run={CUT_OFF}/commit.json"])
@pytest.mark.parametrize("kind", ["link", "fifo"])
@pytest.mark.parametrize("command", ["label", "compact", "status"])
def test_a_document_that_is_a_link_or_a_fifo_is_not_read(
    name: str, kind: str, command: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = output / ".staging" / name
    target = output.parent / "canary" / "document.json"
    path.rename(target)
    path.symlink_to(target) if kind == "link" else os.mkfifo(path)
    code, err = outcome(command, output, capsys)
    message = "is a symbolic link, which is not followed inside an output" if kind == "link" else "not a regular file"
    assert code in (1, 2) and err.count("\n") == 1 and message in err, err


def test_a_lock_is_written_through_no_link_that_waits_for_it(output: pathlib.Path) -> None:
    victim = output.parent / "canary.parquet"
    (output / ".staging/.draft-lock.json").symlink_to(victim)
    (output / ".staging/lock.json").unlink()
    with hold_output(LockTicket(str(output), "r9"), ends_with_process=True, wait=False):
        pass
    assert victim.read_text() == "precious"
    assert json.loads((output / ".staging/lock.json").read_text())["holder"] == "r9"


def test_escapes_in_a_lock_do_not_reach_the_terminal(output: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = json.loads((output / ".staging/lock.json").read_text())
    lock |= {"host": "\x1b]0;owned\x07", "since": "\x1b[2J", "process": None, "lease_ends_at": 2e11, "process_id": 7}
    (output / ".staging/lock.json").write_text(json.dumps(lock))
    for command, code in (("status", 0), ("compact", 5), ("label", 5)):
        assert outcome(command, output, capsys)[0] == code


def label_reads(output: pathlib.Path) -> None:
    """Reads what `label` reads of an output before its job."""
    last_run(str(output))
    with hold_output(LockTicket(str(output), "20260109T000000Z-000009"), ends_with_process=True, wait=False):
        key = LabelingKey.all_of(runs.read_summary(f"{output}/runs/20260101T000000Z-000001.json"))[0]
        list(ledger_factory.ledger_files(str(output), key))


DOCUMENTS = (f"runs/{RUN}.json", f"runs/{COMPACTION}.json", f".staging/run={CUT_OFF}/commit.json", ".staging/lock.json")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_ends_in_a_traceback(
    name: str, output: pathlib.Path, made: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = made / (name if "compact" not in name else f"runs/{RUN}.json")
    document = json.loads(source.read_text())
    if "compact" in name:
        document |= {"run_id": COMPACTION, "compacted": [RUN], "labeling_keys": [KEY], "files": {}}
    for number, text in enumerate(variants(document, NUM_VARIANTS, seed=7)):
        shutil.rmtree(output)
        shutil.copytree(made, output)
        (output / name).write_bytes(text)
        for command in ("plan", "status", "verify", "report", "diff", "sql", "compact"):
            code, err = outcome(command, output, capsys)
            assert code in range(6) and err.count("reelbeam:") == (code in (1, 2, 3, 5)), (number, command, code, err)
        shutil.rmtree(output)
        shutil.copytree(made, output)
        (output / name).write_bytes(text)
        with contextlib.suppress(ReelbeamError):
            label_reads(output)
        capsys.readouterr()
