"""Outputs for tests of the report's content: rows whose columns a test sets, in files and an order of its choice."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

import output_factory as factory
import pyarrow as pa
import record_factory as make

from reelbeam.transforms.output.report_content.clip_choice import ContentOptions
from reelbeam.transforms.output.report_content.content import Content
from reelbeam.transforms.output.report_content.make_content import make_content
from reelbeam.transforms.output.report_content.shown_clips import ShownClip
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.run_commit import CommitConfig, RunResults, commit
from reelbeam.transforms.output.run_document import RunFacts
from reelbeam.transforms.output.run_files import RunPaths, WrittenFile, to_table, write_atomically, write_parquet
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.records import RunInfo, VideoSummary, stable_hash
from reelbeam.transforms.records.time_range import input_key
from reelbeam.transforms.schemas import RANGE, TABLES, URI_KEY, Row, clip_row, video_row

CLIP_MS = 2000
NO_RESULTS: Mapping[str, Any] = {}


def clip(uri: str, index: int, *scores: tuple[str, float], **columns: Any) -> Row:
    """Returns a row of the clips table: two seconds, with these labels, the best first."""
    labels = [{"label": label, "class_id": number, "score": score} for number, (label, score) in enumerate(scores)]
    best = {"top_label": scores[0][0], "top_score": scores[0][1]} if scores else {"top_label": None, "top_score": None}
    row = clip_row(make.scores(uri, index), make.RUN)
    times = {"start_ms": index * CLIP_MS, "end_ms": (index + 1) * CLIP_MS}
    return row | best | times | {"video_uri": uri, "labels": labels} | columns


def video(uri: str, clips: Sequence[Row], **columns: Any) -> Row:
    """Returns the row of a video with these clips: its label is that of the first one. Without clips, it failed."""
    failure = None if clips else make.failure(uri)
    status = "ok" if clips else "failed"
    row = video_row(
        VideoSummary(make.video(uri), make.MEDIA, status, (), max(1, len(clips)), len(clips), failure), make.RUN
    )
    if clips:
        row |= {name: clips[0][name] for name in ("top_label", "top_score")}
    row |= {"duration_ms": len(clips) * CLIP_MS} | columns
    return row | {"uri_key": stable_hash(input_key(uri, *(row[name] for name in RANGE)), URI_KEY)}


def videos_of(clips: Sequence[Row]) -> list[Row]:
    """Returns a row for each video of the clips."""
    found: dict[str, list[Row]] = {}
    for row in clips:
        found.setdefault(row["video_uri"], []).append(row)
    return [video(uri, mine) for uri, mine in found.items()]


def commit_run(
    output: pathlib.Path,
    number: int,
    clips: Sequence[Row],
    videos: Sequence[Row] | None = None,
    num_files: int = 1,
    shuffled: int | None = None,
    results: Mapping[str, Any] = NO_RESULTS,
    configuration: Mapping[str, object] = NO_RESULTS,
    **facts: Any,
) -> str:
    """Commits run number `number`; returns its name.

    Args:
      output: the folder.
      number: from 1.
      clips: the rows of the clips table.
      videos: the rows of the videos table; None: those of the clips.
      num_files: the number of files of a table.
      shuffled: the seed of the order of the rows; None: as workers write them.
      results: fields of `RunResults`, such as `ignored`.
      configuration: the values of flags in the run's JSON.
      facts: fields of `RunInfo`, such as `model`.
    """
    run = dataclasses.replace(factory.run_info(number), **facts)
    tables = {"videos": list(videos_of(clips) if videos is None else videos), "clips": list(clips), "errors": []}
    paths = RunPaths(str(output), run.run_id)
    written = []
    for name, rows in tables.items():
        written += _write(paths, name, [row | _of_run(name, run) for row in rows], num_files, shuffled)
    num_inputs = len(tables["videos"])
    more = {"outcomes": {"new": num_inputs}} | dict(results)
    written_facts = dataclasses.replace(RunFacts.of(run), configuration=configuration)
    config = CommitConfig(paths=paths, facts=written_facts, max_failure_ratio=1.0)
    commit(config, RunResults(files=written, num_inputs=sum(more["outcomes"].values()), **more))
    return run.run_id


def _write(paths: RunPaths, name: str, rows: list[Row], num_files: int, shuffled: int | None) -> list[WrittenFile]:
    """Writes a table."""
    if shuffled is not None:
        random.Random(shuffled).shuffle(rows)
    written = []
    for shard in range(num_files):
        table = to_table(name, rows[shard::num_files])
        if shuffled is not None:
            places = list(range(table.num_rows))
            random.Random(shuffled).shuffle(places)
            table = table.take(pa.array(places, pa.int64()))
        write_atomically(paths.staged(name, shard), functools.partial(write_parquet, table))
        written.append(WrittenFile(name, shard, table.num_rows))
    return written


def _of_run(table: str, run: RunInfo) -> Row:
    if table != "videos":
        return {"run_id": run.run_id}
    names = [name for name in TABLES["videos"].names if name in vars(run) and name != "labeled_at"]
    times = video_row(VideoSummary(make.video(), None, "ok", (), 1, 1, None), run)
    return {name: getattr(run, name) for name in names} | {"labeled_at": times["labeled_at"]}


def content_of(output: pathlib.Path, **options: Any) -> Content:
    """Returns the content of the current rows."""
    return make_content(ShownRows.current(Output.read(str(output))), ContentOptions(**options))


def places(clips: Sequence[ShownClip]) -> list[tuple[str, int]]:
    """Returns the videos and the indices of clips."""
    return [(each.key.video_uri, each.key.clip_index) for each in clips]
