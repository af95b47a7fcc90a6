"""Compaction: write the rows of many small runs into few files of a suitable size.

A compaction is as crash-safe as a commit, see `reelbeam.transforms.output.commits`.

Rows are copied unchanged, run after run, so each row keeps its `run_id` and the rows of a run stay together. Runs whose
clips have other columns (`logits`, `embedding`) go to other files of the same compaction. The documents of the runs
stay, with their counts and errors. The compaction also has a document, `runs/TIME-compact-XXXXXX.json`, with the
labeling keys of its rows for the ledger (`reelbeam.transforms.output.ledger`).

A compaction can itself be compacted later.
"""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ReconciliationError, ReelbeamError
from reelbeam.transforms.output.commits import finish, write_commit_record
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_counts import ErrorCount, RowCounts
from reelbeam.transforms.output.run_document import CompactionDocument, LabelingKey
from reelbeam.transforms.output.run_files import ROWS_PER_GROUP, RunPaths, WrittenFile, files_by_table, write_atomically
from reelbeam.transforms.output.runs import COMPACTION, Run, utc_now
from reelbeam.transforms.output.table_files import read_batches, read_schema, wrong_columns
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.schemas import SCHEMA_VERSION, TABLES
from reelbeam.transforms.wording import counted


@dataclasses.dataclass(frozen=True)
class FileSizes:
    """The sizes of new files.

    Attributes:
      rows_per_file: the maximum number of rows of a file. A run with more than half of that is not compacted.
      rows_per_group: the number of rows of a row group; the last one of a file may be smaller.
    """

    rows_per_file: int = 500_000  # of clips, about 50 MB
    rows_per_group: int = ROWS_PER_GROUP


DEFAULT_SIZES = FileSizes()


class FileCounts(NamedTuple):
    """The numbers of files by table, before and after a compaction."""

    before: dict[str, int]
    after: dict[str, int]


def compaction_id(now: datetime.datetime | None = None) -> str:
    """Returns a new name, which begins with the time in seconds like any run's."""
    return f"{now or utc_now():%Y%m%dT%H%M%SZ}{COMPACTION}{secrets.token_hex(3)}"


def small_runs(output: Output, before: float | None = None, sizes: FileSizes = DEFAULT_SIZES) -> list[Run]:
    """Returns the runs and compactions with small files.

    Args:
      output: the output.
      before: include only runs that were committed before this time, in seconds since 1970.
      sizes: the sizes of new files.
    """
    return [
        run
        for run in output.runs.values()
        if any(run.files(table) for table in TABLES)
        and max(run.summary.counts.videos, run.summary.counts.clips) <= sizes.rows_per_file // 2
        and (before is None or _finished(run) < before)
    ]


def _finished(run: Run) -> float:
    return datetime.datetime.fromisoformat(run.summary.finished_at).timestamp()


def compact(
    output: Output,
    runs: Sequence[Run],
    lock: LockTicket,
    on_file: Callable[[str], None] = lambda path: None,
    sizes: FileSizes = DEFAULT_SIZES,
) -> FileCounts:
    """Writes the rows of `runs` into new files and commits them.

    Args:
      output: the output.
      runs: the runs to compact.
      lock: the held lock. Its holder is the name of the compaction.
      on_file: called for each file that is read.
      sizes: the sizes of new files.

    Returns:
      The numbers of files before and after.

    Raises:
      ReconciliationError: a file differs from its run document; nothing is changed.
      LockLostError: another run has taken over the output; nothing is changed.
      StorageError: a file cannot be read or written.
    """
    paths = RunPaths(output.uri, lock.holder)
    started_at = utc_now().isoformat()
    before = {table: [path for run in runs for path in run.files(table)] for table in TABLES}
    try:
        written = _write_all(paths, runs, before, on_file, sizes)
        lock.require()
    except (ReelbeamError, KeyboardInterrupt):
        storage.delete_folder(paths.staging)
        raise
    summary = _summary(paths, runs, written, started_at)
    replaced = [path.removeprefix(f"{output.uri}/") for files in before.values() for path in files]
    write_commit_record(paths, summary, written, replaced)
    finish(paths)
    after = {table: sum(file.table == table for file in written) for table in TABLES}
    return FileCounts({table: len(files) for table, files in before.items()}, after)


def _write_all(
    paths: RunPaths,
    runs: Sequence[Run],
    sources: dict[str, list[str]],
    on_file: Callable[[str], None],
    sizes: FileSizes,
) -> list[WrittenFile]:
    """Writes the staged files of all tables, at least one per table, so that each table can be queried."""
    written: list[WrittenFile] = []
    for table in TABLES:
        files: list[WrittenFile] = []
        for schema, paths_of_schema in _by_schema(table, sources[table]).items():
            groups = _row_groups(paths_of_schema, on_file, sizes.rows_per_group)
            files += _merge(paths, table, len(files), schema, groups, sizes)
        _check(runs, table, sum(file.num_rows for file in files))
        written += files or _merge(paths, table, 0, TABLES[table], iter([TABLES[table].empty_table()]), sizes)
    return written


def _by_schema(table: str, sources: Sequence[str]) -> dict[pa.Schema, list[str]]:
    """Returns the files by schema, the one without optional columns first: many readers use one file's columns."""
    found: dict[pa.Schema, list[str]] = {TABLES[table]: []}
    for path in sources:
        schema = read_schema(path)
        if wrong := wrong_columns(table, schema):
            raise ReconciliationError(f"{path}: {wrong[0]}: run `reelbeam verify`")
        known = next((known for known in found if known.equals(schema)), schema)
        found.setdefault(known, []).append(path)
    return found


def _merge(
    paths: RunPaths, table: str, first_shard: int, schema: pa.Schema, groups: Iterator[pa.Table], sizes: FileSizes
) -> Iterator[WrittenFile]:
    """Writes the staged files of a table with one schema; yields none if there are no groups."""
    shard, group = first_shard, next(groups, None)
    while group is not None:
        num_rows = 0

        def write(sink: BinaryIO) -> None:
            nonlocal group, num_rows
            options = {"compression": "zstd", "write_page_checksum": True}
            with pq.ParquetWriter(sink, schema, **options) as writer:  # noqa: B023
                while group is not None and (num_rows == 0 or num_rows + group.num_rows <= sizes.rows_per_file):
                    writer.write_table(group, row_group_size=sizes.rows_per_group)
                    num_rows += group.num_rows
                    group = next(groups, None)

        write_atomically(paths.staged(table, shard), write)
        yield WrittenFile(table, shard, num_rows)
        shard += 1


def _row_groups(sources: Sequence[str], on_file: Callable[[str], None], rows_per_group: int) -> Iterator[pa.Table]:
    """Yields all rows in tables of `rows_per_group` rows; the last may be smaller. Small row groups make scans slow."""
    held: list[pa.RecordBatch] = []
    num_held = 0
    for path in sources:
        on_file(path)
        for batch in read_batches(path, checked=True):
            while num_held + batch.num_rows >= rows_per_group:
                room = rows_per_group - num_held
                yield pa.Table.from_batches([*held, batch.slice(0, room)]).combine_chunks()
                batch, held, num_held = batch.slice(room), [], 0
            held.append(batch)
            num_held += batch.num_rows
    if num_held:
        yield pa.Table.from_batches(held).combine_chunks()


def _check(runs: Sequence[Run], table: str, num_rows: int) -> None:
    expected = sum(_num_rows(run, table) for run in runs)
    if num_rows != expected:
        raise ReconciliationError(
            f"the files of the {table} table have {counted(num_rows, 'row')}, their run documents say {expected}: "
            "run `reelbeam verify`"
        )


def _num_rows(run: Run, table: str) -> int:
    if table == "errors":
        return sum(entry.count for entry in run.summary.errors)
    return run.summary.counts.videos if table == "videos" else run.summary.counts.clips


def _summary(
    paths: RunPaths, runs: Sequence[Run], written: Sequence[WrittenFile], started_at: str
) -> CompactionDocument:
    inner = (run.summary.compacted for run in runs if isinstance(run.summary, CompactionDocument))
    names = {run.run_id for run in runs}.union(*inner)
    rows = {table: sum(file.num_rows for file in written if file.table == table) for table in TABLES}
    return CompactionDocument(
        run_id=paths.run_id,
        schema_version=SCHEMA_VERSION,
        compacted=tuple(sorted(names)),
        labeling_keys=tuple(dict.fromkeys(key for run in runs for key in LabelingKey.all_of(run.summary))),
        counts=RowCounts(rows["videos"], rows["clips"]),
        errors=tuple(ErrorCount(code, n) for code, n in _errors(runs).items()),
        files=files_by_table(written, paths.final),
        started_at=started_at,
        finished_at=utc_now().isoformat(),
    )


def _errors(runs: Sequence[Run]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for run in runs:
        for entry in run.summary.errors:
            counts[entry.code] = counts.get(entry.code, 0) + entry.count
    return counts
