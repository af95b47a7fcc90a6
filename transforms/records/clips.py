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
    """One planned clip: which instants of the video its frames show.

    Attributes:
      clip_index: number of the clip in its video, from 0.
      start_seconds, end_seconds: the stretch that the clip stands for, half open; end = start + frames / target_fps, or
        the end of the video where that comes first.
      interval_seconds: from one instant to the next, 1 / target_fps.
      sample_steps: one instant per frame that is decoded, [num_warm_up_frames + num_frames], in intervals from the
        start: -2, -1, 0, 1 with two frames of warm-up. The frame shown at each is wanted. They repeat where a short
        video loops or its last frame is held.
      num_real_frames: frames of the clip that are not such repeats. After decoding, frames that cannot be decoded and
        that a later frame replaces do not count either.
      num_warm_up_frames: the first of them: frames before the clip, from which a Stream model makes its state anew, or
        which lie between this clip and the one that it continues.
      continues: whether a Stream model goes on from its state after the clip before, number clip_index - 1.
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
        """Start in whole milliseconds, rounded."""
        return round(self.start_seconds * 1000)

    @property
    def end_ms(self) -> int:
        """End in whole milliseconds, rounded."""
        return round(self.end_seconds * 1000)

    @property
    def num_frames(self) -> int:
        """Frames that the model answers for, repeats included, warm-up not."""
        return len(self.sample_steps) - self.num_warm_up_frames

    @property
    def num_decoded_frames(self) -> int:
        """Frames that the decoder gives and the model sees, warm-up included."""
        return len(self.sample_steps)

    @property
    def first_seconds(self) -> Fraction:
        """The earliest instant that is decoded; before the start where there is a warm-up."""
        return self.start_seconds + min(self.sample_steps) * self.interval_seconds

    @property
    def last_seconds(self) -> Fraction:
        """The latest instant that is decoded."""
        return self.start_seconds + max(self.sample_steps) * self.interval_seconds

    @property
    def sample_seconds(self) -> tuple[Fraction, ...]:
        """The instants."""
        return tuple(self.start_seconds + step * self.interval_seconds for step in self.sample_steps)


@dataclasses.dataclass(frozen=True)
class PlannedVideo:
    """A video whose headers could be read, and how many clips are to come from it."""

    video: VideoRef
    media: MediaInfo
    num_segments: int
    num_clips: int


@dataclasses.dataclass(frozen=True)
class SegmentSpan:
    """The unit of heavy work: the clips of one stretch of one video, decoded by one worker in one go.

    Attributes:
      video: the video that it is a part of.
      media: its stream, so that the decoder reads the same one that was planned.
      segment_index: number of the segment in its video, from 0.
      num_segments: segments of the whole video.
      clips: the clips to decode, ordered by start.
    """

    video: VideoRef
    media: MediaInfo
    segment_index: int
    num_segments: int
    clips: tuple[ClipSpan, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """The frames that the model gets at once. The only record with pixels: it must never cross a shuffle.

    Attributes:
      video_uri: the video that it was cut from.
      segment_index: the segment of that video.
      span: the clip's place in the video.
      frames: uint8 [T, H, W, 3], T = span.num_decoded_frames, RGB, upright, scaled and cropped to the model's size.
      time_range: the range of the video that the clip is planned for.
      state_slot: shared by the clips of a segment that one decoding gave. It is not encoded.
    """

    video_uri: str
    segment_index: int
    span: ClipSpan
    frames: npt.NDArray[np.uint8]
    time_range: TimeRange = WHOLE
    state_slot: StateSlot = dataclasses.field(default_factory=StateSlot)

    @property
    def key(self) -> str:
        """The key of the input that the clip was cut from."""
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
    """A class and its score in [0, 1]. `max_score`, in video rows, is its best clip's score."""

    label: str
    class_id: int
    score: float
    max_score: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ClipScores:
    """What the model said of one clip.

    Attributes:
      video_uri, segment_index, span, time_range: of the clip.
      labels: the best classes, best first, as asked for with `top_k` and `min_score`.
      entropy: of the scores, in nats: 0 where the model is sure, see `reelbeam.transforms.models.scores`.
      log_sum_exp: of the logits; but for a sigmoid model, a logit is its log score plus this.
      scores: of all classes, float32 [C]: the video's mean needs them all, not only the best.
      logits: float16 [C], see `reelbeam.transforms.models.scores.to_logits`, and
      embedding: float16 [D], the activations before the classifier; None unless asked for.
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
        """What tells the input of this clip from any other."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)
