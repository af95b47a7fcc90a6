"""The rows of an output that a report shows, read batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.row_keys import Hashes, input_hashes, run_hash, run_hashes
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.output.table_files import read_batches
from reelbeam.transforms.output.tables import ROWS_IN_MEMORY, Output, current_rows, run_name
from reelbeam.transforms.schemas import RANGE

OnFile = Callable[[str], None]
"""Called with the path of each file that is read."""


class NumberedRows(NamedTuple):
    """Rows, and for each row the number of its video, from 0 to `ShownRows.num_videos` - 1."""

    batch: pa.RecordBatch
    videos: npt.NDArray[np.int64]


class ShownRows:
    """One row of the videos table for each input, and the clips and errors of the run of that row.

    The memory is 8 bytes per video. Use `current` or `of_runs` to make one.

    Args:
      output: the output.
      name: the name for titles.
      keys: for each row of the videos table, the sum of the hashes of its input and of its run.
      run_ids: the runs of those rows.
      last_runs: the last run, or all its parts.
      chosen_runs: the runs that were chosen; None if the rows are the current ones.
      is_increment: whether these are only the rows that were made since an earlier time.
    """

    def __init__(
        self,
        output: Output,
        name: str,
        keys: Hashes,
        run_ids: Iterable[str],
        last_runs: Sequence[Run],
        chosen_runs: Sequence[Run] | None = None,
        is_increment: bool = False,
    ) -> None:
        self.output = output
        self.name = name
        self.last_runs = tuple(last_runs)
        self.chosen_runs = None if chosen_runs is None else tuple(chosen_runs)
        self.is_increment = is_increment
        self._keys = np.unique(keys)
        self._run_ids = frozenset(run_ids)

    @classmethod
    def current(
        cls, output: Output, on_file: OnFile = lambda path: None, rows_in_memory: int = ROWS_IN_MEMORY
    ) -> ShownRows:
        """Returns the current row of every video, see `tables.current_rows`.

        Args:
          output: the output.
          on_file: called for each file that is read.
          rows_in_memory: the maximum number of rows that are compared at once.

        Raises:
          StorageError: a file cannot be read.
        """
        keys, run_ids = _keys_and_runs(current_rows(output, on_file, rows_in_memory))
        return cls(output, output.uri.rsplit("/", 1)[-1], keys, run_ids, _last_runs(output.labeling_runs()))

    @classmethod
    def up_to(cls, output: Output, run: Run, on_file: OnFile = lambda path: None) -> ShownRows:
        """Returns the rows that were current when a run was committed.

        Args:
          output: the output.
          run: a run that labeled; the last part of a run in parts.
          on_file: called for each file that is read.

        Raises:
          StorageError: a file cannot be read.
        """
        runs = [each for each in output.labeling_runs() if each.run_id <= run.run_id]
        keys, run_ids = _keys_and_runs(current_rows(output, on_file, runs=runs))
        return cls(output, f"up to {run_name(run.run_id)}", keys, run_ids, _last_runs(runs))

    @classmethod
    def since(cls, output: Output, run: Run, on_file: OnFile = lambda path: None) -> ShownRows:
        """Returns the current rows that were made after a run; the arguments are those of `up_to`."""
        later = [each for each in output.labeling_runs() if each.run_id > run.run_id]
        names = pa.array([each.run_id for each in later], pa.string())
        rows = (table.filter(pc.is_in(table["run_id"], names)) for table in current_rows(output, on_file))
        last_runs = _last_runs(output.labeling_runs())
        name = f"since {run_name(run.run_id)}"
        return cls(output, name, *_keys_and_runs(rows), last_runs, is_increment=True)

    @classmethod
    def of_runs(cls, output: Output, runs: Sequence[Run], on_file: OnFile = lambda path: None) -> ShownRows:
        """Returns the rows of the given runs, compacted or not. Of a video with several rows, the newest is shown.

        Args:
          output: the output.
          runs: at least one run that labeled; several for a run in parts.
          on_file: called for each file that is read.

        Raises:
          StorageError: a file cannot be read.
        """
        runs = sorted(runs, key=lambda run: (run.labeled.labeled_at or run.labeled.started_at, run.run_id))
        names = pa.array([run.run_id for run in runs], pa.string())
        inputs, ages = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for path in dict.fromkeys(path for run in runs for path in output.files("videos", run)):
            on_file(path)
            for batch in read_batches(path, ["uri_key", "run_id"]):
                age = pc.fill_null(pc.index_in(batch["run_id"], names), -1).to_numpy().astype(np.int64)
                inputs.append(batch["uri_key"].to_numpy()[age >= 0])
                ages.append(age[age >= 0])
        newest, age = _newest(np.concatenate(inputs), np.concatenate(ages))
        hashes = np.array([run_hash(run.run_id) for run in runs], np.int64)
        shown = [runs[number].run_id for number in np.unique(age)]
        keys = newest.view(np.uint64) + hashes[age].view(np.uint64)
        name = ", ".join(dict.fromkeys(run_name(run.run_id) for run in runs))
        return cls(output, name, keys, shown, _last_runs(runs), runs)

    @property
    def num_videos(self) -> int:
        """The number of shown rows of the videos table."""
        return len(self._keys)

    def runs(self) -> list[Run]:
        """Returns the runs that labeled and have shown rows, in the order of their names."""
        return [run for run in self.output.labeling_runs() if run.run_id in self._run_ids]

    def batches(
        self, table: str, columns: Sequence[str], on_file: OnFile = lambda path: None
    ) -> Iterator[pa.RecordBatch]:
        """Yields the shown rows of a table.

        Args:
          table: "videos", "clips" or "errors".
          columns: the columns to read.
          on_file: called for each file that is read.

        Raises:
          StorageError: a file cannot be read.
        """
        for rows in self.numbered(table, columns, on_file):
            yield rows.batch

    def numbered(
        self, table: str, columns: Sequence[str], on_file: OnFile = lambda path: None
    ) -> Iterator[NumberedRows]:
        """Yields the rows of `batches`, with the numbers of their videos, which are the same for all tables.

        A repeated row of the videos table is yielded once.
        """
        is_videos = table == "videos"
        needed = ["uri_key"] if is_videos else ["video_uri", *RANGE]
        seen = np.zeros(self.num_videos if is_videos else 0, bool)
        for path in self._files(table) if self.num_videos else ():
            on_file(path)
            for batch in read_batches(path, list(dict.fromkeys([*columns, *needed, "run_id"]))):
                inputs = batch["uri_key"].to_numpy().view(np.uint64) if is_videos else input_hashes(batch)
                is_shown, videos = self._find(inputs + run_hashes(batch["run_id"]))
                if is_videos:
                    is_shown[is_shown] = _is_first(videos[is_shown]) & ~seen[videos[is_shown]]
                    seen[videos[is_shown]] = True
                if is_shown.any():
                    yield NumberedRows(batch.select(list(columns)).filter(pa.array(is_shown)), videos[is_shown])

    def _find(self, keys: Hashes) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Returns for each key whether it is shown, and its place; the place of another key is any."""
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return self._keys[places] == keys, places

    def _files(self, table: str) -> list[str]:
        """Returns the files that may have shown rows."""
        runs = [run for run in self.output.runs.values() if run.is_compaction or run.run_id in self._run_ids]
        return [path for run in runs for path in run.files(table)]


def _keys_and_runs(tables: Iterable[pa.Table]) -> tuple[Hashes, set[str]]:
    """Returns the keys of rows, see `ShownRows`, and their runs."""
    keys, run_ids = [np.empty(0, np.uint64)], set[str]()
    for rows in tables:
        found = rows["run_id"].combine_chunks()
        keys.append(rows["uri_key"].to_numpy().view(np.uint64) + run_hashes(found))
        run_ids.update(found.unique().to_pylist())
    return np.concatenate(keys), run_ids


def _last_runs(runs: Sequence[Run]) -> list[Run]:
    """Returns the last run, or all its parts."""
    return [run for run in runs if run_name(run.run_id) == run_name(runs[-1].run_id)]


def _newest(
    inputs: npt.NDArray[np.int64], ages: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns each input once, with its greatest age."""
    order = np.lexsort((ages, inputs))
    inputs, ages = inputs[order], ages[order]
    is_last = np.ones(len(inputs), bool)
    is_last[:-1] = inputs[1:] != inputs[:-1]
    return inputs[is_last], ages[is_last]


def _is_first(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Returns for each number whether it is the first one of its value."""
    found = np.zeros(len(numbers), bool)
    found[np.unique(numbers, return_index=True)[1]] = True
    return found
