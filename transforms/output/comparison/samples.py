"""What the test of drift compares of a side: each video once, with the model and the sampling of most rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.arrays import Floats
from reelbeam.transforms.output.comparison.drift import VideoSample
from reelbeam.transforms.output.comparison.side_rows import SideRows
from reelbeam.transforms.output.row_keys import seeded_hashes

_FACTS = {"codec": "codec", "container": "container", "picture size": "picture size"}
_SEED = 0


def video_sample(side: SideRows) -> VideoSample:
    """Returns what is compared of a side.

    Of several ranges of one video, one counts, chosen by a hash: the ranges of a video resemble each other, and
    statistics would count each one as another video.

    Args:
      side: the rows.
    """
    places = _one_per_video(side)
    rows, entropies = side.rows.take(pa.array(places)), side.entropies[places]
    return VideoSample(
        videos=len(rows),
        labels=_counts(rows["top_label"]),
        facts={kind: _counts(rows[name]) for kind, name in _FACTS.items()},
        failures=_counts(rows["error_code"]),
        numbers={
            "top score": _floats(rows, "top_score"),
            "entropy (nats)": entropies,
            "duration (s)": _floats(rows, "duration_ms") / 1000,
            "frames per second": _floats(rows, "source_fps"),
            "file size (MB)": _floats(rows, "size_bytes") / 1e6,
        },
    )


def _one_per_video(side: SideRows) -> pa.Array:
    """Returns the places of one row of each video, among the rows with the labeling key of the side."""
    (places,) = np.nonzero(side.has_labeling_key)
    uris = side.rows["video_uri"].take(pa.array(places)).combine_chunks().dictionary_encode()
    if len(uris.dictionary) == len(places):
        return places
    hashes = seeded_hashes(side.keys[places].view(np.uint64), _SEED)
    order = np.lexsort((hashes, uris.indices.to_numpy()))
    videos = uris.indices.to_numpy()[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = videos[1:] != videos[:-1]
    return np.sort(places[order[is_first]])


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Returns the number of rows by value, without null."""
    found = pc.value_counts(column.cast(pa.string()).drop_null()).to_pylist()
    return {entry["values"]: entry["counts"] for entry in found}


def _floats(rows: pa.Table, name: str) -> Floats:
    """Returns a column of numbers, rounded to the nearest float; NaN where it is null."""
    values: Floats = pc.fill_null(rows[name].cast(pa.float64(), safe=False), float("nan")).to_numpy()
    return values
