"""The rows of one side of a comparison as arrays, and which videos are on both sides.

A side needs some 450 bytes of memory for each video while it is read, and fewer afterwards.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.arrays import Floats, Mask, Numbers
from reelbeam.transforms.output.report_content.media_names import container_names, picture_sizes
from reelbeam.transforms.output.report_content.shown_rows import NumberedRows, OnFile, ShownRows
from reelbeam.transforms.output.run_document import KEY_COLUMNS, LabelingKey
from reelbeam.transforms.output.tables import answers
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.schemas import RANGE, VIDEOS

_KEPT = (
    *("video_uri", *RANGE, "uri_key", "status", "top_label", "top_score", "error_code"),
    *("duration_ms", "source_fps", "size_bytes", "content_version"),
)
_READ = (*_KEPT, "codec", "container", "width", "height", "run_id", *KEY_COLUMNS)
_NUMBER, _LABELING = "number", "labeling"


@dataclasses.dataclass(frozen=True)
class SideRows:
    """The rows of one side, one for each input, in the order of `uri_key`.

    Attributes:
      rows: the columns of the videos table that are compared, and "picture size"; `container` has the first name only,
        and `top_label` is that of `answers`.
      entropies: the mean over the clips of each row in nats; NaN if it has no clips.
      labeling_key: that of most rows; that of the last run if there are no rows. None if there is no run either.
      has_labeling_key: whether a row has that key.
      rows_by_run: the numbers of rows by `run_id`.
    """

    shown: ShownRows
    rows: pa.Table
    entropies: Floats
    labeling_key: LabelingKey | None
    has_labeling_key: Mask
    rows_by_run: Mapping[str, int]

    @classmethod
    def read(cls, shown: ShownRows, on_file: OnFile = lambda path: None, with_entropies: bool = True) -> SideRows:
        """Reads the rows of one side.

        Args:
          shown: the rows.
          on_file: called for each file that is read.
          with_entropies: whether to read the clips table.

        Raises:
          StorageError: a file cannot be read.
        """
        codes: dict[LabelingKey, int] = {}
        no_rows = NumberedRows(pa.RecordBatch.from_pylist([], VIDEOS).select(_READ), np.empty(0, np.int64))
        found = [no_rows, *shown.numbered("videos", _READ, on_file)]
        batches, rows_by_run = [], collections.Counter[str]()
        for each in found:
            batches.append(_kept(each, _labelings(each.batch, codes)))
            rows_by_run.update(
                {run["values"]: run["counts"] for run in pc.value_counts(each.batch["run_id"]).to_pylist()}
            )
        rows = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
        rows = rows.take(pc.sort_indices(rows["uri_key"]))
        labelings = rows[_LABELING].to_numpy()
        counts = np.bincount(labelings, minlength=len(codes))
        keys = list(codes)
        labeling_key = keys[int(counts.argmax())] if keys else _last_key(shown)
        entropies = _entropies(shown, on_file) if with_entropies else np.full(shown.num_videos, np.nan)
        has_key = labelings == codes.get(labeling_key, -1) if labeling_key else np.zeros(len(rows), bool)
        return cls(shown, rows, entropies[rows[_NUMBER].to_numpy()], labeling_key, has_key, rows_by_run)

    @property
    def keys(self) -> Numbers:
        """The hash of each input, ascending."""
        keys: Numbers = self.rows["uri_key"].to_numpy()
        return keys

    @property
    def numbers(self) -> Numbers:
        """The number of each input in `ShownRows`."""
        numbers: Numbers = self.rows[_NUMBER].to_numpy()
        return numbers

    def names(self, places: Numbers) -> list[str]:
        """Returns inputs as text: the URI, and the range if there is one.

        Args:
          places: the places of their rows.
        """
        rows = self.rows.select(["video_uri", *RANGE]).take(pa.array(places))
        return [shown_input(*values) for values in zip(*(column.to_pylist() for column in rows), strict=True)]


def _kept(rows: NumberedRows, labelings: Numbers) -> pa.RecordBatch:
    batch = rows.batch
    facts = {
        "codec": batch["codec"],
        "container": container_names(batch["container"]),
        "picture size": picture_sizes(batch["width"], batch["height"]),
    }
    texts = facts | {name: batch[name] for name in ("status", "error_code")}
    texts["top_label"] = answers(batch["top_label"], batch["status"])
    columns = {name: batch[name] for name in _KEPT} | {name: text.dictionary_encode() for name, text in texts.items()}
    return pa.RecordBatch.from_pydict(columns | {_NUMBER: rows.videos, _LABELING: labelings})


def _labelings(batch: pa.RecordBatch, codes: dict[LabelingKey, int]) -> Numbers:
    """Returns a number for the labeling key of each row, and adds the numbers of new keys to `codes`."""
    columns = [batch[name].dictionary_encode() for name in KEY_COLUMNS]
    places = np.stack([column.indices.to_numpy() for column in columns], axis=1)
    distinct, inverse = np.unique(places, axis=0, return_inverse=True)
    values = [column.dictionary.to_pylist() for column in columns]
    keys = [LabelingKey(*(known[place] for known, place in zip(values, row, strict=True))) for row in distinct]
    numbers: Numbers = np.array([codes.setdefault(key, len(codes)) for key in keys], np.int64)
    return numbers[inverse.reshape(-1)]


def _last_key(shown: ShownRows) -> LabelingKey | None:
    return LabelingKey.of(shown.last_runs[-1].labeled) if shown.last_runs else None


def _entropies(shown: ShownRows, on_file: OnFile) -> Floats:
    """Returns the mean entropy of the clips of each row, by its number; NaN if it has none."""
    sums, counts = np.zeros(shown.num_videos), np.zeros(shown.num_videos)
    for batch, videos in shown.numbered("clips", ["entropy"], on_file):
        entropies = batch["entropy"].to_numpy().astype(np.float64)
        is_known = np.isfinite(entropies)
        sums += np.bincount(videos[is_known], entropies[is_known], shown.num_videos)
        counts += np.bincount(videos[is_known], minlength=shown.num_videos)
    means: Floats = np.divide(sums, counts, out=np.full(shown.num_videos, np.nan), where=counts > 0)
    return means


class Pairs(NamedTuple):
    """Which inputs are on both sides. All fields are places in `SideRows.rows`.

    Attributes:
      before, after: of the inputs on both sides, in the same order.
      only_before, only_after: of the others.
    """

    before: Numbers
    after: Numbers
    only_before: Numbers
    only_after: Numbers

    @classmethod
    def of(cls, before: SideRows, after: SideRows) -> Pairs:
        """Returns the inputs on both sides, identified by URI and range."""
        _, first, second = np.intersect1d(before.keys, after.keys, assume_unique=True, return_indices=True)
        rest, other_rest = (
            np.setdiff1d(np.arange(len(side.rows)), places, assume_unique=True)
            for side, places in ((before, first), (after, second))
        )
        return cls(first, second, rest, other_rest)


def differs(before: SideRows, after: SideRows, pairs: Pairs, name: str) -> Mask:
    """Returns for each pair whether a column differs; null, as for a video without labels, is equal to null."""
    first, second = (
        plain(side.rows[name].take(pa.array(places))) for side, places in ((before, pairs.before), (after, pairs.after))
    )
    is_same = pc.fill_null(pc.equal(first, second), False)
    both_null = pc.and_(pc.is_null(first), pc.is_null(second))
    found: Mask = pc.invert(pc.or_(is_same, both_null)).to_numpy()
    return found


def same_content(before: SideRows, after: SideRows, pairs: Pairs) -> Mask:
    """Returns for each pair whether its video is known to have the same content: the same version and the same size."""
    is_known = pc.not_equal(after.rows["content_version"].take(pa.array(pairs.after)), "").to_numpy()
    is_changed = [differs(before, after, pairs, name) for name in ("content_version", "size_bytes")]
    found: Mask = is_known & ~np.logical_or(*is_changed)
    return found


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a column without its dictionary."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
