"""The clips of a video, as segments for the workers."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from reelbeam.transforms.labeling.config import PlannerConfig
from reelbeam.transforms.media.sampling.clips import max_num_clips
from reelbeam.transforms.media.sampling.segments import clip_seconds, media_of_segment
from reelbeam.transforms.media.sampling.video_plan import labeled_seconds, plan_parts
from reelbeam.transforms.records import MediaInfo, PlannedVideo, SegmentSpan, VideoRef


class VideoPlan(NamedTuple):
    """What is decoded of a video.

    Attributes:
      planned: the video, without the times of its key frames.
      segments: a long video has several, a video without a clip (`--tail_policy drop`) has none.
    """

    planned: PlannedVideo
    segments: tuple[SegmentSpan, ...]


def plan_video(video: VideoRef, media: MediaInfo, config: PlannerConfig) -> VideoPlan:
    """Returns the plan of a video.

    Args:
      video: the input.
      media: its headers and packet times.
      config: of the step.

    Raises:
      MediaError: the video is too long, has too many clips, or does not have the range.
    """
    duration = labeled_seconds(video, media.duration_seconds)
    config.limits.check_clips(video.video_uri, max_num_clips(duration, config.sampling))
    parts = plan_parts(media, config.sampling, video.time_range)
    bare = dataclasses.replace(media, key_frame_pts=())
    segments = tuple(
        SegmentSpan(video, media_of_segment(media, part), index, len(parts), part) for index, part in enumerate(parts)
    )
    return VideoPlan(PlannedVideo(video, bare, len(parts), sum(map(len, parts))), segments)


def segment_weight(segment: SegmentSpan) -> float:
    """Estimates the work to decode a segment, in pixels."""
    media = segment.media
    return float(clip_seconds(segment.clips)) * (media.source_fps or 1) * media.width * media.height
