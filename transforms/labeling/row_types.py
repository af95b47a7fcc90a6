"""The rows of videos, clips and errors as named tuples, which Beam's schemas and other sinks understand.

The fields are the columns of the tables without those of a run, see `reelbeam.transforms.schemas`. Fields have only
types that `RowCoder`, Parquet, BigQuery and SQL share: times are whole milliseconds, and metadata is a list of pairs.
After a shuffle, Beam returns lists for sequences.

Beam reads the annotations of named tuples without evaluating them, and its schemas know Optional, but not `int | None`:
with other annotations, every column is a pickled value for Parquet, SQL and other languages.
"""

# ruff: noqa: UP045

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, TypeVar

from reelbeam.transforms.records import ClipScores, Failure, LabelerFacts, VideoSummary
from reelbeam.transforms.schemas import clip_columns, error_columns, video_columns


class VideoLabel(NamedTuple):
    """A label of a video: its mean score over the clips, and the score of its best clip, in [0, 1]."""

    label: str
    class_id: int
    score: float
    max_score: float


class ClipLabel(NamedTuple):
    """A label of a clip, and its score in [0, 1]."""

    label: str
    class_id: int
    score: float


class MetadataField(NamedTuple):
    """A further field of the element that named the video."""

    key: str
    value: str


class VideoRow(NamedTuple):
    """The result of one video. The fields are columns of the videos table."""

    video_uri: str
    range_start_ms: Optional[int]
    range_end_ms: Optional[int]
    status: str
    top_label: Optional[str]
    top_score: Optional[float]
    labels: Sequence[VideoLabel]
    num_planned_clips: int
    num_clips: int
    error_code: Optional[str]
    error_message: Optional[str]
    duration_ms: Optional[int]
    width: Optional[int]
    height: Optional[int]
    rotation_degrees: Optional[int]
    source_fps: Optional[float]
    num_frames: Optional[int]
    num_discontinuities: Optional[int]
    codec: Optional[str]
    container: Optional[str]
    num_video_streams: Optional[int]
    has_audio: Optional[bool]
    size_bytes: Optional[int]
    content_version: str
    metadata: Sequence[MetadataField]
    model: str
    model_fingerprint: str
    label_map_fingerprint: str
    sampling_fingerprint: str
    engine: str
    precision: str
    output_activation: str
    decoder_version: str
    transient: bool

    @classmethod
    def of(cls, summary: VideoSummary, labeler: LabelerFacts) -> "VideoRow":
        """Returns the row of a labeled video."""
        columns = video_columns(summary, labeler)
        columns["labels"] = [VideoLabel(**label) for label in columns["labels"]]
        columns["metadata"] = [MetadataField(*pair) for pair in columns["metadata"]]
        return cls(**columns)


class ClipRow(NamedTuple):
    """The result of one clip. The fields are columns of the clips table; logits and embedding are empty by default."""

    video_uri: str
    range_start_ms: Optional[int]
    range_end_ms: Optional[int]
    clip_index: int
    start_ms: int
    end_ms: int
    top_label: Optional[str]
    top_score: Optional[float]
    labels: Sequence[ClipLabel]
    entropy: float
    log_sum_exp: float
    num_frames: int
    num_real_frames: int
    logits: Sequence[float] = ()
    embedding: Sequence[float] = ()

    @classmethod
    def of(cls, scores: ClipScores) -> "ClipRow":
        """Returns the row of a classified clip."""
        columns = clip_columns(scores)
        columns["labels"] = [ClipLabel(**label) for label in columns["labels"]]
        for name in ("logits", "embedding"):
            columns[name] = columns[name].astype(float).tolist() if name in columns else []
        return cls(**columns)


class ErrorRow(NamedTuple):
    """A failure. The fields are columns of the errors table."""

    video_uri: str
    range_start_ms: Optional[int]
    range_end_ms: Optional[int]
    segment_index: Optional[int]
    clip_index: Optional[int]
    stage: str
    code: str
    message: str
    transient: bool

    @classmethod
    def of(cls, failure: Failure) -> "ErrorRow":
        """Returns the row of a failure."""
        return cls(**error_columns(failure))


Row = TypeVar("Row", VideoRow, ClipRow, ErrorRow)


def as_dict(row: VideoRow | ClipRow | ErrorRow) -> dict[str, Any]:
    """Returns a row as a dict of plain values, as JSON and `beam.io.WriteToBigQuery` take it."""
    return {name: _plain(value) for name, value in row._asdict().items()}


def _plain(value: object) -> object:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
