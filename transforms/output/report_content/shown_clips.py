"""The clips of a report, and its contact sheets, as dataclasses."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple


class ClipKey(NamedTuple):
    """Identifies a row of the clips table."""

    video_uri: str
    range_start_ms: int | None
    range_end_ms: int | None
    clip_index: int
    run_id: str


@dataclasses.dataclass(frozen=True)
class ScoredLabel:
    """A label and its score in [0, 1]."""

    label: str
    score: float


@dataclasses.dataclass(frozen=True)
class ShownClip:
    """A clip that the report shows.

    Attributes:
      key: its row.
      start_ms, end_ms: its place in the video.
      labels: the highest score first; empty if none passed.
      entropy: of the scores, in nats.
      log_sum_exp: of the logits.
      num_frames, num_real_frames: the frames of the clip, and those that are not repeats.
      content_version, size_bytes: of the video when it was labeled.
    """

    key: ClipKey
    start_ms: int
    end_ms: int
    labels: tuple[ScoredLabel, ...]
    entropy: float
    log_sum_exp: float
    num_frames: int
    num_real_frames: int
    content_version: str
    size_bytes: int | None


@dataclasses.dataclass(frozen=True)
class LabelSheet:
    """Clips with one top label, each group with different videos where there are enough.

    Attributes:
      videos, clips: the numbers of videos and of clips with this top label.
      surest, median, least: the clips with the highest, the middle and the lowest score.
    """

    label: str
    videos: int
    clips: int
    surest: tuple[ShownClip, ...]
    median: tuple[ShownClip, ...]
    least: tuple[ShownClip, ...]


@dataclasses.dataclass(frozen=True)
class Sheets:
    """The contact sheets.

    Attributes:
      labels: of the most frequent labels.
      least_certain: the clips with the highest entropy; one per video, at most three per label.
      undecided: the clips with the smallest margin between the two top scores.
      unfamiliar: the clips with a low score and high logits: the model sees something that is not a class.
      sample: an unbiased sample of all clips, by a hash.
    """

    labels: tuple[LabelSheet, ...]
    least_certain: tuple[ShownClip, ...]
    undecided: tuple[ShownClip, ...]
    unfamiliar: tuple[ShownClip, ...]
    sample: tuple[ShownClip, ...]
