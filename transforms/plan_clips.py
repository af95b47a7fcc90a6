"""PlanClips: probe (demux only) -> the clips of a video, as segments for the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam

from transforms import metrics, storage
from transforms.errors import DecoderFailedError, MediaError, without_query
from transforms.media import sandbox
from transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from transforms.media.sampling import ClipSampling, max_num_clips, plan_clip_spans
from transforms.records import Failure, PlannedVideo, SegmentSpan, VideoRef

_PLANNED = "planned"
_FAILURES = "failures"


class ClipPlan(NamedTuple):
    """What PlanClips gives.

    Attributes:
      segments: the heavy work, SegmentSpan. A video without a clip (`--tail_policy drop`) has none.
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
    the files, see `transforms.media.sandbox`.

    Counters: videos_planned, clips_planned, videos_broken, decoder_restarts.

    Args:
      sampling: which clips, and which instants of each.
      max_video_bytes: a larger file is a failure, `file_too_large`.
      limits: what a video may ask for, and what a decoder process may use.
    """

    def __init__(self, sampling: ClipSampling, max_video_bytes: int, limits: DecoderLimits = DEFAULT_LIMITS) -> None:
        super().__init__()
        self._sampling = sampling
        self._max_video_bytes = max_video_bytes
        self._limits = limits

    def expand(self, videos: beam.PCollection[VideoRef]) -> ClipPlan:
        """Wires the step."""
        plan_video = _PlanClipsFn(self._sampling, self._max_video_bytes, self._limits)
        plan = videos | "PlanVideo" >> beam.ParDo(plan_video).with_outputs(_PLANNED, _FAILURES, main="segments")
        return ClipPlan(plan["segments"], plan[_PLANNED], plan[_FAILURES])


class _PlanClipsFn(beam.DoFn):
    def __init__(self, sampling: ClipSampling, max_video_bytes: int, limits: DecoderLimits) -> None:
        self._sampling = sampling
        self._max_video_bytes = max_video_bytes
        self._limits = limits

    def process(self, video: VideoRef) -> Iterator[SegmentSpan | beam.pvalue.TaggedOutput]:
        try:
            with storage.local_file(video, self._max_video_bytes) as path:
                media = sandbox.probe(path, self._limits)
            self._limits.check_clips(video.video_uri, max_num_clips(media.duration_seconds, self._sampling))
        except MediaError as error:
            if isinstance(error, DecoderFailedError):
                metrics.count(metrics.DECODER_RESTARTS)
            metrics.count_broken(video.video_uri)
            metrics.count(metrics.VIDEOS_DONE)
            message = without_query(str(error))
            failure = Failure(video.video_uri, "plan", error.code, message, error.transient)
            yield beam.pvalue.TaggedOutput(_FAILURES, failure)
            return
        clips = plan_clip_spans(media.duration_seconds, self._sampling)
        metrics.count(metrics.VIDEOS_PLANNED)
        metrics.count(metrics.CLIPS_PLANNED, len(clips))
        num_segments = 1 if clips else 0
        if clips:
            yield SegmentSpan(video, media, segment_index=0, num_segments=num_segments, clips=clips)
        else:
            metrics.count(metrics.VIDEOS_DONE)
        yield beam.pvalue.TaggedOutput(_PLANNED, PlannedVideo(video, media, num_segments, len(clips)))
