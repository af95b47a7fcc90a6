"""The parts of run documents: counts, cost, errors, labels and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from reelbeam.transforms.output.documents import Amount, Count, require_files


@dataclasses.dataclass(frozen=True)
class RowCounts:
    """The numbers of rows in the files of a compaction."""

    videos: Count
    clips: Count


@dataclasses.dataclass(frozen=True)
class Counts:
    """The counts of a run.

    Attributes:
      inputs: the listed inputs: `videos` plus `skipped`.
      videos: the rows of the videos table: `ok` plus `partial` plus `failed`.
      video_clips: the sum of `num_clips` over the rows of the videos table.
      ok_videos_without_all_clips: always 0 in a committed run.
      video_ms: the duration of the videos in milliseconds.
      first_attempts: the videos for which no earlier run recorded a failure.
      failed_first_attempts: those of the first attempts that failed.
      clips: the rows of the clips table.
      skipped: the inputs that were not labeled.
      excused: the failed files that do not count as failures.
    """

    inputs: Count
    videos: Count
    ok: Count
    partial: Count
    failed: Count
    video_clips: Count
    ok_videos_without_all_clips: Count
    video_ms: Count
    first_attempts: Count
    failed_first_attempts: Count
    clips: Count
    skipped: Count
    excused: Count = 0

    @classmethod
    def total(cls, counts: Iterable[Counts]) -> Counts:
        """Returns the sums over several runs."""
        entries = list(counts)
        return cls(*(sum(getattr(entry, field.name) for entry in entries) for field in dataclasses.fields(cls)))


@dataclasses.dataclass(frozen=True)
class RunCost:
    """What a run has cost.

    On a cluster, bundles that failed and were repeated are not included: the cost is that of the attempts whose rows
    were committed. It depends on the machine and its load, unlike the rows.

    Attributes:
      decode_cpu_seconds: the CPU time of the decoder processes, user and system, as the kernel measured it: their
        start, reading headers, decoding and scaling, whether they succeeded or were killed.
      model_cpu_seconds: the CPU time of the workers' processes while they classified clips, see
        `reelbeam.transforms.models.cpu_meter`. Loading the model is not included.
      bytes_fetched: the bytes of remote videos that were read from their stores.
      scale_cpu_seconds: the part of `decode_cpu_seconds` for cropping and scaling frames. A decoder process that
        crashed or was killed did not report its part.
      decoder_wait_seconds: the time that workers waited for decoder processes, summed over their threads.
      model_wait_seconds: the time that decoder processes waited for the model to take a clip, summed over them. If it
        is longer than `decoder_wait_seconds`, the model is the bottleneck, else decoding is.
      store_wait_seconds: the time that workers waited for bytes of remote videos, summed over their threads.

    The last four are unknown (None, absent in JSON) for runs of older releases, and for runs without work.
    """

    decode_cpu_seconds: Amount = 0.0
    model_cpu_seconds: Amount = 0.0
    bytes_fetched: Count = 0
    scale_cpu_seconds: Amount | None = None
    decoder_wait_seconds: Amount | None = None
    model_wait_seconds: Amount | None = None
    store_wait_seconds: Amount | None = None

    @classmethod
    def total(cls, costs: Iterable[RunCost]) -> RunCost:
        """Returns the sums over several runs, or parts of a run, rounded to microseconds; unknown amounts are left out.

        An amount that is unknown in all of them is unknown.
        """
        entries = list(costs)
        sums: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            known = [amount for entry in entries if (amount := getattr(entry, field.name)) is not None]
            sums[field.name] = round(sum(known), 6) if known else field.default
        return cls(**sums)


@dataclasses.dataclass(frozen=True)
class PlannedCost:
    """The cost that `reelbeam plan` estimates, from benchmarks on another machine.

    Attributes:
      decode_cpu_seconds: of decoding and scaling.
      model_cpu_seconds: of the model; None if the cost of the model is not known.
    """

    decode_cpu_seconds: Amount
    model_cpu_seconds: Amount | None = None

    def times(self, number: int) -> PlannedCost:
        """Returns the cost of several clips, from that of one."""
        model = self.model_cpu_seconds
        return PlannedCost(
            round(self.decode_cpu_seconds * number, 6), None if model is None else round(model * number, 6)
        )

    @classmethod
    def total(cls, costs: Iterable[PlannedCost]) -> PlannedCost:
        """Returns the sum over several runs. The cost of the model is unknown if it is unknown for one of them."""
        entries = list(costs)
        models = [entry.model_cpu_seconds for entry in entries]
        return cls(
            round(sum(entry.decode_cpu_seconds for entry in entries), 6),
            None if None in models else round(sum(amount or 0.0 for amount in models), 6),
        )

    @property
    def cpu_seconds(self) -> float | None:
        """The sum; None if it is not known."""
        return None if self.model_cpu_seconds is None else self.decode_cpu_seconds + self.model_cpu_seconds


@dataclasses.dataclass(frozen=True)
class ErrorCount:
    """The number of rows of the errors table with a code, and an example from the run."""

    code: str
    count: Count
    video_uri: str | None = None
    message: str | None = None


@dataclasses.dataclass(frozen=True)
class LabelCount:
    """The number of videos with a top label."""

    label: str
    videos: Count


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of each table, with the paths at the time of the run."""

    videos: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def of(self, table: str) -> tuple[str, ...]:
        """Returns the files of a table."""
        return vars(self)[table]

    def require_own(self, uri: str, run_id: str) -> None:
        """Raises UnusableFileError if the document at `uri` names a file of another run.

        Only the ends of the paths, below the output, are compared, because the output may have been moved.
        """
        for table in vars(self):
            ends = ("/".join(path.split("/")[-3:]) for path in self.of(table))
            require_files(uri, f"files.{table}", ends, [run_id], table)
