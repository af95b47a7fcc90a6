"""The ledger: what is labeled already, and what becomes of a video that is listed again. No step, only its rules.

The ledger is the output itself: the rows of the videos table, those of committed runs. A row speaks for a video if both
show the same **labeling key** (model, label map, sampling, precision, output activation, schema version) and the same
**content** (URI without its query, the range that a list asks for, size, and the store's version). The engine is no
part of the key: engines agree to 1e-5. The precision is: bfloat16 moves scores in the second digit, and labels.

What the ledger says of a video is its **last row** of that key (`reelbeam.transforms.schemas.AGE`), which is also what
`status` and the views show: a video is done only if that row speaks of the content that is listed now. Content that
comes back, after other content or after a night in which the disk was away, is labeled again, though there is an older
row of it.

Where the store tells no version, the size alone proves nothing: such a video is labeled every night, and counted as
"unversioned", so that whoever pays for it sees why. To skip it would be wrong in silence, and for good. A file that is
missing has neither size nor version, and that is proof enough that nothing came.

A table of 10 million rows is read by its column `uri_key` alone, 8 bytes a row, one row group at a time; the other
columns only of row groups in which one of the listed videos is.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reelbeam.transforms.output.run_document import KEY_COLUMNS, LabelingKey
from reelbeam.transforms.output.runs import Run, runs_with_files
from reelbeam.transforms.output.table_files import open_table, valid
from reelbeam.transforms.records import ALL_CODES, SkipRules, VideoRef, stable_hash
from reelbeam.transforms.records.time_range import input_key
from reelbeam.transforms.schemas import URI_KEY

_ROWS_AT_ONCE = 1000

NEW, CHANGED, UNVERSIONED = "new", "changed", "unversioned"
RETRIED, NEW_DECODER, ASKED_FOR, FORCED = "retried", "new_decoder", "asked_for", "forced"
SELECTED = (NEW, CHANGED, UNVERSIONED, RETRIED, NEW_DECODER, ASKED_FOR, FORCED)
"""Why a video is selected: no row of this labeling key speaks of its URI; the last one speaks of other content; the
store tells no version; it failed for a transient reason; it failed with another version of the decoder;
`--retry_failed`; `--force`."""

ALREADY_LABELED, OTHER_OPTIONS = "already_labeled", "other_options"
FAILED_BEFORE, GAVE_UP = "failed_before", "gave_up"
OTHER_SHARD, BEFORE_SINCE, BEYOND_LIMIT = "other_shard", "before_since", "beyond_limit"
LABELED = (ALREADY_LABELED, OTHER_OPTIONS)
SKIPPED = (*LABELED, FAILED_BEFORE, GAVE_UP, OTHER_SHARD, BEFORE_SINCE, BEYOND_LIMIT)
"""Why a video is skipped: it is labeled, wholly or as far as it can be; it is labeled, and this run asks for other rows
(`reelbeam.transforms.output.row_options`); it failed for good; it failed `--max_attempts`
times for a transient reason; `--shard`, `--since`, `--limit`."""


class LedgerRow(NamedTuple):
    """What a row of the videos table says to the ledger; the names are those of the columns."""

    video_uri: str
    size_bytes: int | None
    content_version: str
    status: str
    error_code: str | None
    transient: bool
    attempts: int
    decoder_version: str
    run_id: str
    labeled_at: float
    range_start_ms: int | None = None
    range_end_ms: int | None = None

    @property
    def key(self) -> str:
        """The key of the input that it speaks of, see `records.VideoRef.key`."""
        return input_key(self.video_uri, self.range_start_ms, self.range_end_ms)

    @property
    def content(self) -> tuple[int | None, str]:
        """What tells one content of a video from another."""
        return self.size_bytes, self.content_version

    @property
    def age(self) -> tuple[float, int, str]:
        """What orders the rows of a video, as `AGE` does: the last one has the highest."""
        return self.labeled_at, self.attempts, self.run_id


class Decision(NamedTuple):
    """Whether a video is selected, and why or why not.

    Attributes:
      reason: one of SELECTED or SKIPPED.
      attempt: which try at this content it would be since it was last labeled, from 1.
    """

    reason: str
    attempt: int = 1

    @property
    def selected(self) -> bool:
        """Whether the video is to be labeled."""
        return self.reason in SELECTED


def prefilter(video: VideoRef, rules: SkipRules) -> str | None:
    """Returns why a video is skipped whatever the ledger says; None where the ledger is to be asked."""
    if rules.shard is not None:
        index, count = rules.shard
        if stable_hash(video.video_uri, "shard") % count != index:
            return OTHER_SHARD
    if rules.since is not None and video.modified_seconds is not None and video.modified_seconds < rules.since:
        return BEFORE_SINCE
    return None


def decide(
    video: VideoRef,
    rows: Iterable[LedgerRow],
    rules: SkipRules,
    decoder_version: str,
    other_runs: Collection[str] = (),
) -> Decision:
    """Returns what becomes of a listed video.

    The last row counts, if it speaks of the same content. What failed for good is tried again when the decoder is
    another one, and what may pass as often as with the one before: a later decoder may read what this one could not. A
    video that is labeled in part is treated like a failed one as long as there is hope, and else counts as labeled:
    what can be had of it is there.

    The attempt is counted on over other decoders and other content in between, so that only what nobody was told of yet
    is a first one; see `reelbeam.transforms.output.run_commit.check`.

    Args:
      video: as listed now.
      rows: those of the same labeling key and the same URI.
      rules: what the run asks for.
      decoder_version: that of this run.
      other_runs: runs whose rows are not what this run asks of rows.
    """
    if rules.force:
        return Decision(FORCED)
    rows = sorted(rows, key=lambda row: row.age, reverse=True)
    if not rows:
        return Decision(NEW)
    last = rows[0]
    labeled = Decision(OTHER_OPTIONS if last.run_id in other_runs else ALREADY_LABELED)
    content = (video.size_bytes, video.content_version)
    same = (row for row in rows if row.content == content)
    in_vain = list(itertools.takewhile(lambda row: row.status != "ok", same))
    attempt = in_vain[0].attempts + 1 if in_vain else 1
    if last.content != content:
        return Decision(CHANGED, attempt)
    if not video.content_version and video.size_bytes is not None:
        return Decision(UNVERSIONED)
    if last.status == "ok":
        return labeled
    if {last.error_code, ALL_CODES} & rules.retry_failed:
        return Decision(ASKED_FOR, attempt)
    if last.decoder_version != decoder_version:
        return Decision(NEW_DECODER, attempt)
    if last.transient:
        more = sum(row.decoder_version == decoder_version for row in in_vain) < rules.max_attempts
        return Decision(RETRIED, attempt) if more else Decision(GAVE_UP)
    return labeled if last.status == "partial" else Decision(FAILED_BEFORE)


def uri_key(key: str) -> int:
    """Returns the number that stands for an input, by its key, in the column `uri_key`."""
    return stable_hash(key, URI_KEY)


def ledger_runs(output: str, key: LabelingKey) -> Iterator[Run]:
    """Yields the runs, and compactions, whose videos table may hold rows of a key; files of others are not opened.

    Raises:
      StorageError: the output cannot be read.
    """
    return (run for run in runs_with_files(output) if key in LabelingKey.all_of(run.summary))


def count_labeled(skipped: Mapping[str, int]) -> int:
    """Returns how many of the skipped videos are labeled."""
    return sum(skipped.get(reason, 0) for reason in LABELED)


def read_rows(path: str, uri_keys: npt.NDArray[np.int64], key: LabelingKey) -> Iterator[LedgerRow]:
    """Yields the rows of one file that are of a labeling key and whose `uri_key` is among `uri_keys`.

    Args:
      path: a file of the videos table.
      uri_keys: int64 [N], ascending.
      key: the run's own.

    Raises:
      StorageError: the file cannot be read, or says what no run writes.
    """
    columns = [*LedgerRow._fields, *KEY_COLUMNS]
    with open_table(path, ["uri_key", *columns]) as parquet:
        for group in range(parquet.num_row_groups):
            found = parquet.read_row_group(group, ["uri_key"], use_threads=False)["uri_key"].to_numpy()
            hits = _are_among(found, uri_keys)
            if hits.any():
                yield from _to_rows(valid(parquet.read_row_group(group, columns, use_threads=False)), hits, key)


def _are_among(found: npt.NDArray[np.int64], keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    # np.isin would sort all keys again for each row group.
    if not len(keys):
        return np.zeros(len(found), bool)
    places = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
    return keys[places] == found


def _to_rows(table: pa.Table, hits: npt.NDArray[np.bool_], key: LabelingKey) -> Iterator[LedgerRow]:
    wanted = dataclasses.astuple(key)
    # A row group as Python objects takes a hundred megabytes, so it is taken in slices.
    for batch in table.filter(pa.array(hits)).to_batches(max_chunksize=_ROWS_AT_ONCE):
        for row in batch.to_pylist():
            if wanted == tuple(row[name] for name in KEY_COLUMNS):
                facts = {name: row[name] for name in LedgerRow._fields}
                yield LedgerRow(**facts | {"labeled_at": row["labeled_at"].timestamp()})
