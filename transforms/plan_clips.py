"""PlanClips: probe (demux only) -> the clips of a video, as segments for the workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.labeling.config import PlannerConfig
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.sampling.clips import max_num_clips
from reelbeam.transforms.media.sampling.segments import clip_seconds, media_of_segment
from reelbeam.transforms.media.sampling.video_plan import labeled_seconds, plan_parts
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Failure, PlannedVideo, SegmentSpan, VideoRef

# The maximum number of segments that are collected and sorted, with a few kilobytes each.
_MAX_HELD_SEGMENTS = 2000

_PLANNED = "planned"
_FAILURES = "failures"
_COSTS = "costs"


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


def _weight(segment: SegmentSpan) -> float:
    """Estimates the work to decode a segment, in pixels."""
    media = segment.media
    return float(clip_seconds(segment.clips)) * (media.source_fps or 1) * media.width * media.height
