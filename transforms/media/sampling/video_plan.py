"""Plan the clips of one video, for either kind of model and for a range of the video."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from fractions import Fraction

from reelbeam.transforms.errors import RangeOutsideVideoError
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.segments import key_frame_seconds, plan_segments
from reelbeam.transforms.media.sampling.stream import plan_separate_clips, plan_stream_spans, warm_up_segments
from reelbeam.transforms.records import ClipSpan, MediaInfo, VideoRef
from reelbeam.transforms.records.time_range import WHOLE, TimeRange
from reelbeam.transforms.redaction import without_query


def labeled_seconds(video: VideoRef, duration_seconds: Fraction) -> Fraction:
    """Returns the length of the part of a video that is labeled, in seconds.

    Args:
      video: the video, with its time range.
      duration_seconds: the duration of the whole video.

    Raises:
      RangeOutsideVideoError: the time range is not inside the video.
    """
    if not video.time_range.is_inside(duration_seconds):
        raise RangeOutsideVideoError(
            f"{without_query(video.video_uri)}: the range from {video.time_range} is not inside the video, which lasts "
            f"{float(duration_seconds):g} s; correct start_seconds and end_seconds, or leave end_seconds empty"
        )
    start, end = video.time_range.bounds(duration_seconds)
    return end - start


def plan_parts(
    media: MediaInfo, sampling: ClipSampling, time_range: TimeRange = WHOLE
) -> Sequence[tuple[ClipSpan, ...]]:
    """Returns the clips of each segment of a video, for either kind of model.

    A time range is planned as a video of its own, which begins at the start of the range.
    """
    start, end = time_range.bounds(media.duration_seconds)
    key_frames = [seconds - start for seconds in key_frame_seconds(media)]
    if sampling.kind == "base":
        parts = plan_segments(plan_clip_spans(end - start, sampling), key_frames)
    else:
        clips = plan_stream_spans(end - start, sampling)
        parts = tuple(warm_up_segments(plan_segments(clips, key_frames, sampling.warm_up), sampling))
    return parts if start == 0 else [tuple(_shifted(clip, start) for clip in part) for part in parts]


def plan_some_clips(
    duration_seconds: Fraction, sampling: ClipSampling, time_range: TimeRange, wanted: Collection[int]
) -> list[ClipSpan]:
    """Returns some clips of a video as `plan_parts` plans them, but without segments and warm-ups.

    Args:
      duration_seconds: the duration of the whole video.
      sampling: the parameters of clip sampling.
      time_range: the part of the video that is labeled.
      wanted: the `clip_index` of each clip to return.
    """
    start, end = time_range.bounds(duration_seconds)
    plan = plan_clip_spans if sampling.kind == "base" else plan_separate_clips
    return [_shifted(clip, start) for clip in plan(end - start, sampling, wanted)]


def _shifted(clip: ClipSpan, seconds: Fraction) -> ClipSpan:
    return dataclasses.replace(clip, start_seconds=clip.start_seconds + seconds, end_seconds=clip.end_seconds + seconds)
