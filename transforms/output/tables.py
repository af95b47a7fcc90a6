"""Read the tables of an output: the rows of a run, compacted or not, and the current row of every video.

All functions read batches of the needed columns, and only from files that `runs/*.json` names.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.run_document import KEY_COLUMNS, LabelingKey
from reelbeam.transforms.output.runs import Run, committed_runs
from reelbeam.transforms.output.table_files import read_batches
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.schemas import AGE, TABLES

ROWS_IN_MEMORY = 2_000_000
"""The maximum number of rows that are compared at once. More rows are compared in several passes."""

_NAMES_SHOWN = 5
_PART = re.compile(r"-part\d+of\d+$")
_CURRENT = ["uri_key", *AGE, "status", "error_code", "num_clips", "duration_ms", "top_label", "model"]
_OF_LAST_RUN = "of_last_run"


class Output(NamedTuple):
    """A snapshot of an output's run documents.

    Attributes:
      uri: folder or prefix.
      runs: the committed runs by name, in the order of their names, including compactions.
    """

    uri: str
    runs: dict[str, Run]

    @classmethod
    def read(cls, uri: str) -> Output:
        """Reads the run documents of an output.

        Raises:
          ConfigError: nothing is committed there.
          StorageError: it cannot be read.
        """
        output = cls.read_any(uri)
        if not output.runs:
            raise output.nothing_there()
        return output

    @classmethod
    def read_any(cls, uri: str) -> Output:
        """Reads the run documents of an output that may hold no committed run yet."""
        uri = storage.normalize(uri).rstrip("/")
        path = storage.local_path(uri)
        if path is not None and pathlib.Path(path).is_file():
            raise ConfigError(f"{uri} is a file, not a folder: name the folder that was --output of `reelbeam label`")
        runs = {run.run_id: run for run in committed_runs(uri)}
        return cls(uri, runs)

    def nothing_there(self) -> ConfigError:
        """Returns the error for an output without committed runs."""
        return ConfigError(f"{self.uri} holds no committed run: name the folder that was --output of `reelbeam label`")

    def labeling_runs(self) -> list[Run]:
        """Returns all runs except compactions."""
        return [run for run in self.runs.values() if not run.is_compaction]

    def files(self, table: str, run: Run | None = None) -> list[str]:
        """Returns the files with the rows of a run, or of all runs. A file may also hold rows of other runs."""
        if run is None:
            return [path for each in self.runs.values() for path in each.files(table)]
        return (self.runs[run.compacted_into] if run.compacted_into else run).files(table)

    def last_name(self) -> str:
        """Returns the name of the last run for `find`. All parts of a run share it."""
        return run_name(self.labeling_runs()[-1].run_id)

    def find(self, name: str) -> list[Run]:
        """Returns the run with this name or with a name that starts with it; for a run in parts, all parts.

        Raises:
          ConfigError: no run matches, or several do.
        """
        runs = self.labeling_runs()
        named = [run for run in runs if run.run_id == name]
        found = named or [run for run in runs if run.run_id.startswith(name)]
        wholes = dict.fromkeys(run_name(run.run_id) for run in found)
        one_run_in_parts = len(wholes) == 1 and next(iter(wholes)).startswith(name)
        if len(found) != 1 and not one_run_in_parts:
            names = list(wholes) if len(wholes) > 1 else [run.run_id for run in found or runs]
            shown = ", ".join(names[-_NAMES_SHOWN:])
            wrong = "matches several runs" if found else "is not a committed run"
            raise ConfigError(f"{name} {wrong} of {self.uri}; pass one of {shown}")
        return found


def run_name(run_id: str) -> str:
    """Returns the name of a run without the number of its part. All parts of a run share it."""
    return _PART.sub("", run_id)


def read_run(
    output: Output,
    runs: Sequence[Run],
    table: str,
    columns: Sequence[str],
    on_file: Callable[[str], None] = lambda path: None,
) -> pa.Table:
    """Returns the given columns of the rows of the given runs as one table."""
    names = pa.array([run.run_id for run in runs])
    files = dict.fromkeys(path for run in runs for path in output.files(table, run))
    batches = []
    for path in files:
        on_file(path)
        for batch in read_batches(path, [*columns, "run_id"]):
            batches.append(batch.filter(pc.is_in(batch["run_id"], names)))
    # A run without rows has no files, but its result needs typed columns.
    schema = pa.schema([TABLES[table].field(name) for name in columns])
    return pa.Table.from_batches([batch.select(list(columns)) for batch in batches], schema)


def current_rows(
    output: Output,
    on_file: Callable[[str], None] = lambda path: None,
    rows_in_memory: int = ROWS_IN_MEMORY,
    runs: Sequence[Run] | None = None,
) -> Iterator[pa.Table]:
    """Yields tables that together hold some columns of the current row of every video.

    The current row of a video is its last row with the `LabelingKey` of the last run, or its last row if there is none.

    Videos are identified by `uri_key`. Memory does not grow with the number of rows: large outputs are read in several
    passes, each for a share of the videos.

    Args:
      output: the output.
      on_file: called for each file that is read, in each pass.
      rows_in_memory: the maximum number of rows of a pass.
      runs: the runs up to a time, in order: the result is the rows that were current then. None: all runs.
    """
    labeling = output.labeling_runs() if runs is None else runs
    files = output.files("videos") if runs is None else _files_of(output, runs)
    names = None if runs is None else pa.array([run.run_id for run in runs], pa.string())
    key = LabelingKey.of(labeling[-1].labeled) if labeling else None
    num_rows = sum(run.summary.counts.videos for run in labeling)
    num_passes = _num_passes(num_rows, rows_in_memory)
    if num_passes > 1:  # run documents may be wrong, and each pass reads everything
        num_passes = _num_passes(sum(map(_num_rows, files)), rows_in_memory)
    for share in range(num_passes):
        batches = []
        for path in files:
            on_file(path)
            for batch in read_batches(path, list(dict.fromkeys([*_CURRENT, *KEY_COLUMNS]))):
                batch = _with_rank(batch if names is None else batch.filter(pc.is_in(batch["run_id"], names)), key)
                keys = batch["uri_key"].to_numpy()
                batches.append(batch if num_passes == 1 else batch.filter(pa.array(keys % num_passes == share)))
        if batches:
            yield _last_of_each(pa.Table.from_batches(batches))


def _files_of(output: Output, runs: Sequence[Run]) -> list[str]:
    """Returns the files that have the rows of runs, compacted or not."""
    return list(dict.fromkeys(path for run in runs for path in output.files("videos", run)))


def _with_rank(rows: pa.RecordBatch, key: LabelingKey | None) -> pa.RecordBatch:
    """Returns the needed columns and whether rows have a key. The key's own texts would take gigabytes of memory."""
    matches = pa.array(np.full(len(rows), True))
    for name, value in (key.to_columns() if key else {}).items():
        matches = pc.and_(matches, pc.equal(rows[name], pa.scalar(value, rows[name].type)))
    return rows.select(_CURRENT).append_column(_OF_LAST_RUN, pc.fill_null(matches, False))


def _num_passes(num_rows: int, rows_in_memory: int) -> int:
    return -(-num_rows // rows_in_memory)


def _num_rows(path: str) -> int:
    """Counts the rows of a file. Its metadata may be wrong, and the count determines the number of passes."""
    return sum(batch.num_rows for batch in read_batches(path, ["uri_key"]))


def _last_of_each(rows: pa.Table) -> pa.Table:
    keys = rows["uri_key"].to_numpy()
    ages = [_as_numbers(rows[name]) for name in reversed(AGE)]
    order: npt.NDArray[np.int64] = np.lexsort((*ages, rows[_OF_LAST_RUN].to_numpy(), keys))
    is_last = np.ones(len(order), bool)
    is_last[:-1] = keys[order][1:] != keys[order][:-1]
    return rows.take(pa.array(order[is_last]))


def _as_numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Returns times and numbers unchanged, and texts by rank. The texts have few distinct values, such as run names."""
    if not pa.types.is_string(column.type):
        return column.cast(pa.int64()).to_numpy()
    texts = column.combine_chunks().dictionary_encode()
    return pc.rank(texts.dictionary).to_numpy()[texts.indices.to_numpy()]


def count_by(table: pa.Table, name: str) -> dict[str | None, int]:
    """Returns the number of rows by value."""
    return {values[0]: number for values, number in count_by_all(table, name).items()}


def count_by_all(table: pa.Table, *names: str) -> dict[tuple[str, ...], int]:
    """Returns the number of rows by the values of several columns."""
    found = table.group_by(list(names)).aggregate([([], "count_all")]).to_pylist()
    return {tuple(row[name] for name in names): row["count_all"] for row in found}


def answers(top_label: pa.Array, status: pa.Array) -> pa.Array:
    """Returns the answers for videos: a label, NOTHING_RECOGNIZED, or null for a failed video.

    Args:
      top_label, status: columns of the videos table.
    """
    has_failed = pc.equal(status, "failed")
    return pc.if_else(has_failed, pa.scalar(None, top_label.type), pc.fill_null(top_label, NOTHING_RECOGNIZED))


def recognized(top_label: pa.Array) -> pa.Array:
    """Returns the labels of a column of top labels; null where nothing was recognized."""
    is_nothing = pc.equal(top_label, NOTHING_RECOGNIZED)
    return pc.if_else(pc.fill_null(is_nothing, False), pa.scalar(None, top_label.type), top_label)
