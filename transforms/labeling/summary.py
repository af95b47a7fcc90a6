"""The summary of a video, from its plan, its scores and its failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reelbeam.transforms.records import Failure, LabelScore, PlannedVideo, VideoRef, VideoSummary


def summarize(
    video: VideoRef,
    planned: Sequence[PlannedVideo],
    num_clips: int,
    labels: tuple[LabelScore, ...],
    failures: Iterable[Failure],
) -> VideoSummary:
    """Returns the summary of one video.

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
    """Orders failures by their place in the video; those without a place concern the whole video and come first."""
    return (
        -1 if failure.segment_index is None else failure.segment_index,
        -1 if failure.clip_index is None else failure.clip_index,
        failure.stage,
        failure.code,
    )
