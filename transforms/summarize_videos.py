"""SummarizeVideos: the plan, scores and failures of an input -> one VideoSummary."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.labeling.summary import summarize
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.scores import KEEP_TOP, ScoreSum
from reelbeam.transforms.records import ClipScores, Failure, PlannedVideo, VideoRef, VideoSummary


class LabeledCollections(NamedTuple):
    """The input of SummarizeVideos.

    Attributes:
      videos: the listed videos.
      planned: the videos whose headers could be read.
      scores: the scores of all clips.
      failures: the failures of all steps.
    """

    videos: beam.PCollection[VideoRef]
    planned: beam.PCollection[PlannedVideo]
    scores: beam.PCollection[ClipScores]
    failures: beam.PCollection[Failure]


class SummarizeVideos(beam.PTransform):
    """Joins everything that is known of each input.

    Input: LabeledCollections. Output: VideoSummary, exactly one for each listed video: the listing is one side of the
    join, so nothing that happens later can lose an input. Scores are summed before they are shuffled, so the memory
    does not grow with a video's length. The means do not depend on the order of the clips, to the last bit.

    Args:
      labels: the model's classes, [C], by class id.
      kept: which labels a row keeps.
    """

    def __init__(self, *, labels: Sequence[str], kept: LabelFilter = KEEP_TOP) -> None:
        super().__init__()
        self._labels = tuple(labels)
        self._kept = kept

    def expand(self, labeled: LabeledCollections) -> beam.PCollection[VideoSummary]:
        """Connects the steps."""
        keyed = {
            "videos": labeled.videos | "KeyVideos" >> beam.Map(lambda x: (x.key, x)),
            "planned": labeled.planned | "KeyPlanned" >> beam.Map(lambda x: (x.video.key, x)),
            "sums": labeled.scores | "SumScores" >> beam.ParDo(_SumScoresFn()),
            "failures": labeled.failures | "KeyFailures" >> beam.Map(lambda x: (x.key, x)),
        }
        for name, collection in keyed.items():
            # Declared, because Beam would infer a coder for the key that may change from run to run.
            collection.element_type = beam.typehints.Tuple[str, _RECORDS[name]]
        return (
            keyed
            | "GroupByVideo" >> beam.CoGroupByKey()
            | "Summarize" >> beam.MapTuple(self._summarize).with_output_types(VideoSummary)
        )

    def _summarize(self, _key: str, found: dict[str, Iterable[Any]]) -> VideoSummary:
        (video,) = found["videos"]
        sums = list(found["sums"])
        total = functools.reduce(operator.add, sums) if sums else None
        labels = total.top_labels(self._labels, self._kept) if total else ()
        num_clips = total.num_clips if total else 0
        return summarize(video, list(found["planned"]), num_clips, labels, found["failures"])


_RECORDS: dict[str, type] = {"videos": VideoRef, "planned": PlannedVideo, "sums": ScoreSum, "failures": Failure}


class _SumScoresFn(beam.DoFn):
    """Sums the scores of consecutive clips of a video. It holds one sum at a time."""

    def start_bundle(self) -> None:
        self._key = ""
        self._sum: ScoreSum | None = None

    def process(self, clip: ClipScores) -> Iterator[tuple[str, ScoreSum]]:
        single = ScoreSum.of(clip.scores)
        if self._sum is not None and clip.key == self._key:
            self._sum += single
            return
        if self._sum is not None:
            yield self._key, self._sum
        self._key, self._sum = clip.key, single

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._sum is not None:
            yield in_global_window((self._key, self._sum))
