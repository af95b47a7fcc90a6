"""The files of one run: their paths, how they are written atomically, and how they are counted.

    OUTPUT/.staging/run=RUN_ID/TABLE/part-00000.parquet.staged    written by many workers
    OUTPUT/.staging/run=RUN_ID/commit.json                        the commit record, after all files were checked
    OUTPUT/TABLE/run=RUN_ID/part-00000.parquet                    moved there after the commit record was written
    OUTPUT/runs/RUN_ID.json                                       the run document, written last
    OUTPUT/.staging/run=RUN_ID/failed.json                        the rejection record of a rejected run, instead

The names of staged files do not end in ".parquet", so readers' patterns do not match them.
`reelbeam.transforms.output.commits` has the order of the steps and the recovery of interrupted runs.
"""

from __future__ import annotations

import collections
import itertools
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from reelbeam.transforms import storage
from reelbeam.transforms.output.documents import Table
from reelbeam.transforms.output.run_counts import ErrorCount, Files, LabelCount
from reelbeam.transforms.schemas import SORT_KEYS, TABLES, Row
from reelbeam.transforms.storage.uris import joined, sibling
from reelbeam.transforms.typed_json import to_json

ROWS_PER_GROUP = 64_000
_ROWS_PER_BATCH = 500
_TOP_LABELS = 20
_COUNTS = (
    *("videos", "ok", "partial", "failed", "video_clips", "ok_videos_without_all_clips", "video_ms"),
    *("first_attempts", "failed_first_attempts"),
)
_COUNTED_COLUMNS = ["status", "num_clips", "num_planned_clips", "duration_ms", "top_label", "attempts"]


class RunPaths(NamedTuple):
    """The paths of the files of one run."""

    output: str
    run_id: str

    def staged(self, table: str, shard: int) -> str:
        """Returns the path of a file before the commit."""
        return joined(self.staging, table, f"part-{shard:05d}.parquet.staged")

    def final(self, table: str, shard: int) -> str:
        """Returns the path of a file after the commit."""
        return joined(self.output, table, f"run={self.run_id}", f"part-{shard:05d}.parquet")

    def current(self, table: str, shard: int) -> str:
        """Returns the current path of a file. An interrupted commit has moved some files only."""
        staged = self.staged(table, shard)
        return staged if storage.exists(staged) else self.final(table, shard)

    def staged_names(self, table: str) -> set[str]:
        """Returns the names of the files of a table that the commit has not moved yet, with one listing."""
        return {path.rsplit("/", 1)[-1] for path in storage.find_files(self.staging, f"{table}/*.staged")}

    @property
    def staging(self) -> str:
        """The folder of everything that is not committed."""
        return joined(self.output, ".staging", f"run={self.run_id}")

    @property
    def commit_record(self) -> str:
        """The commit record. Once it exists, the commit is completed, by this run or by recovery."""
        return joined(self.staging, "commit.json")

    @property
    def document(self) -> str:
        """The run document. A run is committed if this file exists."""
        return joined(self.output, "runs", f"{self.run_id}.json")

    @property
    def rejection_record(self) -> str:
        """The rejection record: the document of a rejected run."""
        return joined(self.staging, "failed.json")


class WrittenFile(NamedTuple):
    """One staged file: its table, its number within the table, and its number of rows."""

    table: Table
    shard: int
    num_rows: int


class RunContents(NamedTuple):
    """The contents of a run's files, counted from the files. The fields are those of the run document."""

    counts: Mapping[str, int]
    errors: tuple[ErrorCount, ...]
    labels: tuple[LabelCount, ...]
    files: Files


def to_table(name: str, rows: Iterable[Row], schema: pa.Schema | None = None) -> pa.Table:
    """Returns rows as a sorted Arrow table.

    Args:
      name: the name of the table.
      rows: the rows.
      schema: the run's schema of the table; None: the schema without optional columns.

    Raises:
      ValueError, KeyError: a row does not match the schema, which is a bug.
    """
    schema = TABLES[name] if schema is None else schema
    batches = []
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _ROWS_PER_BATCH)):
        columns = [_column([row[field.name] for row in chunk], field) for field in schema]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    table = pa.Table.from_batches(batches, schema)
    return table.sort_by([(key, "ascending") for key in SORT_KEYS[name]])


def _column(values: list[object], field: pa.Field) -> pa.Array:
    column = pa.array(values, field.type)
    if column.null_count and not field.nullable:  # Arrow does not check this
        raise ValueError(f"column {field.name} must not be null")
    return column


def write_parquet(table: pa.Table, sink: BinaryIO) -> None:
    """Writes a table to an open file, with a checksum for each page."""
    pq.write_table(table, sink, compression="zstd", row_group_size=ROWS_PER_GROUP, write_page_checksum=True)


def write_atomically(path: str, write: Callable[[BinaryIO], object], draft_folder: str | None = None) -> None:
    """Writes a file atomically: writes a draft and renames it to `path`.

    Args:
      path: the path of the file.
      write: writes to an open file.
      draft_folder: the folder of the draft, which a killed process does not remove; by default the file's folder.
    """
    name = f".draft-{uuid.uuid4().hex}"
    draft = joined(draft_folder, name) if draft_folder else sibling(path, name)
    store = storage.store_for(path)
    with store.create(draft) as sink:
        write(sink)
    store.move(draft, path)


def summarize_files(paths: RunPaths, files: Sequence[WrittenFile]) -> RunContents:
    """Returns counts, errors by code and the files of a run, read from the written files."""
    counts: collections.Counter[str] = collections.Counter(dict.fromkeys(_COUNTS, 0))
    labels: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[str] = collections.Counter()
    samples: dict[str, dict[str, str]] = {}
    for batch in _read(paths, files, "videos", _COUNTED_COLUMNS):
        for row in batch:
            counts["videos"] += 1
            counts[row["status"]] += 1
            counts["video_clips"] += row["num_clips"]
            counts["ok_videos_without_all_clips"] += (
                row["status"] == "ok" and row["num_clips"] != row["num_planned_clips"]
            )
            counts["video_ms"] += row["duration_ms"] or 0
            counts["first_attempts"] += row["attempts"] == 1
            counts["failed_first_attempts"] += row["attempts"] == 1 and row["status"] == "failed"
            labels[row["top_label"]] += row["top_label"] is not None
    for batch in _read(paths, files, "errors", ["code", "video_uri", "message"]):
        for row in batch:
            errors[row["code"]] += 1
            samples.setdefault(row["code"], {"video_uri": row["video_uri"], "message": row["message"]})
    counts["clips"] = sum(file.num_rows for file in files if file.table == "clips")
    return RunContents(
        counts,
        tuple(ErrorCount(code, n, **samples[code]) for code, n in errors.most_common()),
        tuple(LabelCount(label, n) for label, n in labels.most_common(_TOP_LABELS) if n),
        files_by_table(files, paths.final),
    )


def files_by_table(files: Sequence[WrittenFile], path_of: Callable[[str, int], str]) -> Files:
    """Returns the paths of files by table. `path_of` takes a table and a number."""
    return Files(
        **{
            table: tuple(path_of(table, file.shard) for file in sorted(files) if file.table == table)
            for table in TABLES
        }
    )


def _read(paths: RunPaths, files: Sequence[WrittenFile], table: str, columns: list[str]) -> Iterator[list[Row]]:
    for file in files:
        if file.table == table:
            with storage.open_inside(paths.current(table, file.shard)) as source:
                for batch in pq.ParquetFile(source).iter_batches(columns=columns):
                    yield batch.to_pylist()


def to_line(document: object) -> bytes:
    """Returns a document as one line of JSON, which databases can read."""
    return (json.dumps(to_json(document), sort_keys=True, ensure_ascii=False) + "\n").encode()
