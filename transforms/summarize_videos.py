"""SummarizeVideos: whatever became of an input's clips -> one VideoSummary."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from transforms.models.scores import top_labels
from transforms.records import ClipScores, Failure, LabelScore, PlannedVideo, VideoRef, VideoSummary


class SummarizeVideos(beam.PTransform):
    """Puts together everything that is known of each input.

    Input: a tuple of PCollections: the listed VideoRefs, PlannedVideos, ClipScores and Failures of all steps. Output:
    VideoSummary, exactly one for each listed video: the listing is one side of the join, so nothing that happens later
    can lose an input. Clip scores are added in the order of the clips, so the means do not depend on the order in which
    they were made, to the last bit.

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
            "videos": videos | "KeyVideos" >> beam.Map(lambda x: (x.video_uri, x)),
            "planned": planned | "KeyPlanned" >> beam.Map(lambda x: (x.video.video_uri, x)),
            # What only clip rows bear need not be shuffled here: an embedding is larger than all the rest.
            "scores": scores
            | "KeyScores" >> beam.Map(lambda x: (x.video_uri, dataclasses.replace(x, logits=None, embedding=None))),
            "failures": failures | "KeyFailures" >> beam.Map(lambda x: (x.video_uri, x)),
        }
        for name, collection in keyed.items():
            # Said, not inferred: otherwise Beam encodes the key with a coder that may change from run to run.
            collection.element_type = beam.typehints.Tuple[str, _RECORDS[name]]
        return (
            keyed
            | "GroupByVideo" >> beam.CoGroupByKey()
            | "Summarize" >> beam.MapTuple(self._summarize).with_output_types(VideoSummary)
        )

    def _summarize(self, video_uri: str, found: dict[str, Iterable[Any]]) -> VideoSummary:
        (video,) = found["videos"]
        summary = summarize(video, list(found["planned"]), found["scores"], found["failures"])
        if not summary.num_clips:
            return summary
        clips = sorted(found["scores"], key=lambda clip: clip.span.clip_index)
        return dataclasses.replace(
            summary, labels=mean_labels([clip.scores for clip in clips], self._labels, self._top_k, self._min_score)
        )


_RECORDS: dict[str, type] = {"videos": VideoRef, "planned": PlannedVideo, "scores": ClipScores, "failures": Failure}


def summarize(
    video: VideoRef, planned: Sequence[PlannedVideo], scores: Iterable[ClipScores], failures: Iterable[Failure]
) -> VideoSummary:
    """Returns how the video ended, without its labels.

    >>> summarize(VideoRef("a.mp4"), [], [], [Failure("a.mp4", "plan", "not_found", "…", False)]).status
    'failed'
    """
    num_clips = sum(1 for _ in scores)
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
        labels=(),
        num_planned_clips=planned[0].num_clips if planned else 0,
        num_clips=num_clips,
        failure=first,
        transient=any(failure.transient for failure in failures),
    )


def mean_labels(
    clip_scores: Sequence[np.ndarray], labels: Sequence[str], top_k: int, min_score: float
) -> tuple[LabelScore, ...]:
    """Returns the best classes by mean score over the clips, each with its highest score in one clip.

    Args:
      clip_scores: softmax of each clip, float32 [C], in the order of the clips; at least one.
      labels: class names, [C].
      top_k: classes to return at most.
      min_score: classes with a lower mean are left out.
    """
    table = np.stack(clip_scores)
    mean = table.mean(axis=0, dtype=np.float64).astype(np.float32)
    highest = table.max(axis=0)
    return tuple(
        dataclasses.replace(label, max_score=float(highest[label.class_id]))
        for label in top_labels(mean, labels, top_k, min_score)
    )


def _order(failure: Failure) -> tuple[int, int, str, str]:
    """First by place in the video; failures without a place hit the whole of it."""
    return (
        -1 if failure.segment_index is None else failure.segment_index,
        -1 if failure.clip_index is None else failure.clip_index,
        failure.stage,
        failure.code,
    )
