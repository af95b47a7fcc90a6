"""Reading the tables of an output: the rows of a run, wherever they are now, and the current row of every video.

Everything here reads batch by batch, by columns, and only what `runs/*.json` names.
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
from reelbeam.transforms.schemas import AGE, TABLES

ROWS_IN_MEMORY = 2_000_000
"""How many rows are compared at once; more are compared in as many passes as it takes."""

_NAMES_TOLD = 5
_PART = re.compile(r"-part\d+of\d+$")
_CURRENT = ["uri_key", *AGE, "status", "error_code", "num_clips", "duration_ms", "top_label", "model"]
_OF_LAST_RUN = "of_last_run"


class Output(NamedTuple):
    """An output as its JSONs tell it, at one moment.

    Attributes:
      uri: folder or prefix.
      runs: the committed runs by name, in the order of their names, compactions among them.
    """

    uri: str
    runs: dict[str, Run]

    @classmethod
    def read(cls, uri: str) -> Output:
        """Reads the JSONs of an output.

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
        """As `read`, of an output that may hold nothing yet: its first run may be under way."""
        uri = storage.normalize(uri).rstrip("/")
        path = storage.local_path(uri)
        if path is not None and pathlib.Path(path).is_file():
            raise ConfigError(f"{uri} is a file, not a folder: name the folder that was --output of `reelbeam label`")
        runs = {run.run_id: run for run in committed_runs(uri)}
        return cls(uri, runs)

    def nothing_there(self) -> ConfigError:
        """Returns what to raise where nothing is committed."""
        return ConfigError(f"{self.uri} holds no committed run: name the folder that was --output of `reelbeam label`")

    def labeling_runs(self) -> list[Run]:
        """Returns the runs that labeled something, or found nothing to label."""
        return [run for run in self.runs.values() if not run.is_compaction]

    def files(self, table: str, run: Run | None = None) -> list[str]:
        """Returns the files that hold rows of a run, perhaps beside rows of others; of all runs by default."""
        if run is None:
            return [path for each in self.runs.values() for path in each.files(table)]
        return (self.runs[run.compacted_into] if run.compacted_into else run).files(table)

    def last_name(self) -> str:
        """Returns the name of the run that was started last, as `find` takes it; all parts of a backfill have one."""
        return _PART.sub("", self.labeling_runs()[-1].run_id)

    def find(self, name: str) -> list[Run]:
        """Returns the run of that name, or the one whose name begins so; of a run in parts all parts, or the one named.

        Raises:
          ConfigError: there is none, or several runs' names begin so.
        """
        runs = self.labeling_runs()
        named = [run for run in runs if run.run_id == name]
        found = named or [run for run in runs if run.run_id.startswith(name)]
        wholes = dict.fromkeys(_PART.sub("", run.run_id) for run in found)
        one_run_in_parts = len(wholes) == 1 and next(iter(wholes)).startswith(name)
        if len(found) != 1 and not one_run_in_parts:
            names = list(wholes) if len(wholes) > 1 else [run.run_id for run in found or runs]
            told = ", ".join(names[-_NAMES_TOLD:])
            wrong = "may be one of several runs" if found else "is no committed run"
            raise ConfigError(f"{name} {wrong} of {self.uri}: {told}")
        return found


def read_run(
    output: Output,
    runs: Sequence[Run],
    table: str,
    columns: Sequence[str],
    on_file: Callable[[str], None] = lambda path: None,
) -> pa.Table:
    """Returns some columns of the rows of some runs, as one table."""
    names = pa.array([run.run_id for run in runs])
    files = dict.fromkeys(path for run in runs for path in output.files(table, run))
    batches = []
    for path in files:
        on_file(path)
        for batch in read_batches(path, [*columns, "run_id"]):
            batches.append(batch.filter(pc.is_in(batch["run_id"], names)))
    # A run without rows has no files, and still columns with types.
    schema = pa.schema([TABLES[table].field(name) for name in columns])
    return pa.Table.from_batches([batch.select(list(columns)) for batch in batches], schema)


def current_rows(
    output: Output, on_file: Callable[[str], None] = lambda path: None, rows_in_memory: int = ROWS_IN_MEMORY
) -> Iterator[pa.Table]:
    """Yields the current row of every video, some columns of it, each video once in one of the tables.

    That is its last row that shows the `LabelingKey` of the last run; its last row where there is none.

    A video is told by its `uri_key`. Memory does not grow with the number of rows: what is too much for one pass is
    read in several, each with its share of the videos.

    Args:
      output: the output.
      on_file: called for each file that is read, in each pass.
      rows_in_memory: the maximum number of rows of a pass.
    """
    files = output.files("videos")
    key = LabelingKey.of(output.labeling_runs()[-1].labeled) if output.labeling_runs() else None
    num_rows = sum(run.summary.counts.videos for run in output.labeling_runs())
    num_passes = _num_passes(num_rows, rows_in_memory)
    if num_passes > 1:  # what the JSONs say may be wrong, and each pass reads everything
        num_passes = _num_passes(sum(map(_num_rows, files)), rows_in_memory)
    for share in range(num_passes):
        batches = []
        for path in files:
            on_file(path)
            for batch in read_batches(path, list(dict.fromkeys([*_CURRENT, *KEY_COLUMNS]))):
                batch = _with_rank(batch, key)
                keys = batch["uri_key"].to_numpy()
                batches.append(batch if num_passes == 1 else batch.filter(pa.array(keys % num_passes == share)))
        if batches:
            yield _last_of_each(pa.Table.from_batches(batches))


def _with_rank(rows: pa.RecordBatch, key: LabelingKey | None) -> pa.RecordBatch:
    """Returns what is needed of rows, and whether they show a key: texts of millions of rows would take gigabytes."""
    shown = pa.array(np.full(len(rows), True))
    for name, value in (key.to_columns() if key else {}).items():
        shown = pc.and_(shown, pc.equal(rows[name], pa.scalar(value, rows[name].type)))
    return rows.select(_CURRENT).append_column(_OF_LAST_RUN, pc.fill_null(shown, False))


def _num_passes(num_rows: int, rows_in_memory: int) -> int:
    return -(-num_rows // rows_in_memory)


def _num_rows(path: str) -> int:
    """Counts the rows of a file: what its metadata says may be wrong, and decides how often everything is read."""
    return sum(batch.num_rows for batch in read_batches(path, ["uri_key"]))


def _last_of_each(rows: pa.Table) -> pa.Table:
    keys = rows["uri_key"].to_numpy()
    ages = [_as_numbers(rows[name]) for name in reversed(AGE)]
    order: npt.NDArray[np.int64] = np.lexsort((*ages, rows[_OF_LAST_RUN].to_numpy(), keys))
    is_last = np.ones(len(order), bool)
    is_last[:-1] = keys[order][1:] != keys[order][:-1]
    return rows.take(pa.array(order[is_last]))


def _as_numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Returns times and numbers as they are, and texts by their rank: few different ones, such as the names of runs."""
    if not pa.types.is_string(column.type):
        return column.cast(pa.int64()).to_numpy()
    texts = column.combine_chunks().dictionary_encode()
    return pc.rank(texts.dictionary).to_numpy()[texts.indices.to_numpy()]


def count_by(table: pa.Table, name: str) -> dict[str | None, int]:
    """Returns how many rows have which value."""
    return {values[0]: number for values, number in count_by_all(table, name).items()}


def count_by_all(table: pa.Table, *names: str) -> dict[tuple[str, ...], int]:
    """Returns how many rows have which values of several columns."""
    found = table.group_by(list(names)).aggregate([([], "count_all")]).to_pylist()
    return {tuple(row[name] for name in names): row["count_all"] for row in found}
