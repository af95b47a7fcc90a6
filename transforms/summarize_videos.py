"""SummarizeVideos: whatever became of an input's clips -> one VideoSummary."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.models.scores import ScoreSum
from reelbeam.transforms.records import ClipScores, Failure, LabelScore, PlannedVideo, VideoRef, VideoSummary


class SummarizeVideos(beam.PTransform):
    """Puts together everything that is known of each input.

    Input: a tuple of PCollections: the listed VideoRefs, PlannedVideos, ClipScores and Failures of all steps. Output:
    VideoSummary, exactly one for each listed video: the listing is one side of the join, so nothing that happens later
    can lose an input. Clips are added up before they are shuffled, so that a video's length costs no memory here; the
    means do not depend on the order in which the clips were made, to the last bit.

    Args:
      labels: the model's classes, [C], by class id.
      top_k: labels that a row names.
      min_score: labels with a lower mean are not named.
    """

    def __init__(self, labels: Sequence[str], top_k: int = 5, min_score: float = 0.0) -> None:
        super().__init__()
        self._labels = tuple(labels)
        self._top_k = top_k
        self._min_score = min_score

    def expand(self, parts: tuple[beam.PCollection[Any], ...]) -> beam.PCollection[VideoSummary]:
        """Wires the step."""
        videos, planned, scores, failures = parts
        keyed = {
            "videos": videos | "KeyVideos" >> beam.Map(lambda x: (x.key, x)),
            "planned": planned | "KeyPlanned" >> beam.Map(lambda x: (x.video.key, x)),
            "sums": scores | "SumScores" >> beam.ParDo(_SumScoresFn()),
            "failures": failures | "KeyFailures" >> beam.Map(lambda x: (x.key, x)),
        }
        for name, collection in keyed.items():
            # Said, not inferred: otherwise Beam encodes the key with a coder that may change from run to run.
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
        labels = total.top_labels(self._labels, self._top_k, self._min_score) if total else ()
        num_clips = total.num_clips if total else 0
        return summarize(video, list(found["planned"]), num_clips, labels, found["failures"])


_RECORDS: dict[str, type] = {"videos": VideoRef, "planned": PlannedVideo, "sums": ScoreSum, "failures": Failure}


class _SumScoresFn(beam.DoFn):
    """Adds up clips that follow each other: those of a segment do, so that one sum is held at a time."""

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


def summarize(
    video: VideoRef,
    planned: Sequence[PlannedVideo],
    num_clips: int,
    labels: tuple[LabelScore, ...],
    failures: Iterable[Failure],
) -> VideoSummary:
    """Returns how the video ended.

    >>> summarize(VideoRef("a.mp4"), [], 0, (), [Failure("a.mp4", "plan", "not_found", "…", False)]).status
    'failed'
    """
    failures = list(failures)
    first = min(failures, key=_order, default=None)
    if first is None:
        status = "ok"
    else:
        status = "partial" if num_clips else "failed"
    return VideoSummary(
        video=video,
        media=planned[0].media if planned else None,
        status=status,
        labels=labels,
        num_planned_clips=planned[0].num_clips if planned else 0,
        num_clips=num_clips,
        failure=first,
        transient=any(failure.transient for failure in failures),
    )


def _order(failure: Failure) -> tuple[int, int, str, str]:
    """First by place in the video; failures without a place hit the whole of it."""
    return (
        -1 if failure.segment_index is None else failure.segment_index,
        -1 if failure.clip_index is None else failure.clip_index,
        failure.stage,
        failure.code,
    )
