"""What a run says of each video, and of itself."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.records.clips import LabelScore
from reelbeam.transforms.records.time_range import WHOLE, TimeRange, input_key
from reelbeam.transforms.records.videos import MediaInfo, VideoRef
from reelbeam.transforms.redaction import without_query


@dataclasses.dataclass(frozen=True)
class Failure:
    """One thing that went wrong, as data: a row of the errors table.

    Attributes:
      video_uri: the video that it hit.
      stage: the step that met it: "list", "plan", "decode" or "classify".
      code: short stable name, see `reelbeam.transforms.errors`.
      message: names the file, the value and the remedy.
      transient: True where trying again later may help.
      segment_index, clip_index: what was lost; None where the whole video was.
      time_range: the range of the video that was to be labeled.
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
        """Returns what a step that met `error` says of the video, or of one segment of it."""
        message = without_query(str(error))
        return cls(
            video.video_uri, stage, error.code, message, error.transient, segment_index, time_range=video.time_range
        )

    @property
    def key(self) -> str:
        """What tells the input that it hit from any other."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """How one input ended: a row of the videos table.

    Attributes:
      video: the input.
      media: its headers; None where they could not be read.
      status: "ok" (every planned clip has scores), "partial" (some have), "failed" (none has, and something broke).
      labels: the best classes by the mean of the clips' scores, best first, each with its best clip's score.
      num_planned_clips, num_clips: clips that were planned, and clips that have scores.
      failure: the first thing that went wrong, by segment and clip; None for "ok".
      transient: whether a later try may help: one of the things that went wrong was transient.
    """

    video: VideoRef
    media: MediaInfo | None
    status: str
    labels: tuple[LabelScore, ...]
    num_planned_clips: int
    num_clips: int
    failure: Failure | None
    transient: bool = False


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """What every video row of a run says about the run.

    Attributes:
      run_id: names the run's files; letters, digits, "-" and "_".
      started_at: ISO 8601, UTC.
      model: catalog name or handle of the model.
      model_fingerprint: hash of the SavedModel's content.
      label_map_fingerprint: hash of the label file's content.
      sampling_fingerprint: hash of everything that decides which frames the model gets.
      engine: "openvino" or "tensorflow".
      precision: of the engine's arithmetic.
      decoder_version: of the library that reads videos.
      output_activation: what the model's outputs are: "logits", "softmax" or "sigmoid".
      labeled_at: the time of its rows, ISO 8601, UTC, which orders the rows of a video: after that of all rows that
        were committed before, whatever the clock says. None: `started_at`.
    """

    run_id: str
    started_at: str
    model: str
    model_fingerprint: str
    label_map_fingerprint: str
    sampling_fingerprint: str
    engine: str
    precision: str
    decoder_version: str
    output_activation: str = "logits"
    labeled_at: str | None = None
