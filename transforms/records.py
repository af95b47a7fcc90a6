"""The records that flow through the pipeline: one frozen class per stage, no Beam.

Times are seconds or milliseconds **of the video**, counted from its first frame's presentation time, so 0 is the first
frame whatever the container's start time says. Sample times are exact rationals: a frame is chosen by comparing
rationals, never by rounding floats (see `reelbeam.transforms.media.sampling.clips`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import MediaError, bare_uri, without_query
from reelbeam.transforms.time_range import WHOLE, TimeRange, input_key


@dataclasses.dataclass(frozen=True)
class VideoRef:
    """One input of the run, as listed: where a video is, which version of its content, and which range of it.

    Attributes:
      video_uri: absolute path or object-store URI; with the range, the row key of everything that comes out.
      size_bytes: size of the object; None where the listing could not tell (the object is missing, say).
      content_version: what the store knows of the content's age ("mtime:1700000000.0"); "" where unknown.
      metadata: further columns of the input list, as (column, value) pairs, sorted by column.
      attempt: how many runs have tried this content in the same way since it was last labeled, this one included.
      modified_seconds: when the content was written, in seconds since 1970; None where the store doesn't tell.
      time_range: the stretch of the video that is to be labeled.
      is_guess: whether it was found in a folder by an extension that other files have, too.
    """

    video_uri: str
    size_bytes: int | None = None
    content_version: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    attempt: int = 1
    modified_seconds: float | None = None
    time_range: TimeRange = WHOLE
    is_guess: bool = False

    @property
    def key(self) -> str:
        """What tells this input from any other."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)


@dataclasses.dataclass(frozen=True)
class MediaInfo:
    """What the demuxer tells of a video without decoding anything.

    Attributes:
      container: demuxer name ("mov,mp4,m4a,3gp,3g2,mj2").
      codec: decoder name of the chosen video stream ("h264").
      stream_index: index of that stream in the container.
      num_video_streams: video streams in the container, attached pictures not counted.
      has_audio: whether an audio stream is there.
      width, height: size of the decoded pictures in pixels, before the container's cropping and rotation.
      rotation_degrees: clockwise turn that shows the picture upright: 0, 90, 180 or 270.
      pixel_aspect_ratio: width of a pixel divided by its height (sample aspect ratio); 1 where unknown.
      source_fps: average frames a second; None where there is a single frame.
      num_frames: packets of the video stream that carry a frame.
      duration_seconds: from the first frame's presentation time to the end of the last frame's display time.
      time_base: seconds a tick: the unit of the stream's own times.
      start_tick: the first frame's presentation time on the stream's own clock.
      key_frame_ticks: times of key frames, on that clock, at which decoding can start as if it were the beginning:
        ascending, half a second apart or more. Empty where that isn't proven for the codec, or where the packets'
        times are not those of their frames.
      num_discontinuities: jumps of the stream's clock, and wild times, that were bridged.
      clock_shifts: how they were bridged, as (packet, ticks) pairs: from that packet on, in file order from 0, so many
        ticks are added to the times of packets. All ticks above are on that steady clock. Empty where packets lack
        times: then their times are found anew in each reading.
    """

    container: str
    codec: str
    stream_index: int
    num_video_streams: int
    has_audio: bool
    width: int
    height: int
    rotation_degrees: int
    pixel_aspect_ratio: Fraction
    source_fps: float | None
    num_frames: int
    duration_seconds: Fraction
    time_base: Fraction = Fraction(1)
    start_tick: int = 0
    key_frame_ticks: tuple[int, ...] = ()
    num_discontinuities: int = 0
    clock_shifts: tuple[tuple[int, int], ...] = ()


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
    """

    video_uri: str
    segment_index: int
    span: ClipSpan
    frames: npt.NDArray[np.uint8]
    time_range: TimeRange = WHOLE

    @property
    def key(self) -> str:
        """What tells the input that it was cut from from any other."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)

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


@dataclasses.dataclass(frozen=True)
class SkipRules:
    """What a run asks for, out of what is listed.

    Attributes:
      max_attempts: runs that try a video whose failure is transient.
      retry_failed: codes of failures to be tried again whatever they are; "all" for every one.
      force: label everything, the ledger is not asked.
      shard: (I, N): only the I-th of N shares of the videos, I from 0, by a hash of the URI.
      limit: label so many at most: those with the smallest hash, so that the next run goes on with others.
      since: only content that is as new as that, in seconds since 1970. Where the store doesn't tell, it is taken up.
    """

    max_attempts: int = 3
    retry_failed: frozenset[str] = frozenset()
    force: bool = False
    shard: tuple[int, int] | None = None
    limit: int | None = None
    since: float | None = None


ALL_CODES = "all"
"""What `--retry_failed` takes for every code."""


def stable_hash(video_uri: str, purpose: str) -> int:
    """Returns 64 bits, as a signed number, that are the same for a URI or a key in every process, run and version.

    Hashes for different purposes are independent: who takes every fourth video by one of them still finds all values
    of another. The query of a signed URL, which changes from night to night, does not count.

    >>> stable_hash("https://host/a.mp4?sig=1", "ledger") == stable_hash("https://host/a.mp4?sig=2", "ledger")
    True
    """
    text = bare_uri(video_uri).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=purpose.encode()).digest(), "big", signed=True)
