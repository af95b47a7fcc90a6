"""Hashes that identify the rows of an input across tables, computed for whole batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.ledger import uri_key
from reelbeam.transforms.records import stable_hash
from reelbeam.transforms.schemas import RANGE

Hashes = npt.NDArray[np.uint64]


def input_hashes(batch: pa.RecordBatch) -> Hashes:
    """Returns the value of `uri_key` for the input of each row, from its URI and its range."""
    return _hashes(_input_keys(batch), uri_key)


def run_hashes(run_ids: pa.Array) -> Hashes:
    """Returns a hash of the run of each row. The sum with `input_hashes` identifies the rows of an input in a run."""
    return _hashes(run_ids, run_hash)


def run_hash(run_id: str) -> int:
    """Returns the hash of a run, a signed 64-bit number."""
    return stable_hash(run_id, "run")


def _input_keys(batch: pa.RecordBatch) -> pa.Array:
    """Returns the keys of the rows' inputs, see `time_range.input_key`."""
    uris, bounds = batch["video_uri"], [batch[name] for name in RANGE]
    has_range = pc.or_(*(pc.is_valid(bound) for bound in bounds))
    start, end = (pc.fill_null(pc.cast(bound, pa.string()), "") for bound in bounds)
    return pc.if_else(has_range, pc.binary_join_element_wise(uris, "\0t=", start, ",", end, ""), uris)


def _hashes(column: pa.Array, hash_of: Callable[[str], int]) -> Hashes:
    found = column.dictionary_encode()
    values = np.array([hash_of(value) for value in found.dictionary.to_pylist()], np.int64)
    return values[found.indices.to_numpy()].view(np.uint64)
