"""Clips: planned, decoded and scored."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.records.state_slot import ClipPlace, StateSlot
from reelbeam.transforms.records.time_range import WHOLE, TimeRange, input_key
from reelbeam.transforms.records.videos import MediaInfo, VideoRef


@dataclasses.dataclass(frozen=True)
class ClipSpan:
    """One planned clip: the instants of the video that its frames show.

    Attributes:
      clip_index: the number of the clip in its video, from 0.
      start_seconds, end_seconds: the half-open interval that the clip represents; end = start + frames / target_fps, or
        the end of the video if that is earlier.
      interval_seconds: the time between two instants, 1 / target_fps.
      sample_steps: one instant per decoded frame, [num_warm_up_frames + num_frames], in intervals from the start: -2,
        -1, 0, 1 with two warm-up frames. For each instant, the frame shown then is decoded. Instants repeat if a short
        video loops or its last frame is held.
      num_real_frames: the frames of the clip that are not repeats. After decoding, undecodable frames that a later
        frame replaces do not count either.
      num_warm_up_frames: the number of leading frames before the clip. A Stream model builds its state from them, or
        they lie between this clip and the clip that it continues.
      continues: whether a Stream model continues from its state after the previous clip, clip_index - 1.
      is_continued: whether the next clip continues this one, in the same segment.
    """

    clip_index: int
    start_seconds: Fraction
    end_seconds: Fraction
    interval_seconds: Fraction
    sample_steps: tuple[int, ...]
    num_real_frames: int
    num_warm_up_frames: int = 0
    continues: bool = False
    is_continued: bool = False

    @property
    def start_ms(self) -> int:
        """The start in whole milliseconds, rounded."""
        return round(self.start_seconds * 1000)

    @property
    def end_ms(self) -> int:
        """The end in whole milliseconds, rounded."""
        return round(self.end_seconds * 1000)

    @property
    def num_frames(self) -> int:
        """The number of classified frames, including repeats but not the warm-up."""
        return len(self.sample_steps) - self.num_warm_up_frames

    @property
    def num_decoded_frames(self) -> int:
        """The number of decoded frames, including the warm-up."""
        return len(self.sample_steps)

    @property
    def first_seconds(self) -> Fraction:
        """The earliest decoded instant, which is before the start if there is a warm-up."""
        return self.start_seconds + min(self.sample_steps) * self.interval_seconds

    @property
    def last_seconds(self) -> Fraction:
        """The latest decoded instant."""
        return self.start_seconds + max(self.sample_steps) * self.interval_seconds

    @property
    def sample_seconds(self) -> tuple[Fraction, ...]:
        """The decoded instants."""
        return tuple(self.start_seconds + step * self.interval_seconds for step in self.sample_steps)


@dataclasses.dataclass(frozen=True)
class PlannedVideo:
    """A video with readable headers, and its numbers of planned segments and clips."""

    video: VideoRef
    media: MediaInfo
    num_segments: int
    num_clips: int


@dataclasses.dataclass(frozen=True)
class SegmentSpan:
    """The clips of one part of a video, which one worker decodes together.

    Attributes:
      video: the video of the segment.
      media: its stream, so that the decoder reads the planned one.
      segment_index: the number of the segment in its video, from 0.
      num_segments: the number of segments of the video.
      clips: the clips to decode, ordered by start.
    """

    video: VideoRef
    media: MediaInfo
    segment_index: int
    num_segments: int
    clips: tuple[ClipSpan, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """The frames that the model gets at once. It is the only record with pixels and must never cross a shuffle.

    Attributes:
      video_uri: the video of the clip.
      segment_index: the segment of the video.
      span: the plan of the clip.
      frames: uint8 [T, H, W, 3], T = span.num_decoded_frames, RGB, upright, scaled and cropped to the model's size.
        Several crops of a picture are side by side: W is H times their number.
      time_range: the range of the video for which the clip was planned.
      state_slot: a slot that the clips that continue each other share, in one decoding of a segment. It is not encoded.
    """

    video_uri: str
    segment_index: int
    span: ClipSpan
    frames: npt.NDArray[np.uint8]
    time_range: TimeRange = WHOLE
    state_slot: StateSlot = dataclasses.field(default_factory=StateSlot)

    @property
    def key(self) -> str:
        """The key of the clip's input, see `time_range.input_key`."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)

    @property
    def place(self) -> ClipPlace:
        """The clip's video, segment and number."""
        return ClipPlace(self.key, self.segment_index, self.span.clip_index)

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
            raise ValueError(f"frames must be uint8 [T, H, W, 3], not {self.frames.dtype} {list(shape)}")

    def __repr__(self) -> str:
        size = ", ".join(str(n) for n in self.frames.shape)
        return f"Clip({self.video_uri}#{self.span.clip_index}, frames: uint8[{size}])"


@dataclasses.dataclass(frozen=True)
class LabelScore:
    """A class and its score in [0, 1]. In video rows, `max_score` is the score of its best clip."""

    label: str
    class_id: int
    score: float
    max_score: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ClipScores:
    """The model's scores of one clip.

    Attributes:
      video_uri, segment_index, span, time_range: as in `Clip`.
      labels: the best classes that the row keeps, best first.
      entropy: the entropy of the scores in nats: 0 if the model is sure, see `reelbeam.transforms.models.scores`.
      log_sum_exp: the log-sum-exp of the logits. Except for sigmoid models, a logit is its log score plus this value.
      scores: the scores of all classes, float32 [C], which the mean of the video needs.
      logits: float16 [C], see `reelbeam.transforms.models.scores.to_logits`; None unless requested.
      embedding: the activations before the classifier, float16 [D]; None unless requested.
    """

    video_uri: str
    segment_index: int
    span: ClipSpan
    labels: tuple[LabelScore, ...]
    entropy: float
    log_sum_exp: float
    scores: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float16] | None = None
    embedding: npt.NDArray[np.float16] | None = None
    time_range: TimeRange = WHOLE

    @property
    def key(self) -> str:
        """The key of the clip's input, see `time_range.input_key`."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)
