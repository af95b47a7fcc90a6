"""Compare the rows of two runs, compacted or not.

A run has no row for a video that it skipped, for example because it was labeled before. So a video with a row in the
first run only is not necessarily lost, unless the second run skipped nothing. The result includes the numbers of
skipped videos.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.run_document import KEY_COLUMNS, LabelingKey
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.output.tables import Output, count_by, read_run
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.schemas import RANGE

_COLUMNS = ("video_uri", *RANGE, "status", "top_label", "top_score", "error_code")


@dataclasses.dataclass(frozen=True)
class Relabeled:
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
    """A number for the first run and for the second run."""

    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Reasons:
    """The numbers of skipped inputs of both runs, by reason."""

    before: Mapping[str, int]
    after: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class KeyDifference:
    """A field in which the labeling keys of two runs differ."""

    before: str | int
    after: str | int


@dataclasses.dataclass(frozen=True)
class VideoNumbers:
    """The numbers of videos with rows in the first run, in the second, and in both."""

    before: int
    after: int
    both: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The differences between the rows of two runs.

    Attributes:
      before, after: the names of the runs; several for a run in parts.
      skipped: the numbers of skipped inputs.
      labeling_key: the differences of the labeling keys by column; "model" has the names of the models.
      new, lost: the videos with rows in the second run only, or in the first run only.
      largest_score_change: the largest change of a top score; None if no video has rows in both runs.
      errors: the numbers of rows of the errors table, by code.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    num_videos: VideoNumbers
    skipped: BeforeAfter
    skipped_by_reason: Reasons
    labeling_key: Mapping[str, KeyDifference]
    new: tuple[str, ...]
    lost: tuple[str, ...]
    relabeled: tuple[Relabeled, ...]
    status_changed: tuple[StatusChange, ...]
    largest_score_change: float | None
    errors: Mapping[str, BeforeAfter]


def compare(
    output: Output, first: Sequence[Run], second: Sequence[Run], on_file: Callable[[str], None] = lambda path: None
) -> Comparison:
    """Returns the differences between the rows of two runs.

    Args:
      output: the output.
      first, second: the runs; several for a run in parts.
      on_file: called for each file that is read.

    Raises:
      StorageError: a file cannot be read.
    """
    before, after = (_named(read_run(output, runs, "videos", _COLUMNS, on_file)) for runs in (first, second))
    both = before.join(after, "video_uri", join_type="inner", left_suffix="_before", right_suffix="_after")
    both = both.sort_by("video_uri")
    relabeled = both.filter(_differs(both, "top_label"))
    changed = both.filter(_differs(both, "status"))
    scores = pc.abs(pc.subtract(both["top_score_after"], both["top_score_before"]))
    return Comparison(
        before=tuple(run.run_id for run in first),
        after=tuple(run.run_id for run in second),
        num_videos=VideoNumbers(before.num_rows, after.num_rows, both.num_rows),
        skipped=BeforeAfter(_skipped(first).total(), _skipped(second).total()),
        skipped_by_reason=Reasons(dict(_skipped(first)), dict(_skipped(second))),
        labeling_key=_key_differences(first[0], second[0]),
        new=_only_in(after, before),
        lost=_only_in(before, after),
        relabeled=tuple(Relabeled(**row) for row in relabeled.select(_pairs("top_label", "top_score")).to_pylist()),
        status_changed=tuple(StatusChange(**row) for row in changed.select(_pairs("status", "error_code")).to_pylist()),
        largest_score_change=pc.max(scores).as_py(),
        errors=_drift(read_run(output, first, "errors", ["code"]), read_run(output, second, "errors", ["code"])),
    )


def _named(rows: pa.Table) -> pa.Table:
    """Returns rows with the range included in `video_uri` instead of in columns."""
    columns = (rows[name].to_pylist() for name in ("video_uri", *RANGE))
    names = pa.array([shown_input(*facts) for facts in zip(*columns, strict=True)], pa.string())
    return rows.set_column(0, "video_uri", names).drop_columns(list(RANGE))


def _pairs(*names: str) -> list[str]:
    return ["video_uri", *(f"{name}_{side}" for name in names for side in ("before", "after"))]


def _differs(both: pa.Table, name: str) -> pa.ChunkedArray:
    """Compares a column before and after; null, as for a video without labels, is equal to null."""
    before, after = (pc.fill_null(both[f"{name}_{side}"], "") for side in ("before", "after"))
    return pc.not_equal(before, after)


def _only_in(rows: pa.Table, others: pa.Table) -> tuple[str, ...]:
    found = rows.select(["video_uri"]).join(others.select(["video_uri"]), "video_uri", join_type="left anti")
    return tuple(sorted(found["video_uri"].to_pylist()))


def _skipped(runs: Sequence[Run]) -> collections.Counter[str]:
    return sum((collections.Counter(run.labeled.skipped) for run in runs), collections.Counter())


def _key_differences(first: Run, second: Run) -> dict[str, KeyDifference]:
    """Returns the differences of two runs' labeling keys, and the names of the models if these differ."""
    keys = [LabelingKey.of(run.labeled) for run in (first, second)]
    found = {name: KeyDifference(*(getattr(key, name) for key in keys)) for name in KEY_COLUMNS}
    found = {name: sides for name, sides in found.items() if sides.before != sides.after}
    if "model_fingerprint" in found:
        found["model"] = KeyDifference(first.labeled.model, second.labeled.model)
    return found


def _drift(before: pa.Table, after: pa.Table) -> dict[str, BeforeAfter]:
    """Returns the numbers of rows of the errors table in both runs, by code."""
    old, new = ({str(code): n for code, n in count_by(rows, "code").items()} for rows in (before, after))
    return {code: BeforeAfter(old.get(code, 0), new.get(code, 0)) for code in sorted(old.keys() | new.keys())}
