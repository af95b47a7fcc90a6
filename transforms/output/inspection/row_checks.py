"""Check that the rows of a group of files are consistent, video by video.

Each row is reduced to 25 bytes and hash-partitioned into temporary files by its video. All rows of a video in a run are
in one temporary file, which is small enough to be sorted in memory. Memory does not grow with the number of rows.
"""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reelbeam.transforms.output.row_keys import input_hashes, run_hashes
from reelbeam.transforms.output.table_files import read_batches
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.schemas import RANGE
from reelbeam.transforms.wording import counted

ROWS_IN_MEMORY = 1_000_000
"""The maximum number of rows that are sorted at once, about 100 MB."""

_ROW = np.dtype(
    [("key", "<u8"), ("clip", "<i4"), ("file", "<i4"), ("num_clips", "<i4"), ("num_planned", "<i4"), ("ok", "?")]
)
_VIDEO = -1
"""The value of `clip` in the row of a video."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault of a file."""

    path: str
    message: str


class RowChecks:
    """Collects the rows of the videos and clips tables and checks them. A context manager.

    Args:
      num_rows: the expected number of rows, which determines the number of temporary files.
      rows_in_memory: the approximate number of rows that are sorted at once.
    """

    def __init__(self, num_rows: int, rows_in_memory: int = ROWS_IN_MEMORY) -> None:
        self._num_shares = max(1, -(-num_rows // rows_in_memory))
        self._files: list[str] = []

    def __enter__(self) -> RowChecks:
        self._folder = tempfile.TemporaryDirectory(prefix="reelbeam-verify-")
        self._shares = [pathlib.Path(self._folder.name, str(number)) for number in range(self._num_shares)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add(self, path: str, table: str, batch: pa.RecordBatch) -> int:
        """Adds rows of a file. Returns the number of rows with a wrong `uri_key`."""
        if not self._files or self._files[-1] != path:
            self._files.append(path)
        hashes = input_hashes(batch)
        rows = np.zeros(batch.num_rows, _ROW)
        rows["key"] = hashes + run_hashes(batch["run_id"])
        rows["file"] = len(self._files) - 1
        wrong_keys = 0
        if table == "videos":
            rows["clip"] = _VIDEO
            rows["num_clips"] = batch["num_clips"].to_numpy()
            rows["num_planned"] = batch["num_planned_clips"].to_numpy()
            rows["ok"] = [status == "ok" for status in batch["status"].to_pylist()]
            wrong_keys = int(np.count_nonzero(batch["uri_key"].to_numpy().view(np.uint64) != hashes))
        else:
            rows["clip"] = batch["clip_index"].to_numpy()
        for number, share in enumerate(self._shares):
            mine = rows if self._num_shares == 1 else rows[rows["key"] % self._num_shares == number]
            with share.open("ab") as file:
                mine.tofile(file)
        return wrong_keys

    def faults(self) -> Iterator[Fault]:
        """Yields the faults: each kind once per file, with an example."""
        for share in self._shares:
            rows = np.fromfile(share, _ROW) if share.exists() else np.zeros(0, _ROW)
            rows = rows[np.lexsort((rows["clip"], rows["key"]))]
            for found, noun, what in _odd_rows(rows):
                for file in np.unique(found["file"]):
                    mine = found[found["file"] == file]
                    path = self._files[file]
                    yield Fault(
                        path, f"{counted(len(mine), noun)} {what}, such as {_name_of(path, int(mine[0]['key']))}"
                    )


def _odd_rows(rows: npt.NDArray[np.void]) -> Iterator[tuple[npt.NDArray[np.void], str, str]]:
    """Yields faulty rows of the sorted rows, with a noun for them and a description of the fault."""
    repeated = np.zeros(len(rows), bool)
    repeated[1:] = (rows["key"][1:] == rows["key"][:-1]) & (rows["clip"][1:] == rows["clip"][:-1])
    yield rows[repeated], "row", "repeated"
    rows = rows[~repeated]
    videos, clips = rows[rows["clip"] == _VIDEO], rows[rows["clip"] != _VIDEO]
    yield clips[~np.isin(clips["key"], videos["key"])], "clip", "without a row of the video"
    first = np.searchsorted(clips["key"], videos["key"], "left")
    num_clips = np.searchsorted(clips["key"], videos["key"], "right") - first
    yield videos[num_clips != videos["num_clips"]], "video", "whose number of clip rows differs from num_clips"
    lacking = videos["ok"] & (videos["num_clips"] != videos["num_planned"])
    yield videos[lacking], "video", "marked ok without all planned clips"


def _name_of(path: str, key: int) -> str:
    """Returns the name of a key's video and run."""
    for batch in read_batches(path, ["video_uri", *RANGE, "run_id"]):
        keys = input_hashes(batch) + run_hashes(batch["run_id"])
        (places,) = np.nonzero(keys == key)
        if len(places):
            row = batch.slice(int(places[0]), 1).to_pylist()[0]
            return f"{shown_input(row['video_uri'], *(row[name] for name in RANGE))} of run {row['run_id']}"
    return "a deleted one"
