"""Outputs of committed runs, written and committed by the same code as any run's, without a pipeline around it."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import pickle
from typing import NamedTuple

import record_factory as make

from reelbeam.transforms.output.run_commit import CommitConfig, RunResults, commit
from reelbeam.transforms.output.run_document import RunFacts
from reelbeam.transforms.output.run_files import RunPaths, WrittenFile, to_table, write_atomically, write_parquet
from reelbeam.transforms.records import LabelScore, RunInfo, VideoRef, VideoSummary
from reelbeam.transforms.schemas import Row, clip_row, error_row, tables_of_run, video_row


class Video(NamedTuple):
    """One video of a run: its name, its label (None: it fails), how many clips it has, its version."""

    uri: str
    label: str | None = "left"
    num_clips: int = 2
    version: str = "mtime:1.0"
    code: str = "corrupt_video"


class Sizes(NamedTuple):
    """Sizes of the optional columns of the clips; None: the column is absent."""

    logits: int | None = None
    embedding: int | None = None


NO_SIZES = Sizes()


def run_info(number: int, model: str = "m0") -> RunInfo:
    """Returns run number `number`, from 1."""
    return dataclasses.replace(
        make.RUN,
        run_id=f"202601{number:02d}T000000Z-{number:06x}",
        started_at=f"2026-01-{number:02d}T00:00:00+00:00",
        model_fingerprint=model,
    )


def rows_of(run: RunInfo, videos: list[Video]) -> dict[str, list[Row]]:
    """Rows of the three tables."""
    tables: dict[str, list[Row]] = {"videos": [], "clips": [], "errors": []}
    for video in videos:
        failed = None if video.label else make.failure(video.uri, video.code)
        labels: tuple[LabelScore, ...] = ()
        if video.label:
            values = tuple(0.8 if name == video.label else 0.1 for name in make.LABELS)
            class_id = make.LABELS.index(video.label)
            labels = (LabelScore(video.label, class_id, 0.8, 0.8),)
            tables["clips"] += [clip_row(make.scores(video.uri, i, values), run) for i in range(video.num_clips)]
        num_clips = video.num_clips if video.label else 0
        ref = VideoRef(video.uri, 1000, video.version)
        status = "ok" if video.label else "failed"
        summary = VideoSummary(ref, make.MEDIA, status, labels, video.num_clips, num_clips, failed)
        tables["videos"].append(video_row(summary, run))
        tables["errors"] += [error_row(failed, run)] if failed else []
    return tables


def stage(
    output: pathlib.Path | str, run: RunInfo, videos: list[Video], num_files: int = 1, sizes: Sizes = NO_SIZES
) -> list[WrittenFile]:
    """Writes the files of a run into its staging folder."""
    paths = RunPaths(str(output), run.run_id)
    written = []
    schemas = pickle.loads(pickle.dumps(tables_of_run(sizes.logits, sizes.embedding)))  # as they come to workers
    for name, rows in rows_of(run, videos).items():
        if name == "clips":
            for number, row in enumerate(rows):
                row |= {field: [number + 0.5] * size for field, size in sizes._asdict().items() if size}
        for shard in range(num_files):
            table = to_table(name, rows[shard::num_files], schemas[name])
            write_atomically(paths.staged(name, shard), functools.partial(write_parquet, table))
            written.append(WrittenFile(name, shard, table.num_rows))
    return written


def commit_run(
    output: pathlib.Path | str,
    number: int,
    videos: list[Video],
    model: str = "m0",
    skipped: dict[str, int] | None = None,
    num_files: int = 1,
    sizes: Sizes = NO_SIZES,
) -> str:
    """Commits a run; returns its name."""
    return commit_as(output, run_info(number, model), videos, skipped, num_files, sizes)


def commit_as(
    output: pathlib.Path | str,
    run: RunInfo,
    videos: list[Video],
    skipped: dict[str, int] | None = None,
    num_files: int = 1,
    sizes: Sizes = NO_SIZES,
) -> str:
    """Commits a run of any name; returns it."""
    outcomes = {"new": len(videos)} | (skipped or {})
    written = stage(output, run, videos, num_files, sizes)
    config = CommitConfig(paths=RunPaths(str(output), run.run_id), facts=RunFacts.of(run), max_failure_ratio=1.0)
    commit(config, RunResults(files=written, num_inputs=sum(outcomes.values()), outcomes=outcomes))
    return run.run_id
