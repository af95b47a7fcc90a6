"""The records that become rows: failures, summaries of videos, and facts about the run."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.records.clips import LabelScore
from reelbeam.transforms.records.time_range import WHOLE, TimeRange, input_key
from reelbeam.transforms.records.videos import MediaInfo, VideoRef
from reelbeam.transforms.redaction import without_query

NOTHING_RECOGNIZED = "nothing recognized"
"""The top label in rows with scores of which no label passes. Rows of earlier runs have null there."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """An error as data: a row of the errors table.

    Attributes:
      video_uri: the affected video.
      stage: the step with the error: "list", "plan", "decode" or "classify".
      code: the short stable name of the error, see `reelbeam.transforms.errors`.
      message: the file, the value and the remedy.
      transient: whether a later attempt may succeed.
      segment_index, clip_index: the lost part; None if the whole video was lost.
      time_range: the requested range of the video.
    """

    video_uri: str
    stage: str
    code: str
    message: str
    transient: bool
    segment_index: int | None = None
    clip_index: int | None = None
    time_range: TimeRange = WHOLE

    @classmethod
    def of(cls, error: MediaError, video: VideoRef, stage: str, segment_index: int | None = None) -> Failure:
        """Returns the failure for an error of a video or of one of its segments."""
        message = without_query(str(error))
        return cls(
            video.video_uri, stage, error.code, message, error.transient, segment_index, time_range=video.time_range
        )

    @property
    def key(self) -> str:
        """The key of the affected input, see `time_range.input_key`."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """The result of one input: a row of the videos table.

    Attributes:
      video: the input.
      media: its headers; None if they could not be read.
      status: "ok" (every planned clip has scores), "partial" (some have), "failed" (none has).
      labels: the best classes by the mean of the clips' scores, best first, each with the score of its best clip.
      num_planned_clips, num_clips: the number of planned clips and of clips with scores.
      failure: the first failure by segment and clip; None for "ok".
      transient: whether one of the failures is transient, so that a later attempt may succeed.
    """

    video: VideoRef
    media: MediaInfo | None
    status: str
    labels: tuple[LabelScore, ...]
    num_planned_clips: int
    num_clips: int
    failure: Failure | None
    transient: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelerFacts:
    """The facts about what labels videos, in each row of the videos table.

    Attributes:
      model: the catalog name or handle of the model.
      model_fingerprint: hash of the SavedModel's content.
      label_map_fingerprint: hash of the label file's content.
      sampling_fingerprint: hash of everything that determines the frames of clips.
      engine: "openvino" or "tensorflow".
      precision: the precision of the engine's arithmetic.
      decoder_version: the version of the library that reads videos.
      output_activation: the kind of the model's outputs: "logits", "softmax" or "sigmoid".
    """

    model: str
    model_fingerprint: str
    label_map_fingerprint: str
    sampling_fingerprint: str
    engine: str
    precision: str
    decoder_version: str
    output_activation: str = "logits"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunInfo(LabelerFacts):
    """The facts about a run in each of its rows of the videos table.

    Attributes:
      run_id: the name of the run: letters, digits, "-" and "_".
      started_at: ISO 8601, UTC.
      labeled_at: the time that orders the rows of a video, ISO 8601, UTC. It is later than the times of all rows that
        were committed before, even if a clock was wrong. None: `started_at`.
    """

    run_id: str
    started_at: str
    labeled_at: str | None = None
