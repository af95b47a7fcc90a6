"""Find the URIs that someone may have meant who wrote another one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUM_NEAR = 3
_NUM_COMPARED = 100
"""The comparison of two names takes some 50 µs, so only those with the most pieces in common are compared."""

_PIECE = 3
"""The number of characters of a piece."""


def near_names(uri: str, batches: Iterable[pa.Array]) -> list[str]:
    """Returns some URIs whose last part contains that of `uri`, or is similar to it, the most similar first.

    Args:
      uri: the URI that was written.
      batches: all URIs, in parts.
    """
    wanted = _last_part(uri.rstrip("/"))
    if not wanted:
        return []
    pieces = sorted({wanted[start : start + _PIECE] for start in range(max(1, len(wanted) - _PIECE + 1))})
    kept = pa.table({"common": pa.array([], pa.int64()), "uri": pa.array([], pa.string())})
    for uris in batches:
        found = pa.table({"common": _num_common(uris, [*pieces, wanted]), "uri": uris})
        found = found.group_by("uri").aggregate([("common", "max")]).rename_columns({"common_max": "common"})
        kept = _most_common(pa.concat_tables([kept, found.select(kept.column_names)]))
    names = {uri: _last_part(uri) for uri in kept["uri"].to_pylist()}
    having = sorted(name for name, part in names.items() if wanted in part)[:_NUM_NEAR]
    if having:
        return having
    similar = difflib.get_close_matches(wanted, sorted(set(names.values())), _NUM_NEAR)
    near = sorted((similar.index(part), name) for name, part in names.items() if part in similar)
    return [name for _, name in near[:_NUM_NEAR]]


def _last_part(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def _num_common(uris: pa.Array, pieces: list[str]) -> pa.Array:
    """Returns how many of the pieces the last part of each URI has."""
    parts = pc.replace_substring_regex(uris, "(?s)^.*/", "")
    counts = np.zeros(len(parts), np.int64)
    for piece in pieces:
        counts += pc.match_substring(parts, piece).to_numpy(zero_copy_only=False)
    return pa.array(counts)


def _most_common(found: pa.Table) -> pa.Table:
    order = [("common", "descending"), ("uri", "ascending")]
    if not found.num_rows:  # Arrow cannot select from nothing
        return found
    return found.take(pc.select_k_unstable(found, min(_NUM_COMPARED, found.num_rows), order))
