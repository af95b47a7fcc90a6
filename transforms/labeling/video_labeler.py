"""VideoLabeler: labels whole videos in this process, without Beam's shuffles."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.labeling.config import LabelerConfig
from reelbeam.transforms.labeling.costs import decoding_cost
from reelbeam.transforms.labeling.summary import summarize
from reelbeam.transforms.labeling.video_decoder import decode_segment, probe_and_plan
from reelbeam.transforms.labeling.video_plan import VideoPlan
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.cpu_meter import model_meter
from reelbeam.transforms.models.loading import LoadEngine, load_any_engine
from reelbeam.transforms.models.scores import ScoreSum
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Clip, ClipScores, Failure, SegmentSpan, VideoRef, VideoSummary


class LabeledVideo(NamedTuple):
    """The result of one video.

    Attributes:
      summary: of the video.
      scores: of its clips, ordered by clip.
      failures: of the video, its segments and its clips.
      cost: what it has cost.
    """

    summary: VideoSummary
    scores: Sequence[ClipScores]
    failures: Sequence[Failure]
    cost: RunCost


class PreparedVideo(NamedTuple):
    """A video whose headers were read.

    Attributes:
      video: the input, with size and version if its store has them.
      plan: its segments; None if it failed.
      failure: why it has no plan; None if it has one.
      cost: of planning.
    """

    video: VideoRef
    plan: VideoPlan | None
    failure: Failure | None
    cost: RunCost

    @property
    def segments(self) -> tuple[SegmentSpan, ...]:
        """The segments to decode."""
        return self.plan.segments if self.plan else ()


class SegmentResult(NamedTuple):
    """The result of one segment, as in LabeledVideo."""

    scores: Sequence[ClipScores]
    failures: Sequence[Failure]
    cost: RunCost


class VideoLabeler:
    """Labels videos with a model that is loaded once. Threads may share it.

    Args:
      config: of planning, decoding and classification.
      load: loads the engine.
      sandbox: has the decoder processes; by default the one of this process.

    Raises:
      ModelError: the model cannot be loaded.
    """

    def __init__(
        self,
        config: LabelerConfig,
        load: LoadEngine = load_any_engine,
        sandbox: sandboxed.Sandbox = sandboxed.shared,
    ) -> None:
        self._config = config
        self._sandbox = sandbox
        self._classifier = ClipClassifier(config.classifier, load)
        self._engine = self._classifier.load()

    def label(self, video: VideoRef) -> LabeledVideo:
        """Returns the result of a video, segment by segment.

        Args:
          video: the input; its size and version are looked up if they are not known.
        """
        prepared = self.plan(video)
        return self.summarized(prepared, [self.label_segment(segment) for segment in prepared.segments])

    def plan(self, video: VideoRef) -> PreparedVideo:
        """Returns the segments of a video, or why it has none."""
        stats, plan, failure = DecodeStats(), None, None
        try:
            video = storage.identified(video)
            plan = probe_and_plan(video, self._config.planner, stats, self._sandbox)
        except MediaError as error:
            failure = Failure.of(error, video, "plan")
        return PreparedVideo(video, plan, failure, decoding_cost(stats))

    def label_segment(
        self,
        segment: SegmentSpan,
        is_stopped: Callable[[], bool] = lambda: False,
        report: Callable[[int], None] = lambda _: None,
    ) -> SegmentResult:
        """Returns the result of a segment. A failure keeps the scores of the clips before it.

        Args:
          segment: of a plan.
          is_stopped: returns whether to give up before the next clip.
          report: called with the number of clips after some were classified.
        """
        stats, failures, scores, model_seconds = DecodeStats(), list[Failure](), list[ClipScores](), 0.0
        most_clips = self._config.classifier.max_batch_clips
        with contextlib.closing(self._decode(segment, stats, failures)) as clips:
            while not is_stopped() and (batch := list(itertools.islice(clips, most_clips))):
                with model_meter.measure() as used:
                    results = self._classifier.classify(batch, self._engine)
                model_seconds += used.cpu_seconds
                scores += (result for result in results if isinstance(result, ClipScores))
                failures += (result for result in results if isinstance(result, Failure))
                report(len(batch))
        cost = dataclasses.replace(decoding_cost(stats), model_cpu_seconds=model_seconds)
        return SegmentResult(scores, failures, cost)

    def _decode(self, segment: SegmentSpan, stats: DecodeStats, failures: list[Failure]) -> Generator[Clip, None, None]:
        try:
            yield from decode_segment(segment, self._config.decoder, stats, self._sandbox)
        except MediaError as error:
            failures.append(Failure.of(error, segment.video, "decode", segment.segment_index))

    def summarized(self, prepared: PreparedVideo, segments: Sequence[SegmentResult]) -> LabeledVideo:
        """Returns the result of a video from the results of its segments, in any order."""
        scores = sorted((score for part in segments for score in part.scores), key=lambda found: found.span.clip_index)
        failures = [failure for part in segments for failure in part.failures]
        if prepared.failure is not None:
            failures.append(prepared.failure)
        model = self._config.classifier
        labels = _sum(scores).top_labels(model.labels, model.kept) if scores else ()
        planned = [prepared.plan.planned] if prepared.plan else []
        summary = summarize(prepared.video, planned, len(scores), labels, failures)
        return LabeledVideo(
            summary, scores, failures, RunCost.total([prepared.cost, *(part.cost for part in segments)])
        )


def _sum(scores: Sequence[ClipScores]) -> ScoreSum:
    return functools.reduce(operator.add, (ScoreSum.of(found.scores) for found in scores))
