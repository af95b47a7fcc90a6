"""A commit that is interrupted at any step is completed or removed by the next run, and never visible in between."""

from __future__ import annotations

import json
import pathlib
import shutil

import ledger_factory as ledger_of
import pytest

from reelbeam.transforms.output import commits, runs
from reelbeam.transforms.output.run_files import RunPaths

URIS = ["/a.mp4", "/b.mp4"]


def files(output: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())


COMMITTED = [
    "clips/run=r1/part-00000.parquet",
    "errors/run=r1/part-00000.parquet",
    "runs/r1.json",
    "videos/run=r1/part-00000.parquet",
]


@pytest.mark.parametrize("num_moves", range(4))
@pytest.mark.parametrize("marked", [False, True])
def test_a_commit_with_a_record_is_completed(tmp_path: pathlib.Path, num_moves: int, marked: bool) -> None:
    """Every state in which a killed commit can leave an output: the files moved, and whether the run's JSON exists."""
    paths = RunPaths(str(tmp_path), "r1")
    written = ledger_of.stage(tmp_path, "r1", ledger_of.rows(URIS))
    commits.write_commit_record(paths, ledger_of.summary_of(tmp_path, "r1", written), written)
    record = json.loads(pathlib.Path(paths.commit_record).read_text())
    for table, shard in record["moves"][: 3 if marked else num_moves]:
        final = pathlib.Path(paths.final(table, shard))
        final.parent.mkdir(parents=True)
        pathlib.Path(paths.staged(table, shard)).rename(final)
    if marked:
        document = pathlib.Path(paths.document)
        document.parent.mkdir()
        document.write_text(json.dumps(record["summary"]))
    assert commits.recover(str(tmp_path)) == commits.Recovered(["r1"], [])
    assert files(tmp_path) == COMMITTED
    ((_, summary, _),) = runs.committed_runs(str(tmp_path))
    assert summary.counts.videos == 2
    assert commits.recover(str(tmp_path)) == commits.Recovered([], [])


def test_videos_are_moved_last(tmp_path: pathlib.Path) -> None:
    paths = RunPaths(str(tmp_path), "r1")
    written = ledger_of.stage(tmp_path, "r1", ledger_of.rows(URIS))
    commits.write_commit_record(paths, ledger_of.summary_of(tmp_path, "r1", written), written)
    moves = json.loads(pathlib.Path(paths.commit_record).read_text())["moves"]
    assert [table for table, _ in moves] == ["clips", "errors", "videos"]


@pytest.mark.parametrize("num_tables", range(4))
def test_a_run_without_a_commit_record_is_removed(tmp_path: pathlib.Path, num_tables: int) -> None:
    ledger_of.commit_rows(tmp_path, "r1", ledger_of.rows(URIS))
    before = files(tmp_path)
    ledger_of.stage(tmp_path, "r2", ledger_of.rows(URIS))
    staging = tmp_path / ".staging/run=r2"
    for table in ("clips", "errors", "videos")[num_tables:]:
        shutil.rmtree(staging / table)
    (staging / ".draft-0123").write_bytes(b'{"half a record')
    assert not [path for path in tmp_path.glob("*/*/*.parquet") if "run=r1" not in str(path)]
    assert commits.recover(str(tmp_path)) == commits.Recovered([], ["r2"])
    assert files(tmp_path) == before


def test_a_finished_commit_that_is_repeated_changes_nothing(tmp_path: pathlib.Path) -> None:
    ledger_of.commit_rows(tmp_path, "r1", ledger_of.rows(URIS))
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    summary = commits.finish(RunPaths(str(tmp_path), "r1"))
    assert summary is not None and summary.run_id == "r1"
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    assert commits.finish(RunPaths(str(tmp_path), "r2")) is None


@pytest.mark.parametrize("num_moves", range(3))
def test_a_commit_record_of_missing_files_blocks_no_run(tmp_path: pathlib.Path, num_moves: int) -> None:
    """A suspended run whose staging folder another run removed, and which then wrote its record and moved the rest."""
    paths = RunPaths(str(tmp_path), "r1")
    written = ledger_of.stage(tmp_path, "r1", ledger_of.rows(URIS))
    commits.write_commit_record(paths, ledger_of.summary_of(tmp_path, "r1", written), written)
    moves = json.loads(pathlib.Path(paths.commit_record).read_text())["moves"]
    for number, (table, shard) in enumerate(moves):
        final = pathlib.Path(paths.final(table, shard))
        final.parent.mkdir(parents=True)
        staged = pathlib.Path(paths.staged(table, shard))
        staged.rename(final) if number < num_moves else staged.unlink()
    assert commits.recover(str(tmp_path)) == commits.Recovered([], ["r1"])
    assert files(tmp_path) == []
