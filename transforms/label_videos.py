"""VideoRef -> the result of each video: LabelSelected spreads long videos, LabelEach keeps each video in one step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms import metrics
from reelbeam.transforms.classify_clips import ClassifyClips
from reelbeam.transforms.decode_clips import DecodeClips
from reelbeam.transforms.keep_lock import KeepLock
from reelbeam.transforms.labeling.config import LabelerConfig
from reelbeam.transforms.labeling.costs import count_decoding
from reelbeam.transforms.labeling.video_labeler import LabeledVideo, VideoLabeler
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.plan_clips import PlanClips, SpreadSegments
from reelbeam.transforms.records import ClipScores, Failure, VideoRef, VideoSummary
from reelbeam.transforms.summarize_videos import LabeledCollections, SummarizeVideos


class LabelResults(NamedTuple):
    """The output of LabelSelected.

    Attributes:
      summaries: one VideoSummary for each video.
      scores: one ClipScores for each classified clip.
      failures: one Failure for each error.
      costs: what bundles have cost.
    """

    summaries: beam.PCollection[VideoSummary]
    scores: beam.PCollection[ClipScores]
    failures: beam.PCollection[Failure]
    costs: beam.PCollection[RunCost]


class LabelSelected(beam.PTransform):
    """Plans, decodes, classifies and summarizes videos.

    Input: VideoRef, distinct by key, in the global window, spread over the workers. Output: LabelResults.

    Args:
      config: of the steps.
      lock: the lock of the output, which the steps keep; None if nothing is written to an output.
    """

    def __init__(self, config: LabelerConfig, *, lock: LockTicket | None = None) -> None:
        super().__init__()
        self._config = config
        self._lock = lock

    def expand(self, videos: beam.PCollection[VideoRef]) -> LabelResults:
        """Connects the steps."""
        config, lock = self._config, self._lock
        plan = videos | "KeepLockToPlan" >> KeepLock(lock) | PlanClips(config.planner)
        segments = plan.segments | SpreadSegments() | "KeepLockToDecode" >> KeepLock(lock)
        if config.planner.in_place:
            # Flink fuses the Flatten and the steps after it with both of its inputs, so a short video is decoded in the
            # step that plans it. Beam's local runner and Prism materialize the Flatten: segments are small.
            segments = (segments, plan.short) | "Segments" >> beam.Flatten()

        # From here to the scores no pixel may cross a shuffle: nothing is between DecodeClips and ClassifyClips.
        decoded = segments | DecodeClips(config.decoder)
        classified = decoded.clips | ClassifyClips(config.classifier)

        failures = (plan.failures, decoded.failures, classified.failures) | "Failures" >> beam.Flatten()
        costs = (plan.costs, decoded.costs, classified.costs) | "Costs" >> beam.Flatten()
        model = config.classifier
        summaries = LabeledCollections(videos, plan.planned, classified.scores, failures) | SummarizeVideos(
            labels=model.labels, kept=model.kept
        )
        return LabelResults(summaries, classified.scores, failures, costs)


_SCORES, _FAILURES, _COSTS = "scores", "failures", "costs"


class LabelEach(beam.PTransform):
    """Plans, decodes, classifies and summarizes each video on the worker that has it.

    Input: VideoRef, bounded or unbounded, in any windows. Output: LabelResults, in the window and with the timestamp of
    the video. All results of a video are output as soon as it is done. It needs no state, no timers and no shuffle, so
    a long video is one unit of work.

    Counters: videos_planned, videos_done, videos_broken, clips_planned, clips_classified, model_cpu_ms,
    and those of `reelbeam.transforms.labeling.costs`.
    """

    def __init__(self, config: LabelerConfig) -> None:
        super().__init__()
        self._config = config

    def expand(self, videos: beam.PCollection[VideoRef]) -> LabelResults:
        """Connects the step."""
        tags = (_SCORES, _FAILURES, _COSTS)
        results = videos | "LabelVideo" >> beam.ParDo(_LabelVideoFn(self._config)).with_outputs(*tags, main="summaries")
        kinds: dict[str, type] = {"summaries": VideoSummary, _SCORES: ClipScores, _FAILURES: Failure, _COSTS: RunCost}
        for name, kind in kinds.items():
            results[name].element_type = kind
        return LabelResults(*(results[name] for name in kinds))


class _LabelVideoFn(beam.DoFn):
    def __init__(self, config: LabelerConfig) -> None:
        self._config = config

    def setup(self) -> None:
        self._labeler = VideoLabeler(self._config)

    def process(self, video: VideoRef) -> Iterator[VideoSummary | TaggedOutput]:
        result = self._labeler.label(video)
        _count(result)
        yield result.summary
        yield from (TaggedOutput(_SCORES, found) for found in result.scores)
        yield from (TaggedOutput(_FAILURES, failure) for failure in result.failures)
        yield TaggedOutput(_COSTS, result.cost)


def _count(result: LabeledVideo) -> None:
    summary, cost = result.summary, result.cost
    metrics.count(metrics.VIDEOS_PLANNED, int(summary.media is not None))
    metrics.count(metrics.VIDEOS_DONE)
    metrics.count(metrics.CLIPS_PLANNED, summary.num_planned_clips)
    metrics.count(metrics.CLIPS_CLASSIFIED, summary.num_clips)
    count_decoding(cost)
    metrics.count(metrics.MODEL_CPU_MS, round(1000 * cost.model_cpu_seconds))
    if result.failures:
        metrics.count_broken(summary.video.key)
