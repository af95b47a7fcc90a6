"""All differences between the rows of two runs, compacted or not, or between the current rows of two outputs.

A run has no row for a video that it skipped, for example because it was labeled before. So a video with a row in the
first run only is not necessarily lost, unless the second run skipped nothing. The result includes the numbers of
skipped videos. Two outputs have no skipped videos: the current row of a video is there, whatever run wrote it.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.comparison.changes import MIN_DRIFT, Drift, FieldChange
from reelbeam.transforms.output.comparison.drift import measure_drift
from reelbeam.transforms.output.comparison.samples import video_sample
from reelbeam.transforms.output.comparison.settings import KeyDifference, key_differences, setting_changes
from reelbeam.transforms.output.comparison.side_rows import Pairs, SideRows, differs, plain, same_content
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows


@dataclasses.dataclass(frozen=True)
class LabelChange:
    """A video whose top label changed."""

    video_uri: str
    top_label_before: str | None
    top_label_after: str | None
    top_score_before: float | None
    top_score_after: float | None


@dataclasses.dataclass(frozen=True)
class StatusChange:
    """A video whose status changed."""

    video_uri: str
    status_before: str
    status_after: str
    error_code_before: str | None
    error_code_after: str | None


@dataclasses.dataclass(frozen=True)
class BeforeAfter:
    """A number before and after."""

    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Reasons:
    """The numbers of skipped inputs of both runs, by reason."""

    before: Mapping[str, int]
    after: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class VideoNumbers:
    """The numbers of videos with rows before, after, and both."""

    before: int
    after: int
    both: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Differences:
    """The differences between the rows of two sides: two runs, or two outputs.

    Attributes:
      before, after: the names of the runs, several for a run in parts; the URI of the output.
      skipped, skipped_by_reason: the numbers of skipped inputs of two runs; None for two outputs.
      labeling_key: the differences of the labeling keys by column; "model" has the names of the models.
      new, lost: the videos with rows after only, or before only.
      largest_score_change: the largest change of a top score; None if no video has rows on both sides.
      errors: the numbers of rows of the errors table, by code.
      settings: the differences of model and sampling, for people.
      drift: the comparison of label shares.
      same_content: the number of videos on both sides whose content did not change.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    num_videos: VideoNumbers
    skipped: BeforeAfter | None = None
    skipped_by_reason: Reasons | None = None
    labeling_key: Mapping[str, KeyDifference]
    new: tuple[str, ...]
    lost: tuple[str, ...]
    relabeled: tuple[LabelChange, ...]
    status_changed: tuple[StatusChange, ...]
    largest_score_change: float | None
    errors: Mapping[str, BeforeAfter]
    settings: tuple[FieldChange, ...]
    drift: Drift
    same_content: int


def find_differences(
    first: ShownRows,
    second: ShownRows,
    min_drift: float = MIN_DRIFT,
    on_file: OnFile = lambda path: None,
) -> Differences:
    """Returns the differences between two sides.

    Args:
      first, second: the rows of both sides: of runs, or the current rows of outputs.
      min_drift: the estimate of moved videos above which a significant change is drift.
      on_file: called for each file that is read.

    Raises:
      StorageError: a file cannot be read.
    """
    before, after = SideRows.read(first, on_file), SideRows.read(second, on_file)
    pairs = Pairs.of(before, after)
    settings = setting_changes(before, after)
    skipped = [skipped_inputs(shown) for shown in (first, second)]
    is_of_runs = first.chosen_runs is not None and second.chosen_runs is not None
    relabeled = _changed_rows(before, after, pairs, "top_label", "top_score")
    status_changed = _changed_rows(before, after, pairs, "status", "error_code")
    return Differences(
        before=_names(first),
        after=_names(second),
        num_videos=VideoNumbers(len(before.rows), len(after.rows), len(pairs.before)),
        skipped=BeforeAfter(*(each.total() for each in skipped)) if is_of_runs else None,
        skipped_by_reason=Reasons(*map(dict, skipped)) if is_of_runs else None,
        labeling_key=key_differences(before, after),
        new=tuple(sorted(after.names(pairs.only_after))),
        lost=tuple(sorted(before.names(pairs.only_before))),
        relabeled=tuple(LabelChange(**row) for row in relabeled.to_pylist()),
        status_changed=tuple(StatusChange(**row) for row in status_changed.to_pylist()),
        largest_score_change=_largest_change(before, after, pairs),
        errors=_errors(first, second, on_file),
        settings=settings,
        drift=measure_drift(video_sample(before), video_sample(after), not settings, min_drift),
        same_content=int(np.count_nonzero(same_content(before, after, pairs))),
    )


def skipped_inputs(shown: ShownRows) -> collections.Counter[str]:
    """Returns the numbers of inputs that the runs of a side skipped, by reason; empty for the rows of an output."""
    return sum((collections.Counter(run.labeled.skipped) for run in shown.chosen_runs or ()), collections.Counter())


def _names(shown: ShownRows) -> tuple[str, ...]:
    return (shown.output.uri,) if shown.chosen_runs is None else tuple(run.run_id for run in shown.chosen_runs)


def _changed_rows(before: SideRows, after: SideRows, pairs: Pairs, name: str, other_name: str) -> pa.Table:
    """Returns the videos where the first column differs, with both columns of both sides, by name."""
    is_changed = differs(before, after, pairs, name)
    sides = {"before": (before, pairs.before[is_changed]), "after": (after, pairs.after[is_changed])}
    columns = {"video_uri": pa.array(after.names(pairs.after[is_changed]), pa.string())} | {
        f"{each}_{side}": plain(rows.rows[each].take(pa.array(places)))
        for each in (name, other_name)
        for side, (rows, places) in sides.items()
    }
    return pa.table(columns).sort_by("video_uri")


def _largest_change(before: SideRows, after: SideRows, pairs: Pairs) -> float | None:
    first, second = (
        side.rows["top_score"].take(pa.array(places)) for side, places in ((before, pairs.before), (after, pairs.after))
    )
    largest: float | None = pc.max(pc.abs(pc.subtract(second, first))).as_py()
    return largest


def _errors(first: ShownRows, second: ShownRows, on_file: OnFile) -> dict[str, BeforeAfter]:
    """Returns the numbers of rows of the errors table on both sides, by code."""
    old, new = (_error_counts(shown, on_file) for shown in (first, second))
    return {code: BeforeAfter(old[code], new[code]) for code in sorted(old.keys() | new.keys())}


def _error_counts(shown: ShownRows, on_file: OnFile) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for batch in shown.batches("errors", ["code"], on_file):
        counts.update({each["values"]: each["counts"] for each in pc.value_counts(batch["code"]).to_pylist()})
    return counts
