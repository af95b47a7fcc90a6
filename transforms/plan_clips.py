"""PlanClips: probe (demux only) -> the clips of a video, as segments for the workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import apache_beam as beam

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.errors import MediaError, RangeOutsideVideoError
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.clips import ClipSampling, max_num_clips, plan_clip_spans
from reelbeam.transforms.media.sampling.segments import clip_seconds, key_frame_seconds, media_of_segment, plan_segments
from reelbeam.transforms.media.sampling.stream import plan_stream_spans, warm_up_segments
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import ClipSpan, Failure, MediaInfo, PlannedVideo, SegmentSpan, VideoRef
from reelbeam.transforms.records.time_range import WHOLE, TimeRange
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig

# The maximum number of segments that are collected and sorted, with a few kilobytes each.
_MAX_HELD_SEGMENTS = 2000

_PLANNED = "planned"
_FAILURES = "failures"
_COSTS = "costs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """The configuration of PlanClips.

    Attributes:
      sampling: which clips, and which instants of each.
      max_video_bytes: a larger file is a failure, `file_too_large`.
      limits: the limits of a video and of a decoder process.
      spool: where remote videos are kept on local disk.
    """

    sampling: ClipSampling
    max_video_bytes: int
    limits: DecoderLimits = DEFAULT_LIMITS
    spool: SpoolConfig = DEFAULT_SPOOL


class ClipPlan(NamedTuple):
    """The output of PlanClips.

    Attributes:
      segments: the segments to decode, the heaviest of each bundle first. A long video has several, a video without a
        clip (`--tail_policy drop`) has none.
      planned: one PlannedVideo for each video whose headers could be read.
      failures: one Failure for each other video.
      costs: the CPU time of the decoder processes and the fetched bytes, one element for each bundle.
    """

    segments: beam.PCollection[SegmentSpan]
    planned: beam.PCollection[PlannedVideo]
    failures: beam.PCollection[Failure]
    costs: beam.PCollection[RunCost]


class PlanClips(beam.PTransform):
    """Decides from the headers and packet times of each video which frames the model gets.

    Input: VideoRef. Output: ClipPlan. Nothing is decoded. Each video becomes a PlannedVideo or a Failure (stage "plan",
    the code of the MediaError). Elements are small: shuffle them before the heavy step. A decoder process reads the
    files, see `reelbeam.transforms.media.sandbox.sandboxed`.

    Counters: videos_planned, clips_planned, videos_broken, decode_cpu_ms, decoder_restarts.
    """

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self._config = config

    def expand(self, videos: beam.PCollection[VideoRef]) -> ClipPlan:
        """Connects the steps."""
        plan_video = _PlanClipsFn(self._config)
        plan = videos | "PlanVideo" >> beam.ParDo(plan_video).with_outputs(_PLANNED, _FAILURES, _COSTS, main="segments")
        return ClipPlan(plan["segments"], plan[_PLANNED], plan[_FAILURES], plan[_COSTS])


class _PlanClipsFn(beam.DoFn):
    def __init__(self, config: PlannerConfig) -> None:
        self._config = config
        self._held: list[SegmentSpan] = []

    def start_bundle(self) -> None:
        self._held = []  # a failed bundle may have left some
        self._stats = DecodeStats()

    def process(self, video: VideoRef) -> Iterator[SegmentSpan | beam.pvalue.TaggedOutput]:
        config, sampling = self._config, self._config.sampling
        try:
            with storage.local_file(video, config.max_video_bytes, config.spool) as file:
                media = sandboxed.probe(file, config.limits, self._stats)
            duration = labeled_seconds(video, media.duration_seconds)
            config.limits.check_clips(video.video_uri, max_num_clips(duration, sampling))
        except MediaError as error:
            metrics.count_failure(video.key, error)
            metrics.count(metrics.VIDEOS_DONE)
            yield beam.pvalue.TaggedOutput(_FAILURES, Failure.of(error, video, "plan"))
            return
        parts = plan_parts(media, sampling, video.time_range)
        num_clips = sum(map(len, parts))
        metrics.count(metrics.VIDEOS_PLANNED)
        metrics.count(metrics.CLIPS_PLANNED, num_clips)
        if not parts:
            metrics.count(metrics.VIDEOS_DONE)
        bare = dataclasses.replace(media, key_frame_pts=())
        yield beam.pvalue.TaggedOutput(_PLANNED, PlannedVideo(video, bare, len(parts), num_clips))
        for index, part in enumerate(parts):
            self._held.append(SegmentSpan(video, media_of_segment(media, part), index, len(parts), part))
        if len(self._held) >= _MAX_HELD_SEGMENTS:
            yield from self._heaviest_first()

    def finish_bundle(self) -> Iterator[WindowedValue | beam.pvalue.TaggedOutput]:
        for segment in self._heaviest_first():
            yield in_global_window(segment)
        cost = RunCost(decode_cpu_seconds=self._stats.cpu_seconds, bytes_fetched=self._stats.bytes_fetched)
        metrics.count(metrics.DECODE_CPU_MS, round(1000 * cost.decode_cpu_seconds))
        yield beam.pvalue.TaggedOutput(_COSTS, in_global_window(cost))

    def _heaviest_first(self) -> list[SegmentSpan]:
        """Returns the collected segments, the heaviest first, so that all workers finish at about the same time."""
        segments = sorted(self._held, key=_weight, reverse=True)
        self._held = []
        return segments


def labeled_seconds(video: VideoRef, duration_seconds: Fraction) -> Fraction:
    """Returns the length of the part of a video that is labeled, in seconds.

    Args:
      video: the video, with its time range.
      duration_seconds: the duration of the whole video.

    Raises:
      RangeOutsideVideoError: the time range is not inside the video.
    """
    if not video.time_range.is_inside(duration_seconds):
        raise RangeOutsideVideoError(
            f"{without_query(video.video_uri)}: the range from {video.time_range} is not inside the video, which lasts "
            f"{float(duration_seconds):g} s; correct start_seconds and end_seconds, or leave end_seconds empty"
        )
    start, end = video.time_range.bounds(duration_seconds)
    return end - start


def plan_parts(
    media: MediaInfo, sampling: ClipSampling, time_range: TimeRange = WHOLE
) -> Sequence[tuple[ClipSpan, ...]]:
    """Returns the clips of each segment of a video, for either kind of model.

    A time range is planned as a video of its own, which begins at the start of the range.
    """
    start, end = time_range.bounds(media.duration_seconds)
    key_frames = [seconds - start for seconds in key_frame_seconds(media)]
    if sampling.kind == "base":
        parts = plan_segments(plan_clip_spans(end - start, sampling), key_frames)
    else:
        clips = plan_stream_spans(end - start, sampling)
        parts = tuple(warm_up_segments(plan_segments(clips, key_frames, sampling.warm_up), sampling))
    return parts if start == 0 else [tuple(_shifted(clip, start) for clip in part) for part in parts]


def _shifted(clip: ClipSpan, seconds: Fraction) -> ClipSpan:
    return dataclasses.replace(clip, start_seconds=clip.start_seconds + seconds, end_seconds=clip.end_seconds + seconds)


def _weight(segment: SegmentSpan) -> float:
    """Estimates the work to decode a segment, in pixels."""
    media = segment.media
    return float(clip_seconds(segment.clips)) * (media.source_fps or 1) * media.width * media.height
