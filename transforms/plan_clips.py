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
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.clips import ClipSampling, max_num_clips, plan_clip_spans
from reelbeam.transforms.media.sampling.segments import clip_seconds, key_frame_seconds, media_of_segment, plan_segments
from reelbeam.transforms.media.sampling.stream import plan_stream_spans, warm_up_segments
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import ClipSpan, Failure, MediaInfo, PlannedVideo, SegmentSpan, VideoRef
from reelbeam.transforms.records.time_range import WHOLE, TimeRange
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig

# Segments that are held back to be sorted: a few kilobytes each.
_MAX_HELD_SEGMENTS = 2000

_PLANNED = "planned"
_FAILURES = "failures"


class ClipPlan(NamedTuple):
    """What PlanClips gives.

    Attributes:
      segments: the heavy work, SegmentSpan, the heaviest of each bundle first. A long video has several, one without a
        clip (`--tail_policy drop`) none.
      planned: one PlannedVideo for each video whose headers could be read.
      failures: one Failure for each other video.
    """

    segments: beam.PCollection[SegmentSpan]
    planned: beam.PCollection[PlannedVideo]
    failures: beam.PCollection[Failure]


class PlanClips(beam.PTransform):
    """Decides from the headers and packet times of each video which frames the model is to see.

    Input: VideoRef. Output: ClipPlan. Nothing is decoded. Every video comes out once, as planned or as failure (stage
    "plan", the code of the MediaError). Elements are tiny: shuffle them before the heavy step. A decoder process reads
    the files, see `reelbeam.transforms.media.sandbox.sandboxed`.

    Counters: videos_planned, clips_planned, videos_broken, decoder_restarts.

    Args:
      sampling: which clips, and which instants of each.
      max_video_bytes: a larger file is a failure, `file_too_large`.
      limits: what a video may ask for, and what a decoder process may use.
      spool: where remote videos are kept on their way to the decoder.
    """

    def __init__(
        self,
        sampling: ClipSampling,
        max_video_bytes: int,
        limits: DecoderLimits = DEFAULT_LIMITS,
        spool: SpoolConfig = DEFAULT_SPOOL,
    ) -> None:
        super().__init__()
        self._sampling = sampling
        self._max_video_bytes = max_video_bytes
        self._limits = limits
        self._spool = spool

    def expand(self, videos: beam.PCollection[VideoRef]) -> ClipPlan:
        """Wires the step."""
        plan_video = _PlanClipsFn(self._sampling, self._max_video_bytes, self._limits, self._spool)
        plan = videos | "PlanVideo" >> beam.ParDo(plan_video).with_outputs(_PLANNED, _FAILURES, main="segments")
        return ClipPlan(plan["segments"], plan[_PLANNED], plan[_FAILURES])


class _PlanClipsFn(beam.DoFn):
    def __init__(self, sampling: ClipSampling, max_video_bytes: int, limits: DecoderLimits, spool: SpoolConfig) -> None:
        self._sampling = sampling
        self._max_video_bytes = max_video_bytes
        self._limits = limits
        self._spool = spool
        self._held: list[SegmentSpan] = []

    def start_bundle(self) -> None:
        self._held = []  # a bundle that failed may have left some

    def process(self, video: VideoRef) -> Iterator[SegmentSpan | beam.pvalue.TaggedOutput]:
        try:
            with storage.local_file(video, self._max_video_bytes, self._spool) as file:
                media = sandboxed.probe(file, self._limits)
            duration = labeled_seconds(video, media.duration_seconds)
            self._limits.check_clips(video.video_uri, max_num_clips(duration, self._sampling))
        except MediaError as error:
            metrics.count_failure(video.key, error)
            metrics.count(metrics.VIDEOS_DONE)
            yield beam.pvalue.TaggedOutput(_FAILURES, Failure.of(error, video, "plan"))
            return
        parts = plan_parts(media, self._sampling, video.time_range)
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

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for segment in self._heaviest_first():
            yield in_global_window(segment)

    def _heaviest_first(self) -> list[SegmentSpan]:
        """Returns the segments held back so far, by falling weight.

        Runners that share out work as it is asked for end evenly that way, and so does the local one, which deals
        elements out in turns.
        """
        segments = sorted(self._held, key=_weight, reverse=True)
        self._held = []
        return segments


def labeled_seconds(video: VideoRef, duration_seconds: Fraction) -> Fraction:
    """Returns how much of a video of that duration is to be labeled.

    Raises:
      RangeOutsideVideoError: the video does not hold the range that is asked for.
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

    A range is planned as a video of its own, from its start on: nothing outside of it is looked at.
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
    """Returns about how much there is to decode: pixels."""
    media = segment.media
    return float(clip_seconds(segment.clips)) * (media.source_fps or 1) * media.width * media.height
