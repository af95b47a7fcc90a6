"""The difference between two runs, from their rows: wherever these are now, compacted or not.

Two runs are compared by their rows. A run has no row of a video that it skips: one that was done before, for instance.
So a video that only A has a row of need not be gone, but where B skipped nothing. The numbers of skipped videos are
part of the result.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.commits import Run
from reelbeam.transforms.output.ledger import Work
from reelbeam.transforms.output.tables import Output, count_by, read_run
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.schemas import RANGE

_COLUMNS = ("video_uri", *RANGE, "status", "top_label", "top_score", "error_code")


def compare(
    output: Output, first: Sequence[Run], second: Sequence[Run], on_file: Callable[[str], None] = lambda path: None
) -> dict[str, Any]:
    """Returns how the rows of two runs differ, JSON-serializable; each may be several, the parts of a backfill.

    Raises:
      MediaError: a file cannot be read.
    """
    before, after = (_named(read_run(output, runs, "videos", _COLUMNS, on_file)) for runs in (first, second))
    both = before.join(after, "video_uri", join_type="inner", left_suffix="_before", right_suffix="_after")
    both = both.sort_by("video_uri")
    relabeled = both.filter(_differs(both, "top_label"))
    changed = both.filter(_differs(both, "status"))
    scores = pc.abs(pc.subtract(both["top_score_after"], both["top_score_before"]))
    return {
        "before": [run.run_id for run in first],
        "after": [run.run_id for run in second],
        "num_videos": {"before": before.num_rows, "after": after.num_rows, "both": both.num_rows},
        "skipped": {"before": _skipped(first).total(), "after": _skipped(second).total()},
        "skipped_by_reason": {"before": dict(_skipped(first)), "after": dict(_skipped(second))},
        "work": _work_differences(first[0], second[0]),
        "new": _only_in(after, before),
        "lost": _only_in(before, after),
        "relabeled": relabeled.select(_pairs("top_label", "top_score")).to_pylist(),
        "status_changed": changed.select(_pairs("status", "error_code")).to_pylist(),
        "largest_score_change": pc.max(scores).as_py(),
        "errors": _drift(read_run(output, first, "errors", ["code"]), read_run(output, second, "errors", ["code"])),
    }


def _named(rows: pa.Table) -> pa.Table:
    """Returns rows whose `video_uri` tells the ranges of a video apart, without the columns of the range."""
    columns = (rows[name].to_pylist() for name in ("video_uri", *RANGE))
    names = pa.array([shown_input(*facts) for facts in zip(*columns, strict=True)], pa.string())
    return rows.set_column(0, "video_uri", names).drop_columns(list(RANGE))


def _pairs(*names: str) -> list[str]:
    return ["video_uri", *(f"{name}_{side}" for name in names for side in ("before", "after"))]


def _differs(both: pa.Table, name: str) -> pa.ChunkedArray:
    """Null is a value like any other: that of a video without labels."""
    before, after = (pc.fill_null(both[f"{name}_{side}"], "") for side in ("before", "after"))
    return pc.not_equal(before, after)


def _only_in(rows: pa.Table, others: pa.Table) -> list[str]:
    found = rows.select(["video_uri"]).join(others.select(["video_uri"]), "video_uri", join_type="left anti")
    return sorted(found["video_uri"].to_pylist())


def _skipped(runs: Sequence[Run]) -> collections.Counter[str]:
    return sum((collections.Counter(run.summary["skipped"]) for run in runs), collections.Counter())


def _work_differences(first: Run, second: Run) -> dict[str, dict[str, Any]]:
    """Returns in what the work of two runs differs, and the names of both models where the models do."""
    sides = {"before": first.summary, "after": second.summary}
    names = [name for name in Work._fields if sides["before"].get(name) != sides["after"].get(name)]
    names += ["model"] if "model_fingerprint" in names else []
    return {name: {side: summary.get(name) for side, summary in sides.items()} for name in names}


def _drift(before: pa.Table, after: pa.Table) -> dict[str, dict[str, int]]:
    """By code, how many rows of the errors table there were and are."""
    old, new = (count_by(rows, "code") for rows in (before, after))
    return {code: {"before": old.get(code, 0), "after": new.get(code, 0)} for code in sorted(old.keys() | new.keys())}
