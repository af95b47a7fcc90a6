"""The top labels of rows in one form: rows of earlier runs have null where nothing was recognized."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.records import NOTHING_RECOGNIZED


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
