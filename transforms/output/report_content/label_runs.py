"""The labels of a video over time, as dataclasses."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.output.report_content.shown_clips import ShownClip


@dataclasses.dataclass(frozen=True)
class LabelRun:
    """Consecutive clips with the same label at one rank.

    Attributes:
      label: "" if the clips have no label of this rank.
      score: the mean score.
      num_clips: the number of clips.
      clip: the place of its surest clip in `Timeline.clips`; None if that is not shown.
    """

    start_ms: int
    end_ms: int
    label: str
    score: float
    num_clips: int
    clip: int | None = None


@dataclasses.dataclass(frozen=True)
class TimeSpan:
    """A part of a video in milliseconds."""

    start_ms: int
    end_ms: int


@dataclasses.dataclass(frozen=True)
class VideoFailure:
    """Why a video has no clips.

    Attributes:
      code: the error code.
      message: the error text; "" if there is none.
    """

    code: str
    message: str


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The labels of a video over time.

    Attributes:
      start_ms, end_ms: the labeled part of the video.
      lanes: the runs of the top, the second and the third label.
      gaps: the parts without clips: failed ones, or not sampled.
      num_changes: how often the top label changes.
      num_runs_left_out: the shortest runs of the top label, which are not in the lanes of a very long video.
      clips: a clip for each of the longest runs of the top label, by time.
      failure: of a video without clips, otherwise None.
    """

    video_uri: str
    start_ms: int
    end_ms: int
    lanes: tuple[tuple[LabelRun, ...], ...]
    gaps: tuple[TimeSpan, ...]
    num_changes: int
    num_runs_left_out: int
    clips: tuple[ShownClip, ...]
    failure: VideoFailure | None = None
