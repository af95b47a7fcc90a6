"""Committed runs for tests: rows of the videos table, without labeling anything."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
import record_factory as make

from reelbeam.transforms.output import commits
from reelbeam.transforms.output.ledger import ledger_runs
from reelbeam.transforms.output.run_counts import Counts
from reelbeam.transforms.output.run_document import LabelingKey, RunDocument, RunFacts
from reelbeam.transforms.output.run_files import RunPaths, WrittenFile, summarize_files, to_table, write_atomically
from reelbeam.transforms.records import LabelScore, RunInfo, VideoSummary
from reelbeam.transforms.schemas import SCHEMA_VERSION, TABLES, Row, clip_row, error_row, video_row


def rows(uris: Sequence[str], status: str = "ok", run: RunInfo = make.RUN) -> list[Row]:
    """Returns a row of the videos table for each URI."""
    labels = (LabelScore("left", 0, 0.7, 0.7),) if status == "ok" else ()
    failure = None if status == "ok" else make.failure()
    num_clips = 1 if status == "ok" else 0
    return [
        video_row(VideoSummary(make.video(uri), make.MEDIA, status, labels, 1, num_clips, failure), run) for uri in uris
    ]


def stage(output: pathlib.Path, run_id: str, videos: list[Row], row_group_size: int = 64_000) -> list[WrittenFile]:
    """Writes the tables of a run to its staging folder, as its workers do."""
    paths = RunPaths(str(output), run_id)
    tables = {
        "videos": videos,
        "clips": [clip_row(make.scores(row["video_uri"]), make.RUN) for row in videos if row["status"] == "ok"],
        "errors": [error_row(make.failure(row["video_uri"]), make.RUN) for row in videos if row["status"] != "ok"],
    }
    files = []
    for name in TABLES:
        table = to_table(name, tables[name])
        write_atomically(
            paths.staged(name, 0),
            functools.partial(pq.write_table, table, row_group_size=row_group_size),
        )
        files.append(WrittenFile(name, 0, table.num_rows))
    return files


def summary_of(output: pathlib.Path, run_id: str, files: list[WrittenFile], **more: Any) -> RunDocument:
    """Returns the document of a run."""
    facts = RunFacts.of(dataclasses.replace(make.RUN, run_id=run_id))
    contents = summarize_files(RunPaths(str(output), run_id), files)
    num_videos = contents.counts["videos"]
    document = RunDocument(
        **vars(facts),
        **contents._asdict() | {"counts": Counts(inputs=num_videos, **contents.counts, skipped=0)},
        schema_version=SCHEMA_VERSION,
        finished_at=facts.started_at,
        selected={"new": num_videos},
        skipped={},
    )
    return dataclasses.replace(document, **more)


def commit_rows(
    output: pathlib.Path, run_id: str, videos: list[Row], row_group_size: int = 64_000, **more: Any
) -> None:
    """Commits rows as a run."""
    paths = RunPaths(str(output), run_id)
    files = stage(output, run_id, videos, row_group_size)
    commits.write_commit_record(paths, summary_of(output, run_id, files, **more), files)
    commits.finish(paths)


def ledger_files(output: str, key: LabelingKey) -> list[str]:
    """Returns the files in which the ledger looks for rows of a labeling key."""
    return [path for run in ledger_runs(output, key) for path in run.files("videos")]
