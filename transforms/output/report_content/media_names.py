"""Names of groups of videos, for shares: picture sizes and containers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SIDES = (144, 240, 360, 480, 576, 720, 1080, 1440, 2160, 4320)
_TOLERANCE = 1.02


def picture_sizes(widths: pa.Array, heights: pa.Array) -> pa.Array:
    """Returns the class of each picture: the largest usual short side that is not above its own; null if unknown."""
    short = pc.min_element_wise(widths, heights, skip_nulls=False)
    names = pa.array([f"below {_SIDES[0]}p", *(f"{side}p" for side in _SIDES)])
    places = np.searchsorted(_SIDES, pc.fill_null(short, 0).to_numpy() * _TOLERANCE, "right")
    return pc.if_else(pc.is_valid(short), names.take(pa.array(places)), pa.scalar(None, pa.string()))


def container_names(containers: pa.Array) -> pa.Array:
    """Returns the first of the names of each container: FFmpeg names a demuxer "mov,mp4,m4a,3gp,3g2,mj2"."""
    found = containers.dictionary_encode()
    names = pa.array([name and name.partition(",")[0] for name in found.dictionary.to_pylist()], pa.string())
    return names.take(found.indices)
