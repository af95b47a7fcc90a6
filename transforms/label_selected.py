"""LabelSelected: VideoRef -> the result of each video. The steps between the selection and the rows."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam

from reelbeam.transforms.classify_clips import ClassifyClips
from reelbeam.transforms.decode_clips import DecodeClips
from reelbeam.transforms.keep_lock import KeepLock
from reelbeam.transforms.labeling.config import LabelerConfig
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.plan_clips import PlanClips
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

        # From here to the scores no pixel may cross a shuffle: nothing is between DecodeClips and ClassifyClips.
        segments = plan.segments | "SpreadSegments" >> beam.Reshuffle() | "KeepLockToDecode" >> KeepLock(lock)
        decoded = segments | DecodeClips(config.decoder)
        classified = decoded.clips | ClassifyClips(config.classifier)

        failures = (plan.failures, decoded.failures, classified.failures) | "Failures" >> beam.Flatten()
        costs = (plan.costs, decoded.costs, classified.costs) | "Costs" >> beam.Flatten()
        model = config.classifier
        summaries = LabeledCollections(videos, plan.planned, classified.scores, failures) | SummarizeVideos(
            labels=model.labels, top_k=model.top_k, min_score=model.min_score
        )
        return LabelResults(summaries, classified.scores, failures, costs)
