"""Verification: is in the files what the JSONs of the runs say? Everything is counted again, from every page of them.

What is looked at: that each file is there, whole (by its checksums), and of the schema; that its rows are those of its
run, as many as the run's JSON says, by status and by error; that each video has one row a run, each clip has a video,
and each video the clips that it should have (`reelbeam.transforms.output.row_checks`); and that nothing else lies
beside them that a plain glob would take for results.

A run may be committed meanwhile. So what was found is only believed if the JSONs are still the same at the end.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.output.commits import decided_runs
from reelbeam.transforms.output.row_checks import Fault, RowChecks
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
"""What a run's JSON is believed at most: by it temporary files are made."""

_Counts = collections.Counter[tuple[str, str]]
"""(run, name of a count) -> what it came to."""

_Optional = dict[str, dict[str, int]]
"""Run -> the sizes of the optional columns of its clips."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """What is wrong with an output; no faults where everything adds up."""

    output: str
    faults: tuple[Fault, ...]


def find_faults(
    output_uri: str,
    names: Sequence[str] = (),
    on_file: Callable[[str], None] = lambda path: None,
    last: bool = False,
) -> list[Fault]:
    """Returns what is wrong with an output, or with some of its runs, by file: those named, and with `last` the last.

    Raises:
      ConfigError: nothing is committed there, or there is no run of such a name.
    """
    uri = storage.normalize(output_uri).rstrip("/")
    faults: list[Fault] = []
    for _ in range(_TRIES):
        before = storage.find_files(uri, "runs/*.json")
        faults = _unreadable(before)
        if not faults:
            output = Output.read(uri)
            faults = _look(output, [*names, output.last_name()] if last else names, on_file)
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
    """Returns an error that tells of a file without the name, with which the line of a fault begins anyway."""
    return Fault(path, str(error).removeprefix(f"{path} ").removeprefix(f"{path}: "))


def _look(output: Output, names: Sequence[str], on_file: Callable[[str], None]) -> list[Fault]:
    runs = [run for name in names for run in output.find(name)] or list(output.runs.values())
    holders = {run.compacted_into or run.run_id: None for run in runs}
    faults = [] if names else list(_strays(output))
    for name in holders:
        faults += _check_holder(output, output.runs[name], on_file)
    return faults


def _strays(output: Output) -> Iterator[Fault]:
    """What a plain glob sees, and belongs to no committed run. That of a commit that was cut off will belong to one."""
    expected = {path for table in TABLES for path in output.files(table)}
    for run_id, decision in decided_runs(output.uri).items():
        expected |= {RunPaths(output.uri, run_id).final(table, shard) for table, shard in decision.moves}
        expected |= {f"{output.uri}/{name}" for name in decision.replaced}
    for table in TABLES:
        # Two patterns: to Beam "**/" is a folder at least, to others it may be none.
        found = {path for depth in ("", "**/") for path in storage.find_files(output.uri, f"{table}/{depth}*.parquet")}
        for path in sorted(found - expected):
            yield Fault(path, "belongs to no committed run: remove it")


def _check_holder(output: Output, holder: Run, on_file: Callable[[str], None]) -> Iterator[Fault]:
    """Yields the faults of the files of a run, or of a compaction with all runs in it."""
    held = {run.run_id: run for run in output.runs.values() if run.compacted_into == holder.run_id}
    runs = {name: run for name, run in (held | {holder.run_id: holder}).items() if not run.is_compaction}
    counts: _Counts = collections.Counter()
    optional: _Optional = {}
    yield from _lost_documents(output, holder)
    damaged = False
    told = holder.summary.counts
    with RowChecks(min(told.videos + told.clips, _MAX_ROWS)) as checks:
        for table in TABLES:
            for path in holder.files(table):
                on_file(path)
                found = list(_check_file(path, table, holder, runs, checks, counts, optional))
                damaged = damaged or bool(found)
                yield from found
        if not damaged:  # else everything that follows from it would be told as well
            yield from checks.faults()
            for run in runs.values():
                yield from _compare(run, counts)


def _lost_documents(output: Output, holder: Run) -> Iterator[Fault]:
    """Yields a fault where a compaction lists runs whose documents are gone: their rows cannot be counted."""
    if isinstance(holder.summary, CompactionDocument):
        lost = [name for name in holder.summary.compacted if name not in output.runs]
        if lost:
            message = f"lists {counted(len(lost), 'run')} without a document: restore runs/{lost[0]}.json from a copy"
            yield Fault(holder.paths.marker, message)


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
    """Yields a fault where another file of a run has other optional columns; a compaction holds runs of all kinds."""
    columns = optional_columns(schema)
    for run_id in sorted(run_ids):
        if optional.setdefault(run_id, columns) != columns:
            here, there = (
                ", ".join(f"{n}[{size}]" for n, size in x.items()) or "none" for x in (columns, optional[run_id])
            )
            yield Fault(path, f"optional columns: {here}; in another file of run {run_id}: {there}")


def _check_schema(path: str, table: str, schema: pa.Schema, told: int) -> Iterator[Fault]:
    version = (schema.metadata or {}).get(b"reelbeam.schema_version", b"none").decode(errors="replace")
    if version != str(told):
        yield Fault(path, f"has schema version {version}, its run says {told}")
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
    """Yields what the JSON of a run says otherwise than its rows."""
    counts_told = run.labeled.counts
    told: dict[str, int] = {name: getattr(counts_told, name) for name in _COMPARED}
    told |= {f"errors {entry.code}": entry.count for entry in run.labeled.errors}
    found = {name: number for (run_id, name), number in counts.items() if run_id == run.run_id}
    for name in sorted(told.keys() | found.keys()):
        if told.get(name, 0) != found.get(name, 0):
            yield Fault(run.paths.marker, f"says {told.get(name, 0)} {name}, the files hold {found.get(name, 0)}")
    inputs, videos, skipped = counts_told.inputs, counts_told.videos, counts_told.skipped
    if inputs != videos + skipped:
        yield Fault(
            run.paths.marker, f"{counted(inputs, 'input')} listed, {counted(videos, 'video')}, {skipped} skipped"
        )
