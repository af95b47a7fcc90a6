"""The content of a report as dataclasses. Its size depends on the number of shown clips, not on that of the videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
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
      labels: best first; empty if none passed `--min_score`.
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
class Labeling:
    """The runs with the same model, engine and sampling whose rows the report shows.

    Attributes:
      sampling: the settings that determine the frames, as text by name.
      num_runs: the number of runs; `first_run`, `last_run` are the names of the oldest and the newest.
      started_at, finished_at: of the oldest and of the newest run, ISO 8601.
      videos: the number of shown rows of the videos table.
      cost: what those runs have cost together; None if no run measured it.
    """

    model: str
    engine: str
    precision: str
    sampling: Mapping[str, str]
    num_runs: int
    first_run: str
    last_run: str
    started_at: str
    finished_at: str
    videos: int
    cost: Cost | None = None


@dataclasses.dataclass(frozen=True)
class Cost:
    """What runs have cost.

    Attributes:
      decode_cpu_seconds: of the decoder processes.
      model_cpu_seconds: of the model.
      video_seconds: the duration of the videos of those runs.
    """

    decode_cpu_seconds: float
    model_cpu_seconds: float
    video_seconds: float


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the shown rows of the videos table.

    Attributes:
      ok, partial, failed: videos by status; `videos` is their sum.
      unrecognized: videos that are ok or partial but have no label, because none passed `--min_score`.
      size_bytes: of all files; one with several ranges counts once.
      skipped: the inputs that the last run left out, by reason.
      ignored: the files that the last run ignored, by kind.
    """

    videos: int
    ok: int
    partial: int
    failed: int
    unrecognized: int
    clips: int
    video_ms: int
    size_bytes: int
    skipped: Mapping[str, int]
    ignored: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Example:
    """A failed input and its error message."""

    video_uri: str
    message: str


@dataclasses.dataclass(frozen=True)
class FailureGroup:
    """The videos that failed or are partial with one error code.

    Attributes:
      remedy: what to do, see `reelbeam.transforms.reference`.
      examples: up to 3.
    """

    code: str
    videos: int
    remedy: str
    examples: tuple[Example, ...]


@dataclasses.dataclass(frozen=True)
class Share:
    """A part of the corpus: a label, a codec, a picture size.

    Attributes:
      videos: the number of videos. For labels: of videos whose best label it is.
      video_ms: the duration of those videos; for labels: of the clips whose best label it is. Where clips overlap, each
        instant counts once.
    """

    name: str
    videos: int
    video_ms: int


@dataclasses.dataclass(frozen=True)
class Shares:
    """The largest parts of the corpus, largest first, and the sum of all others.

    Attributes:
      num_others: the number of parts in `others`.
      others: None if there are no other parts.
    """

    largest: tuple[Share, ...]
    num_others: int = 0
    others: Share | None = None


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A distribution.

    Attributes:
      edges: the n + 1 limits of the bins, ascending.
      counts: the n numbers of values.
      quartiles: the 25th, 50th and 75th percentile; None if there are no values.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    quartiles: tuple[float, float, float] | None


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What is in the corpus.

    Attributes:
      labels: the labels of most videos.
      labels_by_time: the labels of the longest duration.
      scores: of the best label of each clip.
      entropies: of each clip, in nats.
      durations: of each video, in seconds; the bins are logarithmic.
      picture_sizes: by the short side of the picture: "240p", "1080p".
    """

    labels: Shares
    scores: Histogram
    entropies: Histogram
    durations: Histogram
    picture_sizes: Shares
    codecs: Shares
    containers: Shares
    labels_by_time: Shares


@dataclasses.dataclass(frozen=True)
class LabelSheet:
    """Clips with one best label, each group with different videos where there are enough.

    Attributes:
      videos, clips: the numbers of videos and of clips with this best label.
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
      undecided: the clips with the smallest margin between the two best scores.
      unfamiliar: the clips with a low score and high logits: the model sees something that is not a class.
      sample: an unbiased sample of all clips, by a hash.
    """

    labels: tuple[LabelSheet, ...]
    least_certain: tuple[ShownClip, ...]
    undecided: tuple[ShownClip, ...]
    unfamiliar: tuple[ShownClip, ...]
    sample: tuple[ShownClip, ...]


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
class Timeline:
    """The labels of a video over time.

    Attributes:
      start_ms, end_ms: the labeled part of the video.
      lanes: the runs of the best, the second and the third label.
      gaps: the parts without clips: failed ones, or not sampled.
      num_changes: how often the best label changes.
      num_runs_left_out: the shortest runs of the best label, which are not in the lanes of a very long video.
      clips: a clip for each of the longest runs of the best label, by time.
    """

    video_uri: str
    start_ms: int
    end_ms: int
    lanes: tuple[tuple[LabelRun, ...], ...]
    gaps: tuple[TimeSpan, ...]
    num_changes: int
    num_runs_left_out: int
    clips: tuple[ShownClip, ...]


@dataclasses.dataclass(frozen=True)
class Content:
    """What a report shows of an output.

    Attributes:
      output: its folder or prefix.
      labelings: the newest first.
      failures: by error code, the most frequent first.
      num_timelines_left_out: the videos with changes of the best label that have no timeline.
      num_codes_left_out: the error codes that are not in `failures`.
    """

    output: str
    totals: Totals
    labelings: tuple[Labeling, ...]
    failures: tuple[FailureGroup, ...]
    corpus: Corpus
    sheets: Sheets
    timelines: tuple[Timeline, ...]
    num_timelines_left_out: int = 0
    num_codes_left_out: int = 0

    def clips(self) -> Iterator[ShownClip]:
        """Yields all shown clips; a clip may occur several times."""
        for sheet in self.sheets.labels:
            yield from (*sheet.surest, *sheet.median, *sheet.least)
        for clips in (self.sheets.least_certain, self.sheets.undecided, self.sheets.unfamiliar, self.sheets.sample):
            yield from clips
        for timeline in self.timelines:
            yield from timeline.clips
