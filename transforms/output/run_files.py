"""The files of one run: where they stand, how each is written whole or not at all, and what they say when read back.

    OUTPUT/.staging/run=RUN_ID/TABLE/part-00000.parquet.staged    written by many workers
    OUTPUT/.staging/run=RUN_ID/commit.json                        the decision: every file is written, and adds up
    OUTPUT/TABLE/run=RUN_ID/part-00000.parquet                    moved there after the decision
    OUTPUT/runs/RUN_ID.json                                       written last: a run without it does not exist
    OUTPUT/.staging/run=RUN_ID/failed.json                        instead of all that, where the run was refused

Staged files do not end in ".parquet", so that no reader's glob takes them for results.
`reelbeam.transforms.output.commits` has the order of the steps, and what becomes of a run that was cut off between two
of them.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms import storage
from reelbeam.transforms.output.run_document import ErrorCount, Files, LabelCount
from reelbeam.transforms.schemas import SORT_KEYS, TABLES, Row
from reelbeam.transforms.storage import plain_files
from reelbeam.transforms.storage.documents import Table
from reelbeam.transforms.storage.typed_json import to_json

ROWS_PER_GROUP = 64_000
_ROWS_PER_BATCH = 500
_TOP_LABELS = 20
_COUNTS = (
    *("videos", "ok", "partial", "failed", "video_clips", "ok_videos_without_all_clips", "video_ms"),
    *("first_attempts", "failed_first_attempts"),
)
_COUNTED_COLUMNS = ["status", "num_clips", "num_planned_clips", "duration_ms", "top_label", "attempts"]


class RunPaths(NamedTuple):
    """Where the files of one run stand."""

    output: str
    run_id: str

    def staged(self, table: str, shard: int) -> str:
        """Path of a file before the commit."""
        return FileSystems.join(self.staging, table, f"part-{shard:05d}.parquet.staged")

    def final(self, table: str, shard: int) -> str:
        """Path of a file after the commit."""
        return FileSystems.join(self.output, table, f"run={self.run_id}", f"part-{shard:05d}.parquet")

    def current(self, table: str, shard: int) -> str:
        """Path of a file where it is now: a commit that was cut off has moved some files and not others."""
        staged = self.staged(table, shard)
        return staged if FileSystems.exists(staged) else self.final(table, shard)

    def staged_names(self, table: str) -> set[str]:
        """Names of the files of a table that the commit has not moved yet, in one listing."""
        return {path.rsplit("/", 1)[-1] for path in storage.find_files(self.staging, f"{table}/*.staged")}

    @property
    def staging(self) -> str:
        """Folder of everything that is not committed."""
        return FileSystems.join(self.output, ".staging", f"run={self.run_id}")

    @property
    def decision(self) -> str:
        """Says that the run is to be committed, and how: from here on it is finished, whoever finishes it."""
        return FileSystems.join(self.staging, "commit.json")

    @property
    def marker(self) -> str:
        """The run's JSON: where it is, the run is."""
        return FileSystems.join(self.output, "runs", f"{self.run_id}.json")

    @property
    def refusal(self) -> str:
        """The summary of a run that was refused."""
        return FileSystems.join(self.staging, "failed.json")


class WrittenFile(NamedTuple):
    """One staged file: its table, its number among the table's files, and how many rows it has."""

    table: Table
    shard: int
    num_rows: int


class RunContents(NamedTuple):
    """What the files of a run hold, counted again; the fields are those of its document."""

    counts: Mapping[str, int]
    errors: tuple[ErrorCount, ...]
    labels: tuple[LabelCount, ...]
    files: Files


def to_table(name: str, rows: Iterable[Row], schema: pa.Schema | None = None) -> pa.Table:
    """Returns rows as a sorted Arrow table of the run's schema for the table `name`; None: the table's plain one.

    Raises:
      ValueError, KeyError: a row does not fit the schema: a bug.
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
    if column.null_count and not field.nullable:  # Arrow does not check this by itself
        raise ValueError(f"column {field.name} must not be null")
    return column


def write_parquet(table: pa.Table, sink: BinaryIO) -> None:
    """Writes a table to an open file, with a checksum of each page."""
    pq.write_table(table, sink, compression="zstd", row_group_size=ROWS_PER_GROUP, write_page_checksum=True)


def write_atomically(path: str, write: Callable[[BinaryIO], object], draft_folder: str | None = None) -> None:
    """Writes a file that is there whole or not at all: under a name of its own first, then renamed over `path`.

    Args:
      path: of the file.
      write: writes to an open file.
      draft_folder: where the draft stands that a killed process leaves behind; by default beside the file.
    """
    folder, _ = FileSystems.split(path)
    make_folder(folder)
    make_folder(draft_folder or folder)
    draft = FileSystems.join(draft_folder or folder, f".draft-{uuid.uuid4().hex}")
    local = storage.local_path(draft)
    if local is None:
        with FileSystems.create(draft, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as sink:
            write(sink)
    else:
        with plain_files.create_file(local) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else its name may outlive a loss of power, and its content not
    move_file(draft, path)


def move_file(source: str, target: str) -> None:
    """Moves a file within an output, over what is there."""
    local_source, local_target = storage.local_path(source), storage.local_path(target)
    if local_source is None or local_target is None:
        FileSystems.rename([source], [target])
    else:
        plain_files.move_file(local_source, local_target)


def make_folder(path: str) -> None:
    """Makes a folder of an output, where the store has folders and this one is not there yet."""
    local = storage.local_path(path)
    if local is not None:
        plain_files.make_folder(local)
        return
    try:
        FileSystems.mkdirs(path)
    except (BeamIOError, OSError):  # it is there already, or another worker was faster
        if not FileSystems.exists(path):
            raise


def summarize_files(paths: RunPaths, files: Sequence[WrittenFile]) -> RunContents:
    """Returns counts, errors by code and the files of a run, read back from what was written."""
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
    """Returns the paths of files by their tables, as `path_of` makes them of a table and a number."""
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
    """Returns a document as the text of its file: one line, as databases read JSON."""
    return (json.dumps(to_json(document), sort_keys=True, ensure_ascii=False) + "\n").encode()
