"""Verification: compare the files with the run documents. All rows are counted again, from every page.

Verification checks that
- each file exists, is undamaged (by its checksums) and has the schema;
- its rows belong to its run, and their numbers by status and by error match the run document;
- each video has one row per run, each clip has a video, and each video has its clips
  (`reelbeam.transforms.output.inspection.row_checks`);
- there are no other files that readers' patterns match.

A run may be committed meanwhile, so faults are only reported if the run documents are the same at the end.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.output.commits import pending_commits
from reelbeam.transforms.output.inspection.row_checks import ROWS_IN_MEMORY, Fault, RowChecks
from reelbeam.transforms.output.run_document import CompactionDocument
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import Run, read_summary
from reelbeam.transforms.output.table_files import optional_columns, read_batches, read_schema, wrong_columns
from reelbeam.transforms.output.tables import Output, count_by_all
from reelbeam.transforms.schemas import TABLES
from reelbeam.transforms.wording import counted

_COUNTED = {"videos": ("status", "num_clips", "duration_ms"), "clips": (), "errors": ("code",)}
_COMPARED = ("videos", "ok", "partial", "failed", "clips", "video_clips", "video_ms")
_TRIES = 3
_MAX_ROWS = 1_000_000_000
"""An upper limit for the row counts of a run document, which determine the number of temporary files."""

_Counts = collections.Counter[tuple[str, str]]
"""Counts by run and name of the count."""

_Optional = dict[str, dict[str, int]]
"""The sizes of the optional columns of clips, by run."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """The faults of an output; empty if there are none."""

    output: str
    faults: tuple[Fault, ...]


def find_faults(
    output_uri: str,
    names: Sequence[str] = (),
    on_file: Callable[[str], None] = lambda path: None,
    last: bool = False,
    rows_in_memory: int = ROWS_IN_MEMORY,
) -> list[Fault]:
    """Returns the faults of an output or of some of its runs.

    Args:
      output_uri: folder or prefix.
      names: the runs to check; empty, without `last`: all runs.
      on_file: called for each file that is read.
      last: whether to check the last run.
      rows_in_memory: about how many rows are sorted at once.

    Raises:
      ConfigError: nothing is committed there, or a named run does not exist.
    """
    uri = storage.normalize(output_uri).rstrip("/")
    faults: list[Fault] = []
    for _ in range(_TRIES):
        before = storage.find_files(uri, "runs/*.json")
        faults = _unreadable(before)
        if not faults:
            output = Output.read(uri)
            faults = _look(output, [*names, output.last_name()] if last else names, on_file, rows_in_memory)
        if not faults or storage.find_files(uri, "runs/*.json") == before:
            break
    return faults


def _unreadable(uris: Sequence[str]) -> list[Fault]:
    faults = []
    for uri in uris:
        try:
            read_summary(uri)
        except StorageError as error:
            faults.append(_fault_of(uri, error))
    return faults


def _fault_of(path: str, error: StorageError) -> Fault:
    """Returns an error as a fault, without the file's name, with which the line of a fault begins."""
    return Fault(path, str(error).removeprefix(f"{path} ").removeprefix(f"{path}: "))


def _look(output: Output, names: Sequence[str], on_file: Callable[[str], None], rows_in_memory: int) -> list[Fault]:
    runs = [run for name in names for run in output.find(name)] or list(output.runs.values())
    holders = {run.compacted_into or run.run_id: None for run in runs}
    faults = [] if names else list(_strays(output))
    for name in holders:
        faults += _check_holder(output, output.runs[name], on_file, rows_in_memory)
    return faults


def _strays(output: Output) -> Iterator[Fault]:
    """Yields files that readers' patterns match but that belong to no committed run. Pending commits count as runs."""
    expected = {path for table in TABLES for path in output.files(table)}
    for run_id, record in pending_commits(output.uri).items():
        expected |= {RunPaths(output.uri, run_id).final(table, shard) for table, shard in record.moves}
        expected |= {f"{output.uri}/{name}" for name in record.replaced}
    for table in TABLES:
        # Two patterns: for Beam, "**/" matches one folder or more; for others, also none.
        found = {path for depth in ("", "**/") for path in storage.find_files(output.uri, f"{table}/{depth}*.parquet")}
        for path in sorted(found - expected):
            yield Fault(path, "belongs to no committed run: remove it")


def _check_holder(output: Output, holder: Run, on_file: Callable[[str], None], rows_in_memory: int) -> Iterator[Fault]:
    """Yields the faults of the files of a run, or of a compaction with all of its runs."""
    held = {run.run_id: run for run in output.runs.values() if run.compacted_into == holder.run_id}
    runs = {name: run for name, run in (held | {holder.run_id: holder}).items() if not run.is_compaction}
    counts: _Counts = collections.Counter()
    optional: _Optional = {}
    yield from _lost_documents(output, holder)
    damaged = False
    reported = holder.summary.counts
    with RowChecks(min(reported.videos + reported.clips, _MAX_ROWS), rows_in_memory) as checks:
        for table in TABLES:
            for path in holder.files(table):
                on_file(path)
                found = list(_check_file(path, table, holder, runs, checks, counts, optional))
                damaged = damaged or bool(found)
                yield from found
        if not damaged:  # otherwise all consequences of the damage would be reported too
            yield from checks.faults()
            for run in runs.values():
                yield from _compare(run, counts)


def _lost_documents(output: Output, holder: Run) -> Iterator[Fault]:
    """Yields a fault if a compaction lists runs whose documents are missing, because their rows cannot be counted."""
    if isinstance(holder.summary, CompactionDocument):
        lost = [name for name in holder.summary.compacted if name not in output.runs]
        if lost:
            message = f"lists {counted(len(lost), 'run')} without a document: restore runs/{lost[0]}.json from a copy"
            yield Fault(holder.paths.document, message)


def _check_file(
    path: str, table: str, holder: Run, runs: dict[str, Run], checks: RowChecks, counts: _Counts, optional: _Optional
) -> Iterator[Fault]:
    wrong_keys, present = 0, set()
    try:
        schema = read_schema(path)
        faults = list(_check_schema(path, table, schema, holder.summary.schema_version))
        if faults:
            yield from faults
            return
        for batch in read_batches(path, checked=True):
            rows = pa.Table.from_batches([batch.select([*_COUNTED[table], "run_id"])])
            present |= set(rows["run_id"].unique().to_pylist())
            _count(table, rows, counts)
            if table != "errors":
                wrong_keys += checks.add(path, table, batch)
    except StorageError as error:
        yield _fault_of(path, error)
        return
    if wrong_keys:
        yield Fault(path, f"{counted(wrong_keys, 'row')} with a uri_key that is not the video's")
    if strangers := present - runs.keys():
        yield Fault(path, f"has rows of runs that it should not hold: {', '.join(sorted(strangers)[:3])}")
    if table == "clips":
        yield from _compare_optional(
            path, present or (set() if holder.is_compaction else {holder.run_id}), schema, optional
        )


def _compare_optional(path: str, run_ids: set[str], schema: pa.Schema, optional: _Optional) -> Iterator[Fault]:
    """Yields a fault if two files of one run differ in their optional columns. Runs in a compaction may differ."""
    columns = optional_columns(schema)
    for run_id in sorted(run_ids):
        if optional.setdefault(run_id, columns) != columns:
            here, there = (
                ", ".join(f"{n}[{size}]" for n, size in x.items()) or "none" for x in (columns, optional[run_id])
            )
            yield Fault(path, f"optional columns: {here}; in another file of run {run_id}: {there}")


def _check_schema(path: str, table: str, schema: pa.Schema, expected: int) -> Iterator[Fault]:
    version = (schema.metadata or {}).get(b"reelbeam.schema_version", b"none").decode(errors="replace")
    if version != str(expected):
        yield Fault(path, f"has schema version {version}, its run document says {expected}")
        return
    for message in wrong_columns(table, schema):
        yield Fault(path, message)


def _count(table: str, rows: pa.Table, counts: _Counts) -> None:
    if table == "errors":
        for (run_id, code), number in count_by_all(rows, "run_id", "code").items():
            counts[run_id, f"errors {code}"] += number
        return
    for (run_id,), number in count_by_all(rows, "run_id").items():
        counts[run_id, table] += number
    if table == "videos":
        for (run_id, status), number in count_by_all(rows, "run_id", "status").items():
            counts[run_id, status] += number
        sums = rows.group_by("run_id").aggregate([("num_clips", "sum"), ("duration_ms", "sum")]).to_pylist()
        for row in sums:
            counts[row["run_id"], "video_clips"] += row["num_clips_sum"]
            counts[row["run_id"], "video_ms"] += row["duration_ms_sum"] or 0


def _compare(run: Run, counts: _Counts) -> Iterator[Fault]:
    """Yields the differences between the counts of a run document and the rows."""
    reported = run.labeled.counts
    expected: dict[str, int] = {name: getattr(reported, name) for name in _COMPARED}
    expected |= {f"errors {entry.code}": entry.count for entry in run.labeled.errors}
    found = {name: number for (run_id, name), number in counts.items() if run_id == run.run_id}
    for name in sorted(expected.keys() | found.keys()):
        wanted, counted_rows = expected.get(name, 0), found.get(name, 0)
        if wanted != counted_rows:
            yield Fault(run.paths.document, f"says {wanted} {name}, the files hold {counted_rows}")
    inputs, videos, skipped = reported.inputs, reported.videos, reported.skipped
    if inputs != videos + skipped:
        yield Fault(
            run.paths.document, f"{counted(inputs, 'input')} listed, {counted(videos, 'video')}, {skipped} skipped"
        )
