"""PlanClips: probe (demux only) -> the clips of a video, as segments for the workers."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam

from reelbeam.transforms import metrics
from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.labeling.config import PlannerConfig
from reelbeam.transforms.labeling.costs import count_decoding, decoding_cost
from reelbeam.transforms.labeling.video_decoder import probe_and_plan
from reelbeam.transforms.labeling.video_plan import segment_weight
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Failure, PlannedVideo, SegmentSpan, VideoRef

# The maximum number of segments that are collected and sorted, with a few kilobytes each.
_MAX_HELD_SEGMENTS = 2000

_SHORT = "short"
_PLANNED = "planned"
_FAILURES = "failures"
_COSTS = "costs"


class ClipPlan(NamedTuple):
    """The output of PlanClips.

    Attributes:
      segments: the segments to spread over the workers and decode there, the heaviest of each bundle first. A long
        video has several, a video without a clip (`--tail_policy drop`) has none.
      short: empty unless `in_place` is set; then the segments of videos that have only one, which are not in
        `segments`. Each is output as soon as it is planned, and the video stays in the spool until the steps that are
        fused with this one have processed it. So do not shuffle them.
      planned: one PlannedVideo for each video whose headers could be read.
      failures: one Failure for each other video.
      costs: the CPU time of the decoder processes and the fetched bytes, one element for each bundle.
    """

    segments: beam.PCollection[SegmentSpan]
    short: beam.PCollection[SegmentSpan]
    planned: beam.PCollection[PlannedVideo]
    failures: beam.PCollection[Failure]
    costs: beam.PCollection[RunCost]


class PlanClips(beam.PTransform):
    """Decides from the headers and packet times of each video which frames the model gets.

    Input: VideoRef. Output: ClipPlan. Nothing is decoded. Each video becomes a PlannedVideo or a Failure (stage "plan",
    the code of the MediaError). Elements are small: shuffle `segments` before the heavy step. A decoder process reads
    the files, see `reelbeam.transforms.media.sandbox.sandboxed`.

    Counters: videos_planned, clips_planned, videos_broken, decoder_restarts, and those of
    `reelbeam.transforms.labeling.costs`.
    """

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self._config = config

    def expand(self, videos: beam.PCollection[VideoRef]) -> ClipPlan:
        """Connects the steps."""
        outputs = (_SHORT, _PLANNED, _FAILURES, _COSTS)
        plan = videos | "PlanVideo" >> beam.ParDo(_PlanClipsFn(self._config)).with_outputs(*outputs, main="segments")
        return ClipPlan(plan["segments"], *(plan[name] for name in outputs))


class SpreadSegments(beam.PTransform):
    """Spreads segments over the workers, so that all of them share a long video.

    Input and output: SegmentSpan, in the global window. Flink does not execute a Reshuffle here: the videos were
    spread evenly before, and it takes their segments for spread too. A worker would decode every film that it planned.
    """

    def expand(self, segments: beam.PCollection[SegmentSpan]) -> beam.PCollection[SegmentSpan]:
        """Connects the steps."""
        keyed = segments | "Key" >> beam.Map(_with_key).with_output_types(tuple[int, SegmentSpan])
        return (
            keyed
            | "GroupByKey" >> beam.GroupByKey()
            | "Ungroup" >> beam.FlatMap(_segments_of).with_output_types(SegmentSpan)
        )


def _with_key(segment: SegmentSpan) -> tuple[int, SegmentSpan]:
    """Returns a segment with a key of its own, the same one if a bundle is repeated."""
    return zlib.crc32(f"{segment.video.key} {segment.segment_index}".encode()), segment


def _segments_of(group: tuple[int, Iterable[SegmentSpan]]) -> Iterable[SegmentSpan]:
    return group[1]


class _PlanClipsFn(beam.DoFn):
    def __init__(self, config: PlannerConfig) -> None:
        self._config = config
        self._held: list[SegmentSpan] = []

    def start_bundle(self) -> None:
        self._held = []  # a failed bundle may have left some
        self._stats = DecodeStats()

    def process(self, video: VideoRef) -> Iterator[SegmentSpan | beam.pvalue.TaggedOutput]:
        config = self._config
        with contextlib.ExitStack() as lease:
            try:
                plan = probe_and_plan(video, config, self._stats, lease=lease if config.in_place else None)
            except MediaError as error:
                metrics.count_failure(video.key, error)
                metrics.count(metrics.VIDEOS_DONE)
                yield beam.pvalue.TaggedOutput(_FAILURES, Failure.of(error, video, "plan"))
                return
            metrics.count(metrics.VIDEOS_PLANNED)
            metrics.count(metrics.CLIPS_PLANNED, plan.planned.num_clips)
            if not plan.segments:
                metrics.count(metrics.VIDEOS_DONE)
            yield beam.pvalue.TaggedOutput(_PLANNED, plan.planned)
            if config.in_place and len(plan.segments) == 1:
                yield beam.pvalue.TaggedOutput(_SHORT, plan.segments[0])
                return
        self._held += plan.segments
        if len(self._held) >= _MAX_HELD_SEGMENTS:
            yield from self._heaviest_first()

    def finish_bundle(self) -> Iterator[WindowedValue | beam.pvalue.TaggedOutput]:
        for segment in self._heaviest_first():
            yield in_global_window(segment)
        cost = decoding_cost(self._stats)
        count_decoding(cost)
        yield beam.pvalue.TaggedOutput(_COSTS, in_global_window(cost))

    def _heaviest_first(self) -> list[SegmentSpan]:
        """Returns the collected segments, the heaviest first, so that all workers finish at about the same time."""
        segments = sorted(self._held, key=segment_weight, reverse=True)
        self._held = []
        return segments
