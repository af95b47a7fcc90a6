"""WriteResults: rows -> a few Parquet files, which are checked and then committed with the run's JSON."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa

from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.output.documents import Table
from reelbeam.transforms.output.run_commit import CommitConfig, RunResults, commit
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.run_document import RunDocument
from reelbeam.transforms.output.run_files import RunPaths, WrittenFile, to_table, write_atomically, write_parquet
from reelbeam.transforms.records import stable_hash
from reelbeam.transforms.schemas import TABLES, Row

MAX_ROWS_PER_FILE = 250_000
"""The maximum number of rows of a file. A clip row takes about 100 bytes in Parquet, so a file has tens of MB, and
sorting it takes 100 MB of memory."""

MAX_FILE_BYTES = 64 << 20
"""The maximum size of a file's logits and embeddings, which hardly compress."""
_MAX_ROWS_PER_BLOCK = 256


class ResultCollections(NamedTuple):
    """The input of WriteResults.

    Attributes:
      videos, clips, errors: the rows of each table, see `reelbeam.transforms.schemas`.
      num_inputs: one element, the number of listed inputs.
      outcomes: the number of selected and skipped inputs by reason.
      ignored: the number of files and folders that the listing left out, by kind.
      num_excused: one element, the number of failed files that do not count, see `is_excused`.
      cost: one element, what the run has cost.
    """

    videos: beam.PCollection[Row]
    clips: beam.PCollection[Row]
    errors: beam.PCollection[Row]
    num_inputs: beam.PCollection[int]
    outcomes: beam.PCollection[tuple[str, int]]
    ignored: beam.PCollection[tuple[str, int]]
    num_excused: beam.PCollection[int]
    cost: beam.PCollection[RunCost]


class WriteResults(beam.PTransform):
    """Writes the tables and commits the run.

    Input: ResultCollections. Output: a PCollection of the one `RunDocument` that was committed.

    Files are named by shard, and rows go to shards by a hash of their video, so a repeated bundle writes the same file
    again. The commit counts the rows of the written files: every listed input must have exactly one video row or have
    been skipped, and every "ok" video must have all of its clips. Otherwise, or if too many inputs failed, nothing is
    committed and the job fails.

    Args:
      config: of the commit.
      schemas: the schemas of the run's tables, see `reelbeam.transforms.schemas.tables_of_run`.
      max_rows_per_file: the maximum number of rows of a file.
    """

    def __init__(
        self,
        config: CommitConfig,
        *,
        schemas: Mapping[str, pa.Schema] = TABLES,
        max_rows_per_file: int = MAX_ROWS_PER_FILE,
    ) -> None:
        super().__init__()
        self._max_rows_per_file = max_rows_per_file
        self._config = config
        self._schemas = dict(schemas)

    def expand(self, results: ResultCollections) -> beam.PCollection[RunDocument]:
        """Connects the steps."""
        paths = self._config.paths
        rows = {"videos": results.videos, "clips": results.clips, "errors": results.errors}
        written = [
            rows[name] | f"Write_{name}" >> _WriteTable(name, paths, self._schemas[name], self._max_rows_per_file)
            for name in TABLES
        ]
        return (
            written[0].pipeline
            | "CommitOnce" >> beam.Create([self._config], reshuffle=False)
            | "Commit"
            >> beam.Map(
                _commit,
                files=beam.pvalue.AsList(written | "WrittenFiles" >> beam.Flatten()),
                num_inputs=beam.pvalue.AsSingleton(results.num_inputs),
                outcomes=beam.pvalue.AsDict(results.outcomes),
                ignored=beam.pvalue.AsDict(results.ignored),
                num_excused=beam.pvalue.AsSingleton(results.num_excused),
                cost=beam.pvalue.AsSingleton(results.cost),
            )
        )


def _commit(
    config: CommitConfig,
    files: Sequence[WrittenFile],
    num_inputs: int,
    outcomes: Mapping[str, int],
    ignored: Mapping[str, int],
    num_excused: int,
    cost: RunCost,
) -> RunDocument:
    """Commits the run with Beam's side inputs, each of which is an argument."""
    results = RunResults(
        files=files, num_inputs=num_inputs, outcomes=outcomes, ignored=ignored, num_excused=num_excused, cost=cost
    )
    return commit(config, results)


class _WriteTable(beam.PTransform):
    """Rows of one table -> WrittenFile for each file; at least one, so that every table can be queried."""

    def __init__(self, table: Table, paths: RunPaths, schema: pa.Schema, max_rows_per_file: int) -> None:
        super().__init__()
        self._max_rows_per_file = max_rows_per_file
        self._schema = schema
        self._table = table
        self._paths = paths

    def expand(self, rows: beam.PCollection[Row]) -> beam.PCollection[WrittenFile]:
        blocks = rows | "PackRows" >> beam.ParDo(_PackRowsFn()).with_output_types(tuple[str, int, bytes])
        num_shards = (
            blocks
            | "RowsOfBlock" >> beam.Map(lambda block: block[1]).with_output_types(int)
            | "CountRows" >> beam.CombineGlobally(sum)
            | "CountFiles" >> beam.Map(_num_files, rows_per_file(self._schema, self._max_rows_per_file))
        )
        keyed = blocks | "KeyByShard" >> beam.Map(_key_by_shard, beam.pvalue.AsSingleton(num_shards))
        # An empty block for shard 0: a table without rows gets a file, too, so that every table can be queried.
        first = rows.pipeline | "FirstShard" >> beam.Create([(0, b"")], reshuffle=False)
        for collection in (keyed, first):
            collection.element_type = beam.typehints.Tuple[int, bytes]
        return (keyed, first) | beam.Flatten() | beam.GroupByKey() | "WriteFile" >> beam.MapTuple(self._write)

    def _write(self, shard: int, blocks: Iterable[bytes]) -> WrittenFile:
        rows = (row for block in blocks if block for row in pickle.loads(zlib.decompress(block)))
        table = to_table(self._table, rows, self._schema)
        write_atomically(self._paths.staged(self._table, shard), lambda sink: write_parquet(table, sink))
        return WrittenFile(self._table, shard, table.num_rows)


class _PackRowsFn(beam.DoFn):
    """Consecutive rows of a video -> (its URI, the number of rows, the rows as bytes).

    A runner may hold all rows of a run at once, in several copies. Packed rows take a tenth of the memory, and a film
    of three hours, with thousands of clips, takes hardly more than a short video.
    """

    def start_bundle(self) -> None:
        self._rows: list[Row] = []

    def process(self, row: Row) -> Iterator[tuple[str, int, bytes]]:
        if self._rows and (self._rows[0]["video_uri"] != row["video_uri"] or len(self._rows) == _MAX_ROWS_PER_BLOCK):
            yield self._packed()
        self._rows.append(row)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._rows:
            yield in_global_window(self._packed())

    def _packed(self) -> tuple[str, int, bytes]:
        rows, self._rows = self._rows, []
        return rows[0]["video_uri"], len(rows), zlib.compress(pickle.dumps(rows, pickle.HIGHEST_PROTOCOL), level=1)


def rows_per_file(schema: pa.Schema, max_rows: int = MAX_ROWS_PER_FILE) -> int:
    """Returns the maximum number of rows of a file; fewer if rows have embeddings, of which a file would have a GB."""
    wide = [field.type for field in schema if pa.types.is_fixed_size_list(field.type)]
    row_bytes = sum(kind.list_size * kind.value_type.bit_width // 8 for kind in wide)
    return min(max_rows, MAX_FILE_BYTES // row_bytes) if row_bytes else max_rows


def _num_files(num_rows: int, most_rows: int) -> int:
    return max(1, -(-num_rows // most_rows))


def _key_by_shard(block: tuple[str, int, bytes], num_shards: int) -> tuple[int, bytes]:
    """Returns the block with its shard: a hash that is the same in every run, so all rows of a video share a file."""
    video_uri, _, rows = block
    return stable_hash(video_uri, "file") % num_shards, rows
