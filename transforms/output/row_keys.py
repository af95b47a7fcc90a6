"""Hashes of rows, for whole batches: those that identify the rows of an input, and those that choose samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.ledger import uri_key
from reelbeam.transforms.records import stable_hash
from reelbeam.transforms.schemas import RANGE

Hashes = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def input_hashes(batch: pa.RecordBatch) -> Hashes:
    """Returns the value of `uri_key` for the input of each row, from its URI and its range."""
    return _hashes(_input_keys(batch), uri_key)


def run_hashes(run_ids: pa.Array) -> Hashes:
    """Returns a hash of the run of each row. The sum with `input_hashes` identifies the rows of an input in a run."""
    return _hashes(run_ids, run_hash)


def run_hash(run_id: str) -> int:
    """Returns the hash of a run, a signed 64-bit number."""
    return stable_hash(run_id, "run")


def seeded_hashes(inputs: Hashes, seed: int, start_ms: npt.NDArray[np.int64] | None = None) -> Hashes:
    """Returns a hash of each input, or of each clip: the same whatever else is in the output, and in whatever order.

    The column `uri_key` is a BLAKE2b hash of the input. It is mixed with that of the seed, and then with the start of
    the clip, each time by the last step of SplitMix64. All are unsigned 64-bit numbers.

    Args:
      inputs: the `uri_key` of each input.
      seed: any integer.
      start_ms: the start of each clip; None: the hashes are those of inputs.
    """
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8, person=b"report").digest()
    mixed = _mix(inputs ^ np.uint64(int.from_bytes(digest, "big")))
    return mixed if start_ms is None else _mix(mixed + start_ms.view(np.uint64) * _GOLDEN)


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


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
