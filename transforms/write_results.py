"""WriteResults: rows -> a few Parquet files, checked and then committed by the run's JSON."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

from transforms import storage
from transforms.errors import ReconciliationError, RunError, TooManyFailuresError
from transforms.run_files import (
    RunPaths,
    WrittenFile,
    make_folder,
    summarize_files,
    to_json,
    to_table,
    write_atomically,
    write_parquet,
)
from transforms.schemas import TABLES, Row

ROWS_PER_FILE = 250_000
"""Clip rows take about 100 bytes in Parquet, so a file gets tens of MB, and sorting it 100 MB of memory."""

MAX_FILE_BYTES = 64 << 20
"""Of logits and embeddings, which hardly compress."""


class WriteResults(beam.PTransform):
    """Writes the tables and commits the run.

    Input: a dict of PCollections: rows by table name (see transforms.schemas.TABLES), and the listed VideoRefs as
    "inputs", which are only counted. Output: a PCollection of the one run summary that was committed, as a dict.

    Files are named by shard, and rows go to shards by a hash of their video, so a repeated bundle writes the same file
    again. The commit counts the rows of the written files: every listed input must have exactly one video row, and
    every "ok" video all of its clips. Otherwise, or if more than `max_failure_ratio` of the inputs failed, nothing is
    committed and the job fails.

    Args:
      output: folder or object-store prefix.
      run_id: name of the run.
      max_failure_ratio: highest share of failed inputs, 0 to 1, with which a run counts.
      run_facts: what else the run's JSON is to say (configuration, model, versions), JSON-serializable.
      schemas: of the run's tables, see `transforms.schemas.tables_of_run`.
    """

    def __init__(
        self,
        output: str,
        run_id: str,
        max_failure_ratio: float,
        run_facts: Mapping[str, Any],
        schemas: Mapping[str, pa.Schema] = TABLES,
    ) -> None:
        super().__init__()
        self._schemas = dict(schemas)
        self._output = output
        self._run_id = run_id
        self._max_failure_ratio = max_failure_ratio
        self._run_facts = dict(run_facts)

    def expand(self, tables: dict[str, beam.PCollection[Any]]) -> beam.PCollection[dict[str, Any]]:
        """Wires the step."""
        paths = RunPaths(self._output, self._run_id)
        written = [tables[name] | f"Write_{name}" >> _WriteTable(name, paths, self._schemas[name]) for name in TABLES]
        num_inputs = tables["inputs"] | "CountInputs" >> beam.combiners.Count.Globally()
        return (
            written[0].pipeline
            | "CommitOnce" >> beam.Create([self._run_facts], reshuffle=False)
            | "Commit"
            >> beam.Map(
                commit,
                paths,
                self._max_failure_ratio,
                files=beam.pvalue.AsList(written | "WrittenFiles" >> beam.Flatten()),
                num_inputs=beam.pvalue.AsSingleton(num_inputs),
            )
        )


class _WriteTable(beam.PTransform):
    """Rows of one table -> WrittenFile for each file; at least one, so that every table can be queried."""

    def __init__(self, table: str, paths: RunPaths, schema: pa.Schema) -> None:
        super().__init__()
        self._schema = schema
        self._table = table
        self._paths = paths

    def expand(self, rows: beam.PCollection[Row]) -> beam.PCollection[WrittenFile]:
        num_shards = (
            rows
            | "CountRows" >> beam.combiners.Count.Globally()
            | "CountFiles" >> beam.Map(_num_files, rows_per_file(self._schema))
        )
        keyed = rows | "KeyByShard" >> beam.Map(_key_by_shard, beam.pvalue.AsSingleton(num_shards))
        # One None in shard 0: an empty table gets its file too, so that every table can be queried.
        first = rows.pipeline | "FirstShard" >> beam.Create([(0, None)], reshuffle=False)
        for collection in (keyed, first):
            collection.element_type = beam.typehints.Tuple[int, Any]
        return (keyed, first) | beam.Flatten() | beam.GroupByKey() | "WriteFile" >> beam.MapTuple(self._write)

    def _write(self, shard: int, rows: Iterable[Row | None]) -> WrittenFile:
        table = to_table(self._table, (row for row in rows if row is not None), self._schema)
        write_atomically(self._paths.staged(self._table, shard), lambda sink: write_parquet(table, sink))
        return WrittenFile(self._table, shard, table.num_rows)


def rows_per_file(schema: pa.Schema) -> int:
    """Returns how many rows a file gets: fewer where rows bear embeddings, of which a file would be a gigabyte."""
    wide = [field.type for field in schema if pa.types.is_fixed_size_list(field.type)]
    row_bytes = sum(kind.list_size * kind.value_type.bit_width // 8 for kind in wide)
    return min(ROWS_PER_FILE, MAX_FILE_BYTES // row_bytes) if row_bytes else ROWS_PER_FILE


def _num_files(num_rows: int, most_rows: int) -> int:
    return max(1, -(-num_rows // most_rows))


def _key_by_shard(row: Row, num_shards: int) -> tuple[int, Row]:
    """Rows of a video go to one file, whichever worker made them: a hash that does not change from run to run."""
    digest = hashlib.sha256(row["video_uri"].encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % num_shards, row


def commit(
    run_facts: dict[str, Any],
    paths: RunPaths,
    max_failure_ratio: float,
    files: Sequence[WrittenFile],
    num_inputs: int,
) -> dict[str, Any]:
    """Checks the written files, moves them to their places and writes the run's JSON.

    Returns:
      the summary, as it stands in the run's JSON.

    Raises:
      ReconciliationError: the rows do not add up to `num_inputs`.
      TooManyFailuresError: more than `max_failure_ratio` of the inputs failed.
    """
    summary = run_facts | summarize_files(paths, files)
    summary["finished_at"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        check(summary["counts"], num_inputs, max_failure_ratio)
    except RunError as error:
        summary["refused"] = {"code": error.code, "message": str(error)}
        write_atomically(paths.refusal, lambda sink: sink.write(to_json(summary)))
        raise
    # Videos last: they are what readers start from, should the moving be cut off.
    for file in sorted(files, key=lambda file: (file.table == "videos", file)):
        _move(paths.staged(file.table, file.shard), paths.final(file.table, file.shard))
    write_atomically(paths.marker, lambda sink: sink.write(to_json(summary)))
    storage.delete_folder(paths.staging)
    return summary


def check(counts: Mapping[str, int], num_inputs: int, max_failure_ratio: float) -> None:
    """Raises where the rows do not add up, or too many inputs failed. See `commit`."""
    if not num_inputs == counts["videos"] == counts["ok"] + counts["partial"] + counts["failed"]:
        raise ReconciliationError(f"{num_inputs} inputs, but the videos table has {dict(counts)}")
    if counts["clips"] != counts["video_clips"] or counts["ok_videos_without_all_clips"]:
        raise ReconciliationError(f"clip rows do not add up to what the videos table says: {dict(counts)}")
    if num_inputs and counts["failed"] / num_inputs > max_failure_ratio:
        raise TooManyFailuresError(
            f"{counts['failed']} of {num_inputs} inputs failed, more than "
            f"--max_failure_ratio {max_failure_ratio:g} allows"
        )


def _move(staged: str, final: str) -> None:
    """Moves a file; a commit that is repeated after it was cut off finds some moved already."""
    if not FileSystems.exists(staged) and FileSystems.exists(final):
        return
    make_folder(FileSystems.split(final)[0])
    FileSystems.rename([staged], [final])
