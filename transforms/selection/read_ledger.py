"""ReadLedger: the ledger's rows of the listed videos, each in the bucket where the entries of its video are."""

from __future__ import annotations

import array
import bisect
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms.output.ledger import LedgerRow, ledger_runs, read_rows, uri_key
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.selection.packing import Pack
from reelbeam.transforms.selection.row_options import RowOptions

_OTHER_RUN, _FILE = "other_run", "file"

_KeyArrays: TypeAlias = tuple["array.array[int]", "array.array[int]"]


class LedgerRows(NamedTuple):
    """The output of ReadLedger.

    Attributes:
      rows: (bucket, block) of `LedgerRow`s, for `unpack`.
      other_runs: runs whose rows have other columns or labels than this run's, see `RowOptions`.
    """

    rows: beam.PCollection[tuple[int, bytes]]
    other_runs: beam.PCollection[str]


class ReadLedger(beam.PTransform):
    """Reads the rows of the listed videos.

    Input: (uri_key, bucket) of each entry. Output: LedgerRows.

    The memory does not grow with the ledger. All readers get the input, 10 bytes an entry. They read a file by row
    groups and pass on only the rows whose key is in it.

    A row goes to the bucket of the entries that have its name. That is not always the bucket of the name itself: an
    entry with a link in its path is in the bucket of the link's target.

    Args:
      output: the folder of the ledger.
      key: the labeling key of the run; None to read nothing.
      options: the columns and labels of this run's rows; None accepts the rows of every run.
    """

    def __init__(self, *, output: str, key: LabelingKey | None, options: RowOptions | None = None) -> None:
        super().__init__()
        self._output = output
        self._key = key
        self._options = options

    def expand(self, keys: beam.PCollection[tuple[int, int]]) -> LedgerRows:
        """Connects the step."""
        listed = keys | "PackKeys" >> beam.CombineGlobally(_PackKeys()).without_defaults()
        runs = (
            keys.pipeline
            | "Ledger" >> beam.Create([] if self._key is None else [self._output], reshuffle=False)
            | "LedgerFiles"
            >> beam.FlatMap(_files_of_runs, self._key, self._options)
            .with_output_types(str)
            .with_outputs(_OTHER_RUN, main=_FILE)
        )
        rows = (
            runs[_FILE]
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadRows" >> beam.FlatMap(_read_rows, self._key, beam.pvalue.AsSingleton(listed, ListedKeys()))
            | "PackRows" >> Pack()
        )
        return LedgerRows(rows, runs[_OTHER_RUN])


class ListedKeys(NamedTuple):
    """The keys of all entries.

    Attributes:
      uri_keys: int64 [N], ascending.
      buckets: uint16 [N], the bucket of each. A key is there twice if its entries are in two buckets.
    """

    uri_keys: bytes = b""
    buckets: bytes = b""

    def buckets_of(self, number: int) -> Iterator[int]:
        """Yields the buckets of a `uri_key`."""
        uri_keys, buckets = memoryview(self.uri_keys).cast("q"), memoryview(self.buckets).cast("H")
        place = bisect.bisect_left(uri_keys, number)
        while place < len(uri_keys) and uri_keys[place] == number:
            yield buckets[place]
            place += 1


def _files_of_runs(output: str, key: LabelingKey, options: RowOptions | None) -> Iterator[str | TaggedOutput]:
    for run in ledger_runs(output, key):
        yield from run.files("videos")
        if options is not None and options.would_change(run.summary):
            yield TaggedOutput(_OTHER_RUN, run.run_id)


def _read_rows(path: str, key: LabelingKey, listed: ListedKeys) -> Iterator[tuple[int, LedgerRow]]:
    for row in read_rows(path, np.frombuffer(listed.uri_keys, np.int64), key):
        for bucket in listed.buckets_of(uri_key(row.key)):
            yield bucket, row


class _PackKeys(beam.CombineFn):
    """(uri_key, bucket) -> ListedKeys."""

    def create_accumulator(self) -> _KeyArrays:
        return array.array("q"), array.array("H")

    def add_input(self, accumulator: _KeyArrays, entry: tuple[int, int]) -> _KeyArrays:
        accumulator[0].append(entry[0])
        accumulator[1].append(entry[1])
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_KeyArrays]) -> _KeyArrays:
        uri_keys, buckets = self.create_accumulator()
        for more_keys, more_buckets in accumulators:
            uri_keys.extend(more_keys)
            buckets.extend(more_buckets)
        return uri_keys, buckets

    def extract_output(self, accumulator: _KeyArrays) -> ListedKeys:
        uri_keys, buckets = np.frombuffer(accumulator[0], np.int64), np.frombuffer(accumulator[1], np.uint16)
        order = np.lexsort((buckets, uri_keys))
        uri_keys, buckets = uri_keys[order], buckets[order]
        is_new = np.append(True, (np.diff(uri_keys) != 0) | (np.diff(buckets) != 0))[: len(uri_keys)]
        return ListedKeys(uri_keys[is_new].tobytes(), buckets[is_new].tobytes())
