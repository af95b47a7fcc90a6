"""The content of a report as dataclasses. Its size depends on the number of shown clips, not on that of the videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from reelbeam.transforms.output.report_content.label_runs import Timeline
from reelbeam.transforms.output.report_content.shares import Corpus
from reelbeam.transforms.output.report_content.shown_clips import Sheets, ShownClip


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
      scale_cpu_seconds, decoder_wait_seconds, model_wait_seconds: as in `RunCost`; None if unknown.
      planned_cpu_seconds: what `reelbeam plan` estimates for the same clips; None if unknown.
    """

    decode_cpu_seconds: float
    model_cpu_seconds: float
    video_seconds: float
    scale_cpu_seconds: float | None = None
    decoder_wait_seconds: float | None = None
    model_wait_seconds: float | None = None
    planned_cpu_seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the shown rows of the videos table.

    Attributes:
      ok, partial, failed: videos by status; `videos` is their sum.
      nothing_recognized: videos that are ok or partial but have no label, because none passed.
      size_bytes: of all files; one with several ranges counts once.
      skipped: the inputs that the last run left out, by reason.
      ignored: the files that the last run ignored, by kind.
    """

    videos: int
    ok: int
    partial: int
    failed: int
    nothing_recognized: int
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
class Content:
    """What a report shows of an output.

    Attributes:
      output: its folder or prefix.
      labelings: the newest first.
      failures: by error code, the most frequent first.
      num_timelines_left_out: the videos with changes of the top label that have no timeline.
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
