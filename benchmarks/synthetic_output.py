"""Make outputs of any size without labeling anything: random scores, in the schemas and with the commits of runs."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.ledger import SAMPLES
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.job.preparation import check_request, prepare, run_facts
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms.output import commits
from reelbeam.transforms.output.ledger import uri_key
from reelbeam.transforms.output.run_counts import Counts
from reelbeam.transforms.output.run_document import RunDocument, RunFacts
from reelbeam.transforms.output.run_files import (
    RunPaths,
    WrittenFile,
    summarize_files,
    write_atomically,
    write_parquet,
)
from reelbeam.transforms.schemas import SCHEMA_VERSION, TABLES

TOP = 5
_CLASSES = [f"class number {number:03d}" for number in range(600)]
_ROOT = pathlib.Path(__file__).resolve().parents[1]
_SHARES_OF_RUNS = (40, 40, 15, 5)
_PERCENT_FAILED = 2
_PERCENT_RELABELED = 5
_CLIP_MS = 10_000
_ROWS_PER_FILE = 100_000
_FIRST_DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

Places = npt.NDArray[np.int64]
_Columns = Mapping[str, npt.NDArray[np.generic] | pa.Array]


def make_output(output: pathlib.Path, num_videos: int, num_clips: int) -> None:
    """Makes an output of four runs. The two small ones are compacted if they are small enough.

    The last run labels some videos of the first one again. Of each video, there are about as many clips.

    Args:
      output: the folder.
      num_videos: the number of videos.
      num_clips: the number of clips of all videos together, of which failed videos have none.
    """
    facts = _facts(output)
    ends = np.cumsum((0, *_SHARES_OF_RUNS)) * num_videos // 100
    per_video = np.diff(np.arange(num_videos + 1) * num_clips // num_videos)
    for number in range(len(_SHARES_OF_RUNS)):
        videos = np.arange(ends[number], ends[number + 1])
        if number == len(_SHARES_OF_RUNS) - 1:
            videos = np.concatenate([videos, np.arange(num_videos * _PERCENT_RELABELED // 100)])
        day = _FIRST_DAY + datetime.timedelta(days=number)
        run_id, at = f"{day:%Y%m%dT%H%M%SZ}-{number:06x}", day.isoformat()
        facts = dataclasses.replace(facts, run_id=run_id, started_at=at, labeled_at=at)
        _commit_run(output, facts, videos, per_video[videos], np.random.default_rng(number))
    subprocess.run(
        [sys.executable, "-m", "reelbeam", "compact", str(output)], cwd=_ROOT, check=True, capture_output=True
    )


def _facts(output: pathlib.Path) -> RunFacts:
    """Returns the facts and the configuration of a run with the bundled model."""
    args, beam_flags = options.parse_flags([str(SAMPLES), "--model=demo", "--output", str(output)])
    prepared = prepare(check_request(options.to_config(args), runner_of(beam_flags)))
    return run_facts(prepared.config, prepared.run)


def _commit_run(
    output: pathlib.Path, facts: RunFacts, videos: Places, num_clips: Places, random: np.random.Generator
) -> None:
    paths = RunPaths(str(output), facts.run_id)
    num_clips = np.where(random.integers(100, size=len(videos)) < _PERCENT_FAILED, 0, num_clips)
    labels = (random.zipf(1.3, len(videos)) - 1) % len(_CLASSES)
    files = []
    for start in range(0, max(1, len(videos)), _ROWS_PER_FILE // TOP):
        share = slice(start, start + _ROWS_PER_FILE // TOP)
        tables = _tables(facts, videos[share], num_clips[share], labels[share], random)
        for name, table in tables:
            shard = start // (_ROWS_PER_FILE // TOP)
            write_atomically(paths.staged(name, shard), functools.partial(write_parquet, table))
            files.append(WrittenFile(name, shard, table.num_rows))
    contents = summarize_files(paths, files)
    document = RunDocument(
        **vars(facts),
        **contents._asdict() | {"counts": Counts(inputs=len(videos), **contents.counts, skipped=0)},
        schema_version=SCHEMA_VERSION,
        finished_at=facts.started_at,
        selected={"new": len(videos)},
        skipped={},
    )
    commits.write_commit_record(paths, document, files)
    commits.finish(paths)


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """The videos of some files, and their clips.

    Attributes:
      uris: the URI of each video.
      is_failed: whether a video has no clips.
      num_clips: the number of clips of each video.
      of_clips: the place of the video of each clip.
      best: the class of each clip.
      scores: of the classes of each clip, [clips, TOP], the greatest first.
    """

    uris: pa.Array
    is_failed: npt.NDArray[np.bool_]
    num_clips: Places
    of_clips: Places
    best: Places
    scores: npt.NDArray[np.float32]

    @property
    def first_clips(self) -> Places:
        """For each video, the place of its first clip; any place for a failed video."""
        return np.minimum(np.cumsum(self.num_clips) - self.num_clips, max(0, len(self.of_clips) - 1))


def _tables(
    facts: RunFacts, videos: Places, num_clips: Places, labels: Places, random: np.random.Generator
) -> Iterator[tuple[str, pa.Table]]:
    """Yields the tables of some videos."""
    of_clips = np.repeat(np.arange(len(videos)), num_clips)
    sure = random.random(len(of_clips)) < 0.8
    drawn = _Drawn(
        uris=pa.array([f"/data/videos/{video // 1000:05d}/video_{video:08d}.mp4" for video in videos]),
        is_failed=num_clips == 0,
        num_clips=num_clips,
        of_clips=of_clips,
        best=np.where(sure, labels[of_clips], random.integers(len(_CLASSES), size=len(of_clips))),
        scores=np.sort(random.dirichlet([0.3] * TOP, len(of_clips)).astype(np.float32), axis=1)[:, ::-1],
    )
    clip_columns = _clip_columns(drawn, random)
    codes = np.array(["corrupt_video", "no_frames", "decoder_timeout"])[random.integers(3, size=len(videos))]
    best, scores, first = drawn.best, drawn.scores, drawn.first_clips
    of_videos = _labels("videos", best[first], scores[first], ~drawn.is_failed)
    yield "videos", _table("videos", facts, _video_columns(drawn, codes, facts.started_at, random), of_videos)
    yield "clips", _table("clips", facts, clip_columns, _labels("clips", best, scores, np.ones(len(best), bool)))
    yield "errors", _table("errors", facts, _error_columns(drawn, codes), {})


def _clip_columns(drawn: _Drawn, random: np.random.Generator) -> _Columns:
    num_clips, scores = drawn.num_clips, drawn.scores
    starts = (np.arange(len(scores)) - np.repeat(np.cumsum(num_clips) - num_clips, num_clips)) * _CLIP_MS
    return {
        "video_uri": drawn.uris.take(pa.array(drawn.of_clips)),
        "clip_index": starts // _CLIP_MS,
        "start_ms": starts,
        "end_ms": starts + _CLIP_MS,
        "entropy": -(scores * np.log(np.maximum(scores, 1e-9))).sum(axis=1),
        "log_sum_exp": random.normal(12, 2, len(scores)),
        "num_frames": np.full(len(scores), 50),
        "num_real_frames": np.full(len(scores), 50),
    }


def _video_columns(
    drawn: _Drawn, codes: npt.NDArray[np.str_], started_at: str, random: np.random.Generator
) -> _Columns:
    uris, is_failed, num_clips = drawn.uris, drawn.is_failed, drawn.num_clips
    return {
        "video_uri": uris,
        "status": np.where(is_failed, "failed", "ok"),
        "num_planned_clips": np.maximum(num_clips, 1),
        "num_clips": num_clips,
        "error_code": pa.array(codes, mask=~is_failed),
        "error_message": _messages(drawn),
        "duration_ms": np.maximum(num_clips, 1) * _CLIP_MS,
        "width": np.full(len(uris), 1280),
        "height": random.choice([360, 720, 1080], len(uris)),
        "codec": random.choice(["h264", "hevc", "vp9"], len(uris)),
        "container": np.full(len(uris), "mov,mp4,m4a,3gp,3g2,mj2"),
        "size_bytes": random.integers(1_000_000, 100_000_000, len(uris)),
        "content_version": np.full(len(uris), "mtime:1.0"),
        "uri_key": np.array([uri_key(uri) for uri in uris.to_pylist()], np.int64),
        "labeled_at": pa.array([datetime.datetime.fromisoformat(started_at)] * len(uris), pa.timestamp("us", "UTC")),
        "transient": np.zeros(len(uris), bool),
    }


def _error_columns(drawn: _Drawn, codes: npt.NDArray[np.str_]) -> _Columns:
    num_failed = int(drawn.is_failed.sum())
    return {
        "video_uri": drawn.uris.filter(pa.array(drawn.is_failed)),
        "stage": np.full(num_failed, "decode"),
        "code": codes[drawn.is_failed],
        "message": _messages(drawn).drop_null(),
        "transient": np.zeros(num_failed, bool),
    }


def _messages(drawn: _Drawn) -> pa.Array:
    return pa.array([f"{uri}: synthetic failure" for uri in drawn.uris.to_pylist()], mask=~drawn.is_failed)


def _labels(
    table: str, best: Places, scores: npt.NDArray[np.float32], has_labels: npt.NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """Returns the columns with labels. The others of a clip are the next classes."""
    classes = (best[:, None] + np.arange(TOP)) % len(_CLASSES)
    names = pa.array(_CLASSES).take(pa.array(classes[has_labels].ravel()))
    kind = TABLES[table].field("labels").type
    values = scores[has_labels].ravel()
    fields = {"label": names, "class_id": classes[has_labels].ravel(), "score": values, "max_score": values}
    entries = pa.StructArray.from_arrays(
        [pa.array(fields[field.name], field.type) for field in kind.value_type], fields=list(kind.value_type)
    )
    offsets = np.concatenate([[0], np.cumsum(has_labels * TOP)])
    return {
        "labels": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), entries, type=kind),
        "top_label": pa.array(np.array(_CLASSES)[best], mask=~has_labels),
        "top_score": pa.array(scores[:, 0], mask=~has_labels),
    }


def _table(name: str, facts: RunFacts, columns: _Columns, labels: dict[str, pa.Array]) -> pa.Table:
    """Returns a table of the schema; columns that are not given have the run's value, or null."""
    num_rows = len(columns["video_uri"])
    given = {**columns, **labels}
    run = vars(facts) | {"attempts": 1, "schema_version": SCHEMA_VERSION}
    arrays = []
    for field in TABLES[name]:
        if field.name in given:
            arrays.append(pa.array(given[field.name], field.type))
        elif field.name == "metadata":
            arrays.append(pa.array([[]] * num_rows, field.type))
        else:
            arrays.append(pa.array([run.get(field.name)] * num_rows, field.type))
    return pa.Table.from_arrays(arrays, schema=TABLES[name])
