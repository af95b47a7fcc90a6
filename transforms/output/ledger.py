"""The ledger: which videos are labeled already, and which listed videos are selected. Rules only, no Beam steps.

The ledger is the output itself: the rows of the videos table in committed runs. A row is valid for a listed video if
both have the same **labeling key** (model, label map, sampling, precision, output activation, schema version) and the
same **content** (URI without its query, range, size, and the store's version). The engine is not part of the key,
because engines agree to 1e-5. The precision is part of it, because bfloat16 changes scores in the second digit.

Only the **last row** of a video with that key counts (`reelbeam.transforms.schemas.AGE`). It is also the row in
`status` and in the views. A video is labeled if the content of that row is the listed content. So content that returns,
after other content or after its disk was not mounted, is labeled again although it has an older row.

If the store has no object versions, the size alone does not prove that the content is unchanged. Such a video is
labeled in every run and counted as "unversioned". A missing file has neither size nor version, and counts as unchanged.

Of a table with 10 million rows, only the column `uri_key` is read completely, 8 bytes per row, one row group at a time.
The other columns are read only for row groups with a listed video.
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
"""The reasons for selecting a video: it has no row with this labeling key; its content changed; the store has no object
versions; it failed for a transient reason; it failed with another version of the decoder; `--retry_failed`;
`--force`."""

ALREADY_LABELED, OTHER_OPTIONS = "already_labeled", "other_options"
FAILED_BEFORE, GAVE_UP = "failed_before", "gave_up"
OTHER_SHARD, BEFORE_SINCE, BEYOND_LIMIT = "other_shard", "before_since", "beyond_limit"
LABELED = (ALREADY_LABELED, OTHER_OPTIONS)
SKIPPED = (*LABELED, FAILED_BEFORE, GAVE_UP, OTHER_SHARD, BEFORE_SINCE, BEYOND_LIMIT)
"""The reasons for skipping a video: it is labeled, as far as it can be decoded; it is labeled with other options for
rows (`reelbeam.transforms.selection.row_options`); it failed permanently; it failed `--max_attempts` times for a
transient reason; `--shard`; `--since`; `--limit`."""


class LedgerRow(NamedTuple):
    """The columns of the videos table that the ledger reads, by their names."""

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
        """The key of the row's input, see `records.VideoRef.key`."""
        return input_key(self.video_uri, self.range_start_ms, self.range_end_ms)

    @property
    def content(self) -> tuple[int | None, str]:
        """The identity of the content: size and version."""
        return self.size_bytes, self.content_version

    @property
    def age(self) -> tuple[float, int, str]:
        """The sort key of the rows of a video, as in `AGE`. The last row has the highest value."""
        return self.labeled_at, self.attempts, self.run_id


class Decision(NamedTuple):
    """Whether a video is selected, and the reason.

    Attributes:
      reason: one of SELECTED or SKIPPED.
      attempt: the number of this attempt at the content since it was last labeled, from 1.
    """

    reason: str
    attempt: int = 1

    @property
    def selected(self) -> bool:
        """Whether the video is selected for labeling."""
        return self.reason in SELECTED


def prefilter(video: VideoRef, rules: SkipRules) -> str | None:
    """Returns the reason why a video is skipped without the ledger; None if the ledger decides."""
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
    """Returns whether a listed video is selected.

    The last row counts if it has the same content. A permanent failure is retried with another version of the decoder,
    which may read the file. A transient failure is retried up to the maximum number of attempts with each version. A
    partially labeled video is retried like a failed one, and otherwise counts as labeled.

    Attempts are counted across versions of the decoder and across other content, so that only unreported failures are
    first attempts; see `reelbeam.transforms.output.run_commit.check`.

    Args:
      video: the listed video.
      rows: the rows with the same labeling key and the same URI.
      rules: the rules of the run.
      decoder_version: the version of this run's decoder.
      other_runs: runs whose rows were made with other options for rows.
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
    """Returns the value of the column `uri_key` for the key of an input."""
    return stable_hash(key, URI_KEY)


def ledger_runs(output: str, key: LabelingKey) -> Iterator[Run]:
    """Yields the runs and compactions whose videos table may have rows with a labeling key.

    Raises:
      StorageError: the output cannot be read.
    """
    return (run for run in runs_with_files(output) if key in LabelingKey.all_of(run.summary))


def count_labeled(skipped: Mapping[str, int]) -> int:
    """Returns the number of skipped videos that are labeled."""
    return sum(skipped.get(reason, 0) for reason in LABELED)


def read_rows(path: str, uri_keys: npt.NDArray[np.int64], key: LabelingKey) -> Iterator[LedgerRow]:
    """Yields the rows of one file with a labeling key and with a `uri_key` in `uri_keys`.

    Args:
      path: a file of the videos table.
      uri_keys: int64 [N], ascending.
      key: the labeling key of the run.

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
