"""WriteResults: tables, the check of what was written, and the commit."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import BinaryIO

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
import record_factory as make
from local_pipeline import LocalPipeline

from reelbeam.transforms import write_results
from reelbeam.transforms.errors import ReconciliationError, TooManyFailuresError
from reelbeam.transforms.output.run_commit import CommitConfig, check
from reelbeam.transforms.output.run_counts import Counts, RunCost
from reelbeam.transforms.output.run_document import RunFacts
from reelbeam.transforms.output.run_files import RunPaths, write_atomically
from reelbeam.transforms.records import VideoSummary
from reelbeam.transforms.schemas import SCHEMA_VERSION, TABLES, Row, clip_row, error_row, tables_of_run, video_row
from reelbeam.transforms.wording import counted
from reelbeam.transforms.write_results import MAX_ROWS_PER_FILE, ResultCollections, WriteResults

RUN = "r1"


def video(uri: str, status: str = "ok", num_clips: int = 1) -> Row:
    failed = None if status == "ok" else make.failure(uri)
    labels = make.scores().labels if num_clips else ()
    labels = tuple(type(x)(x.label, x.class_id, x.score, x.score) for x in labels)
    summary = VideoSummary(make.video(uri), make.MEDIA, status, labels, 1, num_clips, failed)
    return video_row(summary, make.RUN)


def rows(num_ok: int, num_failed: int = 0) -> dict[str, list[Row]]:
    ok, failed = [f"ok-{i:03d}.mp4" for i in range(num_ok)], [f"bad-{i:03d}.mp4" for i in range(num_failed)]
    return {
        "videos": [video(uri) for uri in reversed(ok)] + [video(uri, "failed", 0) for uri in failed],
        "clips": [clip_row(make.scores(uri), make.RUN) for uri in reversed(ok)],
        "errors": [error_row(make.failure(uri), make.RUN) for uri in failed],
    }


def write(
    output: pathlib.Path,
    tables: dict[str, list[Row]],
    ratio: float = 0.5,
    num_inputs: int = 0,
    outcomes: dict[str, int] | None = None,
    num_known_good: int = 0,
    max_rows_per_file: int = MAX_ROWS_PER_FILE,
) -> None:
    with LocalPipeline() as pipeline:
        num_inputs = num_inputs or len(tables["videos"]) + sum((outcomes or {}).values())
        config = CommitConfig(
            paths=RunPaths(str(output), RUN),
            facts=RunFacts.of(dataclasses.replace(make.RUN, run_id=RUN)),
            max_failure_ratio=ratio,
            num_known_good=num_known_good,
        )
        results = ResultCollections(
            **{name: pipeline | f"Rows_{name}" >> beam.Create(table) for name, table in tables.items()},
            num_inputs=pipeline | "Inputs" >> beam.Create([num_inputs]),
            outcomes=pipeline | "Outcomes" >> beam.Create(list((outcomes or {}).items())),
            ignored=pipeline | "Ignored" >> beam.Create([]),
            num_excused=pipeline | "Excused" >> beam.Create([0]),
            cost=pipeline | "Cost" >> beam.Create([RunCost(1.5, 0.25)]),
        )
        results | WriteResults(config, max_rows_per_file=max_rows_per_file)


def counts_of(given: dict[str, int]) -> Counts:
    return Counts(**dict.fromkeys((field.name for field in dataclasses.fields(Counts)), 0) | given)


def files(output: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())


def test_a_run_is_three_sorted_tables_and_its_json(tmp_path: pathlib.Path) -> None:
    write(tmp_path, rows(num_ok=5, num_failed=1))
    assert files(tmp_path) == [
        "clips/run=r1/part-00000.parquet",
        "errors/run=r1/part-00000.parquet",
        "runs/r1.json",
        "videos/run=r1/part-00000.parquet",
    ]
    for name, schema in TABLES.items():
        table = pq.read_table(tmp_path / name / "run=r1" / "part-00000.parquet", partitioning=None)
        assert table.schema.equals(schema)
        assert table.schema.metadata[b"reelbeam.schema_version"] == str(SCHEMA_VERSION).encode()
        assert table["video_uri"].to_pylist() == sorted(table["video_uri"].to_pylist())
    summary = json.loads((tmp_path / "runs/r1.json").read_text())
    wanted = {"videos": 6, "ok": 5, "partial": 0, "failed": 1, "clips": 5, "video_ms": 24_000}
    assert {name: summary["counts"][name] for name in wanted} == wanted
    assert summary["errors"] == [
        {"code": "corrupt_video", "count": 1, "video_uri": "bad-000.mp4", "message": "bad-000.mp4: broken"}
    ]
    assert summary["labels"] == [{"label": "left", "videos": 5}]


def test_a_repeated_run_writes_the_same_bytes(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a", rows(num_ok=20))
    write(tmp_path / "b", {name: list(reversed(table)) for name, table in rows(num_ok=20).items()})
    for name in TABLES:
        part = f"{name}/run=r1/part-00000.parquet"
        assert (tmp_path / "a" / part).read_bytes() == (tmp_path / "b" / part).read_bytes()


def test_many_rows_are_spread_over_files_and_none_is_lost(tmp_path: pathlib.Path) -> None:
    write(tmp_path, rows(num_ok=35), max_rows_per_file=10)
    parts = [pq.read_table(path, partitioning=None) for path in sorted((tmp_path / "clips").rglob("*.parquet"))]
    assert len(parts) == 4
    uris = [uri for part in parts for uri in part["video_uri"].to_pylist()]
    assert sorted(uris) == [f"ok-{i:03d}.mp4" for i in range(35)]


def test_a_long_film_among_others_comes_out_whole(tmp_path: pathlib.Path) -> None:
    tables = rows(num_ok=3)
    num_clips = 2 * write_results._MAX_ROWS_PER_BLOCK + 5
    film = [clip_row(make.scores("film.mp4", index), make.RUN) for index in range(num_clips)]
    tables["videos"].append(video("film.mp4", num_clips=num_clips) | {"num_planned_clips": num_clips})
    tables["clips"] = [*film[:100], *tables["clips"], *reversed(film[100:])]
    write(tmp_path, tables)
    found = pq.read_table(tmp_path / "clips/run=r1/part-00000.parquet", partitioning=None).to_pylist()
    assert [row["clip_index"] for row in found if row["video_uri"] == "film.mp4"] == list(range(num_clips))
    assert len(found) == num_clips + 3


def test_files_with_embeddings_have_fewer_rows() -> None:
    wide = tables_of_run(num_logits=600, embedding_size=2048)["clips"]
    assert write_results.rows_per_file(wide) == (64 << 20) // (2 * (600 + 2048))
    assert write_results.rows_per_file(TABLES["clips"]) == MAX_ROWS_PER_FILE


def test_an_empty_table_has_a_file_that_can_be_queried(tmp_path: pathlib.Path) -> None:
    write(tmp_path, rows(num_ok=1))
    assert pq.read_table(tmp_path / "errors/run=r1/part-00000.parquet", partitioning=None).num_rows == 0


@pytest.mark.parametrize(("ratio", "committed"), [(0.5, True), (0.49, False)])
def test_too_many_failures_commit_nothing(tmp_path: pathlib.Path, ratio: float, committed: bool) -> None:
    if committed:
        write(tmp_path, rows(num_ok=2, num_failed=2), ratio)
    else:
        with pytest.raises(RuntimeError, match="2 of 4 inputs failed, more than --max_failure_ratio 0.49 allows"):
            write(tmp_path, rows(num_ok=2, num_failed=2), ratio)
        record = json.loads((tmp_path / ".staging/run=r1/failed.json").read_text())
        assert record["rejection"]["code"] == TooManyFailuresError.code
    assert bool(list(tmp_path.glob("runs/*.json"))) == committed
    assert bool(list(tmp_path.rglob("*.parquet"))) == committed


def test_rows_that_do_not_add_up_commit_nothing(tmp_path: pathlib.Path) -> None:
    tables = rows(num_ok=3)
    with pytest.raises(RuntimeError, match="clip rows do not add up"):
        write(tmp_path, tables | {"clips": tables["clips"][:-1]})
    with pytest.raises(RuntimeError, match="4 inputs, but the videos table has"):
        write(tmp_path, tables, num_inputs=4)
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    "change",
    [{"inputs": 6}, {"skipped": 1}, {"failed": 1}, {"clips": 2}, {"ok_videos_without_all_clips": 1}],
)
def test_every_way_not_to_add_up(change: dict[str, int]) -> None:
    counts = {"inputs": 5, "skipped": 2, "videos": 3, "ok": 3, "partial": 0, "failed": 0, "clips": 3, "video_clips": 3}
    counts |= {"ok_videos_without_all_clips": 0, "first_attempts": 3, "failed_first_attempts": 0}
    check(counts_of(counts), max_failure_ratio=0.0)
    with pytest.raises(ReconciliationError):
        check(counts_of(counts | change), max_failure_ratio=1.0)


@pytest.mark.parametrize(
    ("failed", "tried", "num_labeled", "ratio", "refused"),
    [
        (1, 1, 0, 0.5, True),  # the only video there is
        (1, 1, 1000, 0.5, False),  # the only new video of a run fails
        (20, 20, 1000, 0.5, False),
        (21, 21, 1000, 0.5, True),  # too many to be chance, however many are labeled
        (500, 1000, 0, 0.5, False),
        (501, 1000, 0, 0.5, True),
        (1, 1000, 1000, 0.0, True),
        (0, 0, 0, 0.0, False),  # nothing but videos that are tried again
    ],
)
def test_which_share_of_failures_refuses_a_run(
    failed: int, tried: int, num_labeled: int, ratio: float, refused: bool
) -> None:
    counts = dict.fromkeys(("ok", "partial", "clips", "video_clips", "ok_videos_without_all_clips"), 0)
    retried = 7
    counts |= {"videos": tried + retried, "ok": tried - failed, "failed": failed + retried, "skipped": num_labeled}
    counts |= {"inputs": tried + retried + num_labeled, "first_attempts": tried, "failed_first_attempts": failed}
    if not refused:
        check(counts_of(counts), max_failure_ratio=ratio, num_known_good=num_labeled)
        return
    with pytest.raises(TooManyFailuresError, match=f"{failed} of {counted(tried, 'input')} failed"):
        check(counts_of(counts), max_failure_ratio=ratio, num_known_good=num_labeled)


def test_labeled_videos_of_earlier_parts_count_as_successes(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="1 of 1 input failed"):
        write(tmp_path, rows(num_ok=0, num_failed=1))
    write(tmp_path, rows(num_ok=0, num_failed=1), num_known_good=5000)
    assert (tmp_path / "runs/r1.json").exists()


def test_selected_and_skipped_videos_are_counted_by_reason(tmp_path: pathlib.Path) -> None:
    write(tmp_path, rows(num_ok=2), num_inputs=9, outcomes={"new": 2, "already_labeled": 6, "failed_before": 1})
    summary = json.loads((tmp_path / "runs/r1.json").read_text())
    assert summary["selected"] == {"new": 2}
    assert summary["skipped"] == {"already_labeled": 6, "failed_before": 1}
    assert (summary["counts"]["inputs"], summary["counts"]["skipped"], summary["counts"]["videos"]) == (9, 7, 2)


def test_a_write_that_breaks_off_leaves_no_file_of_that_name(tmp_path: pathlib.Path) -> None:
    def write_half(sink: BinaryIO) -> None:
        sink.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(str(tmp_path / "t/part.parquet"), write_half)
    assert not (tmp_path / "t/part.parquet").exists()
