"""Packing: many rows in one element of a shuffle.

A runner pays for each element between two steps, and the local runner holds it in memory as an object. So videos, and
their rows in the ledger, are shuffled in blocks. A block is the compressed rows of many videos of one bucket. A bucket
is a hash of a key: the URI without its query, and the range. All that is compared with a video is in one bucket.

A step that reads a bucket holds its videos and their ledger rows unpacked: a thousand of a million. More buckets would
make blocks of fewer rows. Fewer buckets would limit how a cluster distributes the work after a shuffle.

The local runner materializes Flatten outputs, and PCollections with two consumers that cannot be fused. Pack elements
before those.
"""

from __future__ import annotations

import json
import operator
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam

from reelbeam.transforms.beam_compat import WindowedValue, in_global_window
from reelbeam.transforms.records import VideoRef, stable_hash
from reelbeam.transforms.records.time_range import TimeRange

NUM_BUCKETS = 1024

MAX_HELD_BYTES = 4 << 20  # of a thread: some forty videos of each bucket
_FIELDS = tuple(VideoRef.__dataclass_fields__)

_Value: TypeAlias = Any  # a JSON value; only the reader of the row knows its type
PackedRow: TypeAlias = tuple[object, ...] | list[object]
VideoRow: TypeAlias = tuple[object, ...]
"""The fields of a VideoRef."""

_values = operator.attrgetter(*_FIELDS)
encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
"""Returns rows as JSON; exact fractions as text."""


class Pack(beam.PTransform):
    """Packs rows.

    Input: (key, row): integers, and tuples or lists of JSON values. Output: (key, block), each with rows of one key.
    The memory limit decides how many blocks a key has. `unpack` returns the rows, as lists.

    Args:
      max_held_bytes: the memory limit of a thread, in bytes of rows.
    """

    def __init__(self, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        super().__init__()
        self._max_held_bytes = max_held_bytes

    def expand(self, rows: beam.PCollection[tuple[int, PackedRow]]) -> beam.PCollection[tuple[int, bytes]]:
        """Connects the step."""
        return rows | "Pack" >> beam.ParDo(_PackFn(self._max_held_bytes)).with_output_types(tuple[int, bytes])


class PackVideos(beam.PTransform):
    """Packs videos by their buckets. Input: VideoRef. Output: (bucket, block), for `unpack_videos`."""

    def expand(self, videos: beam.PCollection[VideoRef]) -> beam.PCollection[tuple[int, bytes]]:
        """Connects the step."""
        return videos | "ToRow" >> beam.Map(lambda video: (bucket_of(video.key), video_row(video))) | Pack()


class _PackFn(beam.DoFn):
    def __init__(self, max_held_bytes: int) -> None:
        self._max_held_bytes = max_held_bytes

    def start_bundle(self) -> None:
        self._held: dict[int, list[str]] = {}  # a failed bundle may have left some
        self._held_bytes = 0

    def process(self, element: tuple[int, PackedRow]) -> Iterable[tuple[int, bytes]]:
        key, row = element
        text = encode(row)
        self._held.setdefault(key, []).append(text)
        self._held_bytes += len(text)
        return self._release() if self._held_bytes > self._max_held_bytes else ()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for block in self._release():
            yield in_global_window(block)

    def _release(self) -> Iterator[tuple[int, bytes]]:
        held, self._held, self._held_bytes = self._held, {}, 0
        for key, rows in held.items():
            yield key, zlib.compress(f"[{','.join(rows)}]".encode())


def bucket_of(key: str) -> int:
    """Returns the bucket of a key, from 0 to NUM_BUCKETS - 1."""
    return stable_hash(key, "bucket") % NUM_BUCKETS


def video_row(video: VideoRef) -> VideoRow:
    """Returns a video as a row for `Pack`."""
    return _values(video)


def video_of(row: Iterable[_Value]) -> VideoRef:
    """Returns the video of a row from `unpack`."""
    facts = dict(zip(_FIELDS, row, strict=True))
    facts |= {"metadata": tuple(map(tuple, facts["metadata"])), "time_range": TimeRange.from_texts(facts["time_range"])}
    return VideoRef(**facts)


def unpack(blocks: Iterable[bytes]) -> Iterator[list[_Value]]:
    """Yields the rows of blocks, in the order of packing."""
    for block in blocks:
        yield from json.loads(zlib.decompress(block))


def unpack_videos(blocks: Iterable[bytes]) -> Iterator[VideoRef]:
    """Yields the videos of blocks."""
    return map(video_of, unpack(blocks))
