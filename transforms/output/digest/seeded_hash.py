"""Hashes that choose samples: the same for a video whatever else is in the output and in whatever order it is read."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def seeded_hashes(
    inputs: npt.NDArray[np.uint64], seed: int, start_ms: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.uint64]:
    """Returns a hash of each input, or of each clip.

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


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
