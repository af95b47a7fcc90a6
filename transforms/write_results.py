"""WriteResults: rows -> a few Parquet files, checked and then committed by the run's JSON."""

from __future__ import annotations

import dataclasses
import datetime
import pickle
import types
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

import apache_beam as beam
import pyarrow as pa

from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.errors import (
    LockLostError,
    NotAVideoError,
    NoVideoStreamError,
    ReconciliationError,
    RunError,
    TooManyFailuresError,
    UnsupportedVideoUriError,
)
from reelbeam.transforms.output.commits import finish, write_commit_record
from reelbeam.transforms.output.ledger import SELECTED, SKIPPED, count_labeled
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_counts import Counts, ErrorCount
from reelbeam.transforms.output.run_document import RejectedRun, Rejection, RunDocument, RunFacts
from reelbeam.transforms.output.run_files import (
    RunPaths,
    WrittenFile,
    files_by_table,
    summarize_files,
    to_line,
    to_table,
    write_atomically,
    write_parquet,
)
from reelbeam.transforms.records import VideoSummary, stable_hash
from reelbeam.transforms.schemas import SCHEMA_VERSION, TABLES, Row
from reelbeam.transforms.storage.documents import Table
from reelbeam.transforms.storage.ignored import most_frequent
from reelbeam.transforms.wording import counted

ROWS_PER_FILE = 250_000
"""Clip rows take about 100 bytes in Parquet, so a file gets tens of MB, and sorting it 100 MB of memory."""

MAX_FILE_BYTES = 64 << 20
"""Of logits and embeddings, which hardly compress."""
_MAX_ROWS_PER_BLOCK = 256
NOTHING: Mapping[str, int] = types.MappingProxyType({})
_VOUCHERS = 20
"""How many videos that are labeled already stand in for good ones when the share of failures is judged."""


class ResultCollections(TypedDict, total=False):
    """The input of WriteResults, see there; the last two are optional."""

    videos: beam.PCollection[Row]
    clips: beam.PCollection[Row]
    errors: beam.PCollection[Row]
    num_inputs: beam.PCollection[int]
    outcomes: beam.PCollection[tuple[str, int]]
    ignored: beam.PCollection[tuple[str, int]]
    num_excused: beam.PCollection[int]


class WriteResults(beam.PTransform):
    """Writes the tables and commits the run.

    Input: a dict of PCollections: rows by table name (see reelbeam.transforms.schemas.TABLES), the number of listed
    inputs as "num_inputs" (one element), and as "outcomes" pairs of a reason and how many inputs were selected or
    skipped for it.
    Optional: "ignored", pairs of a kind and how many files or folders the listing left out, and "num_excused" (one
    element), how many failed files count neither as failures nor as inputs for `max_failure_ratio`.
    Output: a PCollection of the one `RunDocument` that was committed.

    Files are named by shard, and rows go to shards by a hash of their video, so a repeated bundle writes the same file
    again. The commit counts the rows of the written files: every listed input must have exactly one video row or have
    been skipped, and every "ok" video must have all of its clips. Otherwise, or if more than `max_failure_ratio` of the
    inputs failed, nothing is committed and the job fails.

    Args:
      output: folder or object-store prefix.
      run_id: name of the run.
      max_failure_ratio: highest share of failed inputs, 0 to 1, with which a run counts.
      run_facts: what else the run document is to say (configuration, model, versions).
      schemas: of the run's tables, see `reelbeam.transforms.schemas.tables_of_run`.
      lock: what the run holds of the output; None where nobody else can write there.
      num_vouching: videos that other runs are known to have labeled, beside those that are skipped; see `check`.
    """

    def __init__(
        self,
        output: str,
        run_id: str,
        max_failure_ratio: float,
        run_facts: RunFacts,
        schemas: Mapping[str, pa.Schema] = TABLES,
        lock: LockTicket | None = None,
        num_vouching: int = 0,
    ) -> None:
        super().__init__()
        self._schemas = dict(schemas)
        self._output = output
        self._run_id = run_id
        self._max_failure_ratio = max_failure_ratio
        self._run_facts = run_facts
        self._lock = lock
        self._num_vouching = num_vouching

    def expand(self, tables: ResultCollections) -> beam.PCollection[RunDocument]:
        """Wires the step."""
        paths = RunPaths(self._output, self._run_id)
        rows = {"videos": tables["videos"], "clips": tables["clips"], "errors": tables["errors"]}
        written = [rows[name] | f"Write_{name}" >> _WriteTable(name, paths, self._schemas[name]) for name in TABLES]
        return (
            written[0].pipeline
            | "CommitOnce" >> beam.Create([self._run_facts], reshuffle=False)
            | "Commit"
            >> beam.Map(
                commit,
                paths,
                self._max_failure_ratio,
                self._lock,
                num_vouching=self._num_vouching,
                files=beam.pvalue.AsList(written | "WrittenFiles" >> beam.Flatten()),
                num_inputs=beam.pvalue.AsSingleton(tables["num_inputs"]),
                outcomes=beam.pvalue.AsDict(tables["outcomes"]),
                ignored=beam.pvalue.AsDict(tables["ignored"]) if "ignored" in tables else {},
                num_excused=beam.pvalue.AsSingleton(tables["num_excused"]) if "num_excused" in tables else 0,
            )
        )


class _WriteTable(beam.PTransform):
    """Rows of one table -> WrittenFile for each file; at least one, so that every table can be queried."""

    def __init__(self, table: Table, paths: RunPaths, schema: pa.Schema) -> None:
        super().__init__()
        self._schema = schema
        self._table = table
        self._paths = paths

    def expand(self, rows: beam.PCollection[Row]) -> beam.PCollection[WrittenFile]:
        blocks = rows | "PackRows" >> beam.ParDo(_PackRowsFn()).with_output_types(tuple[str, int, bytes])
        num_shards = (
            blocks
            | "RowsOfBlock" >> beam.Map(lambda block: block[1]).with_output_types(int)
            | "CountRows" >> beam.CombineGlobally(sum)
            | "CountFiles" >> beam.Map(_num_files, rows_per_file(self._schema))
        )
        keyed = blocks | "KeyByShard" >> beam.Map(_key_by_shard, beam.pvalue.AsSingleton(num_shards))
        # Nothing in shard 0: an empty table gets its file too, so that every table can be queried.
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
    """Rows of a video that follow each other -> (its URI, how many they are, the rows as bytes).

    A runner may hold all rows of a run at once, in several copies: packed they take a tenth of the memory, and a film
    of three hours, with thousands of clips, hardly more than a short video.
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


def rows_per_file(schema: pa.Schema) -> int:
    """Returns how many rows a file gets: fewer where rows bear embeddings, of which a file would be a gigabyte."""
    wide = [field.type for field in schema if pa.types.is_fixed_size_list(field.type)]
    row_bytes = sum(kind.list_size * kind.value_type.bit_width // 8 for kind in wide)
    return min(ROWS_PER_FILE, MAX_FILE_BYTES // row_bytes) if row_bytes else ROWS_PER_FILE


def _num_files(num_rows: int, most_rows: int) -> int:
    return max(1, -(-num_rows // most_rows))


def _key_by_shard(block: tuple[str, int, bytes], num_shards: int) -> tuple[int, bytes]:
    """Rows of a video go to one file, whichever worker made them: a hash that does not change from run to run."""
    video_uri, _, rows = block
    return stable_hash(video_uri, "file") % num_shards, rows


def commit(
    run_facts: RunFacts,
    paths: RunPaths,
    max_failure_ratio: float,
    lock: LockTicket | None,
    files: Sequence[WrittenFile],
    num_inputs: int,
    outcomes: Mapping[str, int],
    num_vouching: int = 0,
    ignored: Mapping[str, int] = NOTHING,
    num_excused: int = 0,
) -> RunDocument:
    """Checks the written files and commits the run, in the steps that `reelbeam.transforms.output.commits` tells.

    Args:
      run_facts, paths, max_failure_ratio: see `WriteResults`.
      lock: what the run holds of the output; None where nobody else can write there.
      files: what was written.
      num_inputs: listed inputs, skipped ones included.
      outcomes: how many inputs were selected and skipped, by reason, see `reelbeam.transforms.output.ledger`.
      num_vouching, ignored, num_excused: see `WriteResults`.

    Returns:
      the run document.

    Raises:
      ReconciliationError: the rows do not add up to `num_inputs`.
      TooManyFailuresError: more than `max_failure_ratio` of the inputs failed.
      LockLostError: another run has taken over the output meanwhile.
    """
    finished = finish(paths)  # a bundle that is repeated
    if isinstance(finished, RunDocument):
        return finished
    contents = summarize_files(paths, files)
    skipped = {reason: outcomes[reason] for reason in SKIPPED if outcomes.get(reason)}
    summary = RunDocument(
        **vars(run_facts),
        schema_version=SCHEMA_VERSION,
        counts=Counts(inputs=num_inputs, **contents.counts, skipped=sum(skipped.values()), excused=num_excused),
        errors=contents.errors,
        labels=contents.labels,
        files=contents.files,
        finished_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        selected={reason: outcomes[reason] for reason in SELECTED if outcomes.get(reason)},
        skipped=skipped,
        ignored=most_frequent(ignored),
    )
    try:
        num_labeled = count_labeled(skipped) + num_vouching
        check(summary.counts, max_failure_ratio, num_labeled, summary.errors)
        if lock is not None:
            lock.require()
    except RunError as error:
        rejected = RejectedRun(
            **vars(summary) | {"files": files_by_table(files, paths.staged)},  # where the next start removes them
            refused=Rejection(error.code, str(error)),
        )
        write_atomically(paths.rejection_record, lambda sink: sink.write(to_line(rejected)))
        if lock is not None and not isinstance(error, LockLostError):
            lock.release_after_commit()
        raise
    write_commit_record(paths, summary, files)
    finish(paths)
    if lock is not None:
        lock.release_after_commit()
    return summary


def _remedy(errors: Sequence[ErrorCount]) -> str:
    """Says what to do about failures: a scheme that this installation cannot read fails with any ratio."""
    of_setup = (str(entry.message) for entry in errors if entry.code == UnsupportedVideoUriError.code)
    return next(of_setup, "see to the errors, or raise it")


def is_excused(summary: VideoSummary) -> bool:
    """Whether a file failed that nobody called a video: it was found in a folder by an extension such as `.ts`, which
    other files have, too, and it is not a video. Only its first attempt is judged, see `check`.
    """
    code = summary.failure and summary.failure.code
    is_other_file = summary.status == "failed" and code in (NotAVideoError.code, NoVideoStreamError.code)
    return summary.video.is_guess and is_other_file and summary.video.attempt == 1


def check(
    counts: Counts,
    max_failure_ratio: float,
    num_labeled: int = 0,
    errors: Sequence[ErrorCount] = (),
) -> None:
    """Raises where the rows do not add up, or too many inputs failed. See `commit`.

    What counts as failing is what fails for the first time: a video that is tried again, by another decoder for
    instance, has been told of, and a night that does nothing but try again must count as a try. Videos that are
    labeled already vouch for the job, as many as `_VOUCHERS` of them: one bad upload as a night's only new video is
    no reason to refuse the night, every night. Excused files (`is_excused`) do not count.

    Args:
      counts: of the summary.
      max_failure_ratio: highest share of failed inputs, 0 to 1.
      num_labeled: videos that are known to be labeled.
      errors: of the summary: code, count and an example of each message.
    """
    rows = counts.ok + counts.partial + counts.failed
    if not counts.inputs - counts.skipped == counts.videos == rows:
        raise ReconciliationError(
            f"{counted(counts.inputs, 'input')}, but the videos table has {dataclasses.asdict(counts)}"
        )
    if counts.clips != counts.video_clips or counts.ok_videos_without_all_clips:
        raise ReconciliationError(
            f"clip rows do not add up to what the videos table says: {dataclasses.asdict(counts)}"
        )
    failed, tried = counts.failed_first_attempts - counts.excused, counts.first_attempts - counts.excused
    if failed > max_failure_ratio * (tried + min(num_labeled, _VOUCHERS)):
        raise TooManyFailuresError(
            f"{failed} of {counted(tried, 'input')} failed, more than --max_failure_ratio {max_failure_ratio:g} "
            f"allows: {_remedy(errors)}"
        )
