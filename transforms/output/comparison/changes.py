"""What changed between two selections of rows, as dataclasses: two runs, or two outputs."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from reelbeam.transforms.output.report_content.shown_clips import ScoredLabel, ShownClip

Verdict: TypeAlias = Literal["drift", "no drift", "too few videos", "not comparable"]
"""Whether the corpus drifted. "not comparable": model or sampling differ, so that a change is not one of the corpus."""

MIN_DRIFT = 0.1
"""The default of `--min_drift`: the estimate of moved videos above which a significant change is drift."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two selections.

    Attributes:
      name: of the run, or of the output.
      models: the names of the models of its rows.
      videos: the number of its videos.
      skipped: the number of inputs that its runs skipped, which have no row in them; 0 for the rows of an output.
    """

    name: str
    output: str
    models: tuple[str, ...]
    videos: int
    skipped: int = 0


@dataclasses.dataclass(frozen=True)
class FieldChange:
    """A setting of model or sampling that differs."""

    name: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True)
class ShareChange:
    """The share of the videos that have a label, a codec, a status or an error code.

    Attributes:
      videos_before, videos_after: numbers of videos.
      low, high: the 95 % interval of the difference of the shares, after - before (Newcombe 1998, method 10).
      is_significant: whether the change passes the Benjamini-Hochberg procedure at 0.1.
      of_before, of_after: the numbers of all videos of which these are shares.
    """

    name: str
    videos_before: int
    videos_after: int
    low: float
    high: float
    is_significant: bool
    of_before: int
    of_after: int

    @property
    def share_before(self) -> float:
        """The share before, in [0, 1]."""
        return self.videos_before / max(self.of_before, 1)

    @property
    def share_after(self) -> float:
        """The share after, in [0, 1]."""
        return self.videos_after / max(self.of_after, 1)

    @property
    def difference(self) -> float:
        """The difference of the shares, after - before."""
        return self.share_after - self.share_before


@dataclasses.dataclass(frozen=True)
class Distance:
    """The distance of the distributions of a number.

    Attributes:
      distance: the Wasserstein distance, in the unit of the number.
      p_value: by permutation of videos.
    """

    name: str
    distance: float
    p_value: float


@dataclasses.dataclass(frozen=True)
class Drift:
    """The comparison of two sets of videos.

    A video counts once, also if several of its ranges are labeled. Label shares are shares of the labeled videos,
    including those in which nothing was recognized; failed videos are only in `failures`.

    Attributes:
      observed_variation: the share of the videos that would need another label to make the label shares equal, in
        [0, 1].
      chance_variation: what it would be on average by chance alone, with these numbers of videos and labels.
      moved: an estimate of the share of the videos that moved to other labels, without what chance adds, in [0, 1].
      divergence_bits: the Jensen-Shannon divergence of the label shares, minus its mean under permutation.
      p_value: of the divergence, by permutation of videos.
      labels: the changes of label shares, the largest first; labels of fewer than 5 videos are pooled.
      facts: the changes of codec, container and picture size, with names such as "codec h264".
      failures: the changes of error codes.
      distances: of top score, entropy, duration, frame rate and size.
      labeled_before, labeled_after: the numbers of labeled videos with the settings that are compared.
    """

    verdict: Verdict
    observed_variation: float
    chance_variation: float
    moved: float
    divergence_bits: float
    p_value: float
    labels: tuple[ShareChange, ...]
    facts: tuple[ShareChange, ...]
    failures: tuple[ShareChange, ...]
    distances: tuple[Distance, ...]
    labeled_before: int = 0
    labeled_after: int = 0


@dataclasses.dataclass(frozen=True)
class ChangedVideo:
    """A video whose top label changed.

    Attributes:
      before, after: its first labels.
      clip: a clip of it, with the labels of `after`; None if it has none.
    """

    video_uri: str
    before: tuple[ScoredLabel, ...]
    after: tuple[ScoredLabel, ...]
    clip: ShownClip | None = None


@dataclasses.dataclass(frozen=True)
class Changes:
    """What changed.

    Attributes:
      settings: the differences of model and sampling; empty if there are none.
      both, new, lost: the numbers of videos in both, only in `after`, and only in `before`. A run has no rows for
        inputs that it skipped, so a video is not necessarily lost if `after.skipped` is not 0, or new if
        `before.skipped` is not 0. `lost` is None if `after` has only the rows that were made since `before`.
      relabeled: the number of videos in both whose top label changed.
      new_examples, lost_examples: some of their URIs, chosen by a hash.
      changed: some of the relabeled videos: those that were surest before and after.
      same_content: the number of videos in both whose content did not change.
    """

    before: Side
    after: Side
    settings: tuple[FieldChange, ...]
    drift: Drift
    both: int
    new: int
    lost: int | None
    relabeled: int
    new_examples: tuple[str, ...]
    lost_examples: tuple[str, ...]
    changed: tuple[ChangedVideo, ...]
    same_content: int = 0
