"""The Arrow schemas of the three tables, and the conversion of records to rows. No Beam.

The tables are an interface: columns are added, never renamed. `SCHEMA_VERSION` increases with changes that readers must
know. DuckDB, pandas, Spark and BigQuery read the tables directly. `run=RUN_ID` in the path is a Hive partition column.
"""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa

from reelbeam.transforms.records import (
    NOTHING_RECOGNIZED,
    ClipScores,
    Failure,
    LabelerFacts,
    LabelScore,
    RunInfo,
    VideoSummary,
    stable_hash,
)
from reelbeam.transforms.records.time_range import TimeRange
from reelbeam.transforms.redaction import bare_uri, without_query

SCHEMA_VERSION = 4
"""The version of the tables and of the run documents. Outputs of other versions are not read."""

URI_KEY = "ledger"
"""The purpose of the hash in `uri_key`, with which a search for some videos reads 8 bytes for each other video."""

AGE = ("labeled_at", "attempts", "run_id")
"""The columns that order the rows of a video. The row with the highest values is its last row, for the ledger, for
`status` and for the views."""

RANGE = ("range_start_ms", "range_end_ms")
"""The columns with the range of a video that a row describes; both null for the whole video."""

Row = dict[str, Any]

_CLIP_LABEL = [
    pa.field("label", pa.string(), nullable=False),
    pa.field("class_id", pa.int32(), nullable=False),
    pa.field("score", pa.float32(), nullable=False),
]
_VIDEO_LABEL = [*_CLIP_LABEL, pa.field("max_score", pa.float32(), nullable=False)]


def _list_of(fields: list[pa.Field]) -> pa.ListType:
    # Parquet's name is "element". Arrow's default "item" would be renamed when read back.
    return pa.list_(pa.field("element", pa.struct(fields), nullable=False))


def _schema(*fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"reelbeam.schema_version": str(SCHEMA_VERSION)})


_RANGE = [pa.field(name, pa.int64()) for name in RANGE]

VIDEOS = _schema(
    pa.field("video_uri", pa.string(), nullable=False),
    *_RANGE,
    pa.field("status", pa.string(), nullable=False),
    pa.field("top_label", pa.string()),
    pa.field("top_score", pa.float32()),
    pa.field("labels", _list_of(_VIDEO_LABEL), nullable=False),
    pa.field("num_planned_clips", pa.int32(), nullable=False),
    pa.field("num_clips", pa.int32(), nullable=False),
    pa.field("error_code", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("duration_ms", pa.int64()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("rotation_degrees", pa.int32()),
    pa.field("source_fps", pa.float64()),
    pa.field("num_frames", pa.int64()),
    pa.field("num_discontinuities", pa.int32()),
    pa.field("codec", pa.string()),
    pa.field("container", pa.string()),
    pa.field("num_video_streams", pa.int32()),
    pa.field("has_audio", pa.bool_()),
    pa.field("size_bytes", pa.int64()),
    pa.field("content_version", pa.string(), nullable=False),
    pa.field("metadata", pa.map_(pa.string(), pa.string()), nullable=False),
    pa.field("model", pa.string(), nullable=False),
    pa.field("model_fingerprint", pa.string(), nullable=False),
    pa.field("label_map_fingerprint", pa.string(), nullable=False),
    pa.field("sampling_fingerprint", pa.string(), nullable=False),
    pa.field("engine", pa.string(), nullable=False),
    pa.field("precision", pa.string(), nullable=False),
    pa.field("output_activation", pa.string(), nullable=False),
    pa.field("decoder_version", pa.string(), nullable=False),
    pa.field("attempts", pa.int32(), nullable=False),
    pa.field("transient", pa.bool_(), nullable=False),
    pa.field("uri_key", pa.int64(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("labeled_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("schema_version", pa.int32(), nullable=False),
)

CLIPS = _schema(
    pa.field("video_uri", pa.string(), nullable=False),
    *_RANGE,
    pa.field("clip_index", pa.int32(), nullable=False),
    pa.field("start_ms", pa.int64(), nullable=False),
    pa.field("end_ms", pa.int64(), nullable=False),
    pa.field("top_label", pa.string()),
    pa.field("top_score", pa.float32()),
    pa.field("labels", _list_of(_CLIP_LABEL), nullable=False),
    pa.field("entropy", pa.float32(), nullable=False),
    pa.field("log_sum_exp", pa.float32(), nullable=False),
    pa.field("num_frames", pa.int32(), nullable=False),
    pa.field("num_real_frames", pa.int32(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
)

ERRORS = _schema(
    pa.field("video_uri", pa.string(), nullable=False),
    *_RANGE,
    pa.field("segment_index", pa.int32()),
    pa.field("clip_index", pa.int32()),
    pa.field("stage", pa.string(), nullable=False),
    pa.field("code", pa.string(), nullable=False),
    pa.field("message", pa.string(), nullable=False),
    pa.field("transient", pa.bool_(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
)

TABLES: dict[str, pa.Schema] = {"videos": VIDEOS, "clips": CLIPS, "errors": ERRORS}
"""The schema of each table, by the name of its folder."""


def tables_of_run(num_logits: int | None = None, embedding_size: int | None = None) -> dict[str, pa.Schema]:
    """Returns the schemas of a run: TABLES, with the requested optional columns of the clips table.

    Args:
      num_logits: the size of the column `logits`; None: no such column.
      embedding_size: the size of the column `embedding`; None: no such column.
    """
    clips = CLIPS
    for name, size in (("logits", num_logits), ("embedding", embedding_size)):
        if size is not None:
            values = pa.field("element", pa.float16(), nullable=False)
            clips = clips.append(pa.field(name, pa.list_(values, size), nullable=False))
    return TABLES | {"clips": clips}


RUN_COLUMNS = frozenset({"run_id", "labeled_at", "attempts", "uri_key", "schema_version"})
"""The columns that describe a run and its output. The other columns describe a video, a clip or a failure."""

SORT_KEYS: dict[str, tuple[str, ...]] = {
    "videos": ("video_uri", *RANGE),
    "clips": ("video_uri", *RANGE, "clip_index"),
    "errors": ("video_uri", *RANGE, "segment_index", "clip_index", "stage", "code"),
}
"""The sort order of the rows in a file, so that repeated runs write the same bytes."""


def clip_row(scores: ClipScores, run: RunInfo) -> Row:
    """Returns the row of the clips table for one classified clip."""
    return clip_columns(scores) | {"run_id": run.run_id}


def clip_columns(scores: ClipScores) -> Row:
    """Returns the columns of a clip, without those of RUN_COLUMNS."""
    return {
        "video_uri": bare_uri(scores.video_uri),
        **_range_columns(scores.time_range),
        "clip_index": scores.span.clip_index,
        "start_ms": scores.span.start_ms,
        "end_ms": scores.span.end_ms,
        **_top_columns(scores.labels, has_scores=True),
        "labels": [{"label": x.label, "class_id": x.class_id, "score": x.score} for x in scores.labels],
        "entropy": scores.entropy,
        "log_sum_exp": scores.log_sum_exp,
        "num_frames": scores.span.num_frames,
        "num_real_frames": scores.span.num_real_frames,
        **({} if scores.logits is None else {"logits": scores.logits}),
        **({} if scores.embedding is None else {"embedding": scores.embedding}),
    }


def error_row(failure: Failure, run: RunInfo) -> Row:
    """Returns the row of the errors table for one failure."""
    return error_columns(failure) | {"run_id": run.run_id}


def error_columns(failure: Failure) -> Row:
    """Returns the columns of a failure, without those of RUN_COLUMNS."""
    row = {name: getattr(failure, name) for name in ERRORS.names if name not in ("run_id", *RANGE)}
    text = {"video_uri": bare_uri(failure.video_uri), "message": without_query(failure.message)}
    return row | text | _range_columns(failure.time_range)


def video_row(summary: VideoSummary, run: RunInfo) -> Row:
    """Returns the row of the videos table for one input of the run."""
    return video_columns(summary, run) | {
        "attempts": summary.video.attempt,
        "uri_key": stable_hash(summary.video.key, URI_KEY),
        "run_id": run.run_id,
        "labeled_at": datetime.datetime.fromisoformat(run.labeled_at or run.started_at),
        "schema_version": SCHEMA_VERSION,
    }


def video_columns(summary: VideoSummary, labeler: LabelerFacts) -> Row:
    """Returns the columns of a video, without those of RUN_COLUMNS."""
    media, time_range = summary.media, summary.video.time_range
    start, end = time_range.bounds(media.duration_seconds) if media else (0, 0)
    return {
        "video_uri": bare_uri(summary.video.video_uri),
        **_range_columns(time_range),
        "status": summary.status,
        **_top_columns(summary.labels, has_scores=summary.status != "failed"),
        "labels": [
            {"label": x.label, "class_id": x.class_id, "score": x.score, "max_score": x.max_score}
            for x in summary.labels
        ],
        "num_planned_clips": summary.num_planned_clips,
        "num_clips": summary.num_clips,
        "error_code": summary.failure and summary.failure.code,
        "error_message": summary.failure and without_query(summary.failure.message),
        "duration_ms": media and round((end - start) * 1000),
        "width": media and media.width,
        "height": media and media.height,
        "rotation_degrees": media and media.rotation_degrees,
        "source_fps": media and media.source_fps,
        "num_frames": media and media.num_frames,
        "num_discontinuities": media and media.num_discontinuities,
        "codec": media and media.codec,
        "container": media and media.container,
        "num_video_streams": media and media.num_video_streams,
        "has_audio": media and media.has_audio,
        "size_bytes": summary.video.size_bytes,
        "content_version": summary.video.content_version,
        "metadata": list(summary.video.metadata),
        "model": labeler.model,
        "model_fingerprint": labeler.model_fingerprint,
        "label_map_fingerprint": labeler.label_map_fingerprint,
        "sampling_fingerprint": labeler.sampling_fingerprint,
        "engine": labeler.engine,
        "precision": labeler.precision,
        "output_activation": labeler.output_activation,
        "decoder_version": labeler.decoder_version,
        "transient": summary.transient,
    }


def _range_columns(time_range: TimeRange) -> Row:
    return {"range_start_ms": time_range.start_ms, "range_end_ms": time_range.end_ms}


def _top_columns(labels: tuple[LabelScore, ...], has_scores: bool) -> Row:
    """Returns the top label as plain columns, for SQL without list functions. Without scores it is null."""
    if labels:
        return {"top_label": labels[0].label, "top_score": labels[0].score}
    return {"top_label": NOTHING_RECOGNIZED if has_scores else None, "top_score": None}
