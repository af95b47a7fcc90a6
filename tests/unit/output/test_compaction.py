"""`reelbeam compact`: the same answers before and after, and at each moment in between."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import pathlib
import random
import shutil
import signal
import subprocess
import time
from typing import Any

import duckdb
import ledger_factory
import numpy as np
import output_factory as factory
import pyarrow.parquet as pq
import pytest
from audit_events import audited
from duckdb_queries import select
from output_factory import Sizes, Video
from processes import program, wait_until

from reelbeam.pipeline.cli import main
from reelbeam.transforms.output import compaction
from reelbeam.transforms.output.commits import recover
from reelbeam.transforms.output.ledger import read_rows, uri_key
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.output.runs import COMPACTION, read_summary
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.schemas import TABLES

NUM_RUNS = 6


def commit_runs(output: pathlib.Path, first: int = 1, last: int = NUM_RUNS) -> list[str]:
    """In each run one video changes, one is new and one fails; the last run has another model."""
    return [
        factory.commit_run(
            output,
            number,
            [
                Video("changing.mp4", "left" if number % 2 else "right", 3, f"mtime:{number}.0"),
                Video(f"new-{number}.mp4", "still"),
                Video(f"bad-{number}.mp4", None),
            ],
            model="m0" if number < NUM_RUNS else "m1",
            skipped={"already_labeled": number} if number > 1 else None,
        )
        for number in range(first, last + 1)
    ]


def run(*argv: object) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main([str(word) for word in argv])
    return code, printed.getvalue()


def answers(output: pathlib.Path, names: list[str]) -> dict[str, Any]:
    """What our readers say: status, diff of neighbours, the ledger, and whether everything adds up."""
    status = json.loads(run("status", output, "--json")[1])
    uris = ["changing.mp4", *(f"{kind}-{number}.mp4" for kind in ("new", "bad") for number in range(9))]
    keys = np.sort([uri_key(uri) for uri in uris])
    ledger = {}
    for model in ("m0", "m1", "m2"):
        key = LabelingKey(model, "l0", "s0", "float32")
        paths = ledger_factory.ledger_files(str(output), key)
        ledger[model] = sorted(row for path in paths for row in read_rows(path, keys, key))
    return {
        "runs": [{**entry, "compacted_into": None} for entry in status["runs"]],
        "totals": status["totals"],
        "last_success": status["last_success"],
        "diffs": [run("diff", output, a, b, "--json")[1] for a, b in zip(names, names[1:], strict=False)],
        "ledger": ledger,
        "verify": run("verify", output)[0],
    }


def compact(output: pathlib.Path, name: str, sizes: compaction.FileSizes = compaction.DEFAULT_SIZES) -> None:
    """Does what the command does, under a name, to files of other sizes."""
    lock = LockTicket(str(output), name)
    with OutputLock(lock):
        found = Output.read(str(output))
        compaction.compact(found, compaction.small_runs(found, sizes=sizes), lock, sizes=sizes)


def globbed(output: pathlib.Path, table: str) -> list[str]:
    """Returns the rows that a plain glob finds; none without a file."""
    if not list(output.glob(f"{table}/*/*.parquet")):
        return []
    query = f"SELECT * EXCLUDE (run) FROM read_parquet('{output}/{table}/*/*.parquet', hive_partitioning = true)"
    return sorted(map(repr, select(query).fetchall()))


def views(output: pathlib.Path) -> dict[str, list[Any]]:
    connection = duckdb.connect()
    connection.execute(run("sql", output)[1])
    return {
        name: sorted(map(repr, connection.execute(f"FROM {name}").fetchall()))
        for name in ("current_videos", "current_clips", "label_timeline")
    }


def test_every_answer_is_the_same_before_and_after(tmp_path: pathlib.Path) -> None:
    names = commit_runs(tmp_path)
    before, seen = answers(tmp_path, names), views(tmp_path)
    tables = {table: globbed(tmp_path, table) for table in ("videos", "clips")}
    code, printed = run("compact", tmp_path)
    assert code == 0
    assert "merged 6 runs" in printed and "videos 6 -> 1, clips 6 -> 1, errors 6 -> 1" in printed
    assert len(list(tmp_path.glob("*/*/*.parquet"))) == 3 and not list(tmp_path.glob(".staging/run=*"))
    assert answers(tmp_path, names) == before and before["verify"] == 0
    assert views(tmp_path) == seen and len(seen["current_videos"]) == 2 * NUM_RUNS + 1
    assert {name: globbed(tmp_path, name) for name in tables} == tables
    assert [len(before["ledger"][model]) for model in ("m0", "m1", "m2")] == [15, 3, 0]


def test_a_compaction_is_compacted_with_later_runs(tmp_path: pathlib.Path) -> None:
    names = commit_runs(tmp_path, last=3)
    compact(tmp_path, compaction.compaction_id(datetime.datetime(2026, 1, 3, 12)))
    names += commit_runs(tmp_path, first=4)
    before = answers(tmp_path, names)
    assert run("compact", tmp_path)[0] == 0
    assert len(list(tmp_path.glob("*/*/*.parquet"))) == 3 and len(list(tmp_path.glob("runs/*-compact-*"))) == 2
    assert answers(tmp_path, names) == before and before["verify"] == 0
    assert run("compact", tmp_path) == (0, "nothing to merge: 1 small run\n")


def test_a_start_does_not_read_the_jsons_of_compacted_runs(tmp_path: pathlib.Path) -> None:
    """Of the thousands that an output may have, only those that no compaction holds."""
    names = commit_runs(tmp_path)
    assert main(["compact", str(tmp_path)]) == 0
    (after,) = commit_runs(tmp_path, NUM_RUNS + 1, NUM_RUNS + 1)
    key = LabelingKey.all_of(read_summary(str(tmp_path / "runs" / f"{after}.json")))[0]
    known = list(ledger_factory.ledger_files(str(tmp_path), key))
    assert len(known) == 2
    for name in names:
        (tmp_path / "runs" / f"{name}.json").write_text("damaged")
    assert list(ledger_factory.ledger_files(str(tmp_path), key)) == known


def test_runs_with_other_columns_come_into_files_of_their_own(tmp_path: pathlib.Path) -> None:
    columns = [Sizes(), Sizes(3), Sizes(3, 4), Sizes(embedding=4), Sizes(5), Sizes(3), Sizes()]
    names = [
        factory.commit_run(tmp_path, number, [Video(f"{number}.mp4"), Video(f"bad-{number}.mp4", None)], sizes=sizes)
        for number, sizes in enumerate(columns, start=1)
    ]
    names.append(factory.commit_run(tmp_path, 8, [Video("bad-8.mp4", None)], sizes=Sizes(7)))  # has no clip
    before = answers(tmp_path, names)
    assert before["verify"] == 0

    def clips() -> dict[str, list[Any]]:
        tables = [pq.read_table(path, partitioning=None) for path in tmp_path.glob("clips/*/*.parquet")]
        rows = [(table.schema.names, row) for table in tables for row in table.to_pylist()]
        return {name: [row for row in rows if row[1]["run_id"] == name] for name in names}

    rows = clips()
    assert rows[names[2]][1][1]["embedding"] == [1.5] * 4 and rows[names[2]][1][1]["logits"] == [1.5] * 3
    code, printed = run("compact", tmp_path)
    assert code == 0 and "videos 8 -> 1, clips 8 -> 5, errors 8 -> 1" in printed
    assert clips() == rows and answers(tmp_path, names) == before
    assert pq.read_schema(min(tmp_path.glob("clips/*/*.parquet"))).names == TABLES["clips"].names, "the plain one first"
    assert not list(tmp_path.glob(".staging/run=*"))
    assert run("compact", tmp_path) == (0, "nothing to merge: 1 small run\n")


def test_before_leaves_later_runs_alone(tmp_path: pathlib.Path) -> None:
    commit_runs(tmp_path, last=3)
    assert run("compact", tmp_path, "--before", "2026-01-01") == (0, "nothing to merge: 0 small runs\n")
    assert len(list(tmp_path.glob("videos/*/*.parquet"))) == 3


def test_large_runs_are_left_alone_and_files_have_a_size(tmp_path: pathlib.Path) -> None:
    big = factory.commit_run(tmp_path, 1, [Video(f"big-{i}.mp4") for i in range(20)])
    small = [factory.commit_run(tmp_path, n, [Video(f"{n}-{i}.mp4") for i in range(12)]) for n in range(2, 9)]
    before = answers(tmp_path, [big, *small])
    compact(tmp_path, compaction.compaction_id(), compaction.FileSizes(rows_per_file=60, rows_per_group=20))
    assert (tmp_path / "videos" / f"run={big}").is_dir()
    (folder,) = [path for path in (tmp_path / "clips").iterdir() if COMPACTION in path.name]
    assert [pq.read_metadata(path).num_rows for path in sorted(folder.iterdir())] == [60, 60, 48]
    assert answers(tmp_path, [big, *small]) == before and before["verify"] == 0


def test_rows_that_are_not_those_of_the_json_are_not_compacted(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = commit_runs(tmp_path)
    path = tmp_path / "clips" / f"run={first}" / "part-00000.parquet"
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.slice(1), path)
    assert main(["compact", str(tmp_path)]) == 1
    assert "run `reelbeam verify`" in capsys.readouterr().err
    assert len(list(tmp_path.glob("videos/*/*.parquet"))) == NUM_RUNS
    assert not list(tmp_path.glob(".staging/run=*")), "nothing is left behind"


def test_a_run_in_progress_keeps_compaction_out(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit_runs(tmp_path)
    with OutputLock(LockTicket(str(tmp_path), "another")):
        assert main(["compact", str(tmp_path)]) == 5
    assert "another" in capsys.readouterr().err


class _KilledError(BaseException):
    """Simulates a kill at one step: nothing in the program catches it."""


def cut_off(output: pathlib.Path, stop_at: int) -> list[str]:
    """Compacts up to a step that moves or removes a file or a folder; returns the steps that were done.

    From then on all such steps fail: a process that was killed does not clean up. The lock is released.
    """
    done: list[str] = []

    def step(event: str, arguments: object) -> None:
        if event in ("os.rename", "os.remove", "os.rmdir"):
            if len(done) == stop_at:
                raise _KilledError(event)
            done.append(event)

    found = Output.read(str(output))
    lock = LockTicket(str(output), compaction.compaction_id())
    with OutputLock(lock), contextlib.suppress(_KilledError), audited(step):
        compaction.compact(found, compaction.small_runs(found), lock)
        done.append("end")
    return done


def check_in_between(
    output: pathlib.Path, names: list[str], wanted: dict[str, Any], rows: dict[str, list[str]]
) -> None:
    assert answers(output, names) == wanted
    for table, whole in rows.items():
        seen = globbed(output, table)
        assert len(set(seen)) == len(seen), "no row twice"
        assert set(seen) <= set(whole)


def test_an_interruption_at_any_step_loses_and_doubles_nothing(tmp_path: pathlib.Path) -> None:
    names = commit_runs(tmp_path / "made", last=3)
    wanted = answers(tmp_path / "made", names)
    rows = {table: globbed(tmp_path / "made", table) for table in ("videos", "clips")}
    steps: list[str] = []
    for stop_at in range(100):
        output = tmp_path / f"out-{stop_at}"
        shutil.copytree(tmp_path / "made", output)
        steps = cut_off(output, stop_at)
        check_in_between(output, names, wanted, rows)
        recover(str(output))
        assert {table: globbed(output, table) for table in rows} == rows
        check_in_between(output, names, wanted, rows)
        assert not list(output.glob(".staging/run=*"))
        if "end" in steps:
            break
    assert "end" in steps
    # 3 staged files, the lock, the commit record, the run document; 3 moves
    assert steps.count("os.rename") == 6 + 3
    # 9 old files and the commit record; their folders, and 3 and 1 of staging
    assert (steps.count("os.remove"), steps.count("os.rmdir")) == (9 + 1, 9 + 3 + 1)


@pytest.mark.slow
def test_killed_at_random_moments_and_started_again(tmp_path: pathlib.Path) -> None:
    made = tmp_path / "made"
    names = [factory.commit_run(made, run, [Video(f"{run}-{i}.mp4") for i in range(9)]) for run in range(1, 29)]
    wanted = answers(made, names[:3])
    rows = {table: globbed(made, table) for table in ("videos", "clips")}
    chance = random.Random(5)
    killed = 0
    for attempt in range(3):
        output = tmp_path / f"out-{attempt}"
        shutil.copytree(made, output)
        process = subprocess.Popen(
            program("compact", output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=pathlib.Path(__file__).parents[3],
        )
        wait_for_staging(output, process)
        time.sleep(chance.uniform(0, 0.1))  # any moment will do
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        check_in_between(output, names[:3], wanted, rows)
        assert run("compact", output)[0] == 0
        check_in_between(output, names[:3], wanted, rows)
        assert {table: globbed(output, table) for table in rows} == rows
        assert len(list(output.glob("*/*/*.parquet"))) == 3
    assert killed, "none was killed before its end"


def wait_for_staging(output: pathlib.Path, process: subprocess.Popen[bytes]) -> None:
    """Waits until the compaction has begun to write, or has ended."""
    has_begun = lambda: process.poll() is not None or list(output.glob(".staging/run=*"))  # noqa: E731
    wait_until(has_begun, 60, interval_seconds=0.001)
