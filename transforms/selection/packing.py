"""Packing: many rows in one element, for whatever crosses a shuffle.

A runner pays for each element that it keeps between two steps, and the local one keeps it in memory, as objects. So
videos, and what the ledger says of them, cross in blocks, each the compressed rows of many videos of one bucket. A
video's bucket is a hash of its key (its URI without the query, and its range): what has to meet, two mentions of a
video, or a video and its rows in the ledger, meets there.

Whoever takes a bucket holds its videos unpacked, and their rows in the ledger: of a million, a thousand. There are no
more buckets, so that a block holds many rows, and no fewer, since a cluster spreads what comes behind a shuffle by the
bucket.

The local runner keeps what it flattens, and what two steps take that cannot be one: pack before.
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

_MAX_HELD_BYTES = 4 << 20  # by a thread: some forty videos of each bucket
_FIELDS = tuple(VideoRef.__dataclass_fields__)

_Value: TypeAlias = Any  # what JSON knows, of a type that only the row's reader knows
PackedRow: TypeAlias = tuple[object, ...] | list[object]
VideoRow: TypeAlias = tuple[object, ...]
"""The fields of a VideoRef."""

_values = operator.attrgetter(*_FIELDS)
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode  # str: of exact fractions


class Pack(beam.PTransform):
    """Packs rows.

    Input: (key, row): whole numbers, and tuples or lists of what JSON knows. Output: (key, block), each of rows of one
    key; a key has as many blocks as it takes to hold but little meanwhile. `unpack` gives the rows back, as lists.
    """

    def expand(self, rows: beam.PCollection[tuple[int, PackedRow]]) -> beam.PCollection[tuple[int, bytes]]:
        """Wires the step."""
        return rows | "Pack" >> beam.ParDo(_PackFn()).with_output_types(tuple[int, bytes])


class PackVideos(beam.PTransform):
    """Packs videos by their buckets. Input: VideoRef. Output: (bucket, block), for `unpack_videos`."""

    def expand(self, videos: beam.PCollection[VideoRef]) -> beam.PCollection[tuple[int, bytes]]:
        """Wires the step."""
        return videos | "ToRow" >> beam.Map(lambda video: (bucket_of(video.key), video_row(video))) | Pack()


class _PackFn(beam.DoFn):
    def start_bundle(self) -> None:
        self._held: dict[int, list[str]] = {}  # a bundle that failed may have left some
        self._held_bytes = 0

    def process(self, element: tuple[int, PackedRow]) -> Iterable[tuple[int, bytes]]:
        key, row = element
        text = _encode(row)
        self._held.setdefault(key, []).append(text)
        self._held_bytes += len(text)
        return self._release() if self._held_bytes > _MAX_HELD_BYTES else ()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for block in self._release():
            yield in_global_window(block)

    def _release(self) -> Iterator[tuple[int, bytes]]:
        held, self._held, self._held_bytes = self._held, {}, 0
        for key, rows in held.items():
            yield key, zlib.compress(f"[{','.join(rows)}]".encode())


def bucket_of(key: str) -> int:
    """Returns the bucket in which a video meets whatever is known of it, by its key, from 0 to NUM_BUCKETS - 1."""
    return stable_hash(key, "bucket") % NUM_BUCKETS


def video_row(video: VideoRef) -> VideoRow:
    """Returns a video as `Pack` takes it."""
    return _values(video)


def video_of(row: Iterable[_Value]) -> VideoRef:
    """Returns the video of a row that `unpack` gave."""
    facts = dict(zip(_FIELDS, row, strict=True))
    facts |= {"metadata": tuple(map(tuple, facts["metadata"])), "time_range": TimeRange.from_texts(facts["time_range"])}
    return VideoRef(**facts)


def unpack(blocks: Iterable[bytes]) -> Iterator[list[_Value]]:
    """Yields the rows of blocks, in the order in which they were packed."""
    for block in blocks:
        yield from json.loads(zlib.decompress(block))


def unpack_videos(blocks: Iterable[bytes]) -> Iterator[VideoRef]:
    """Yields the videos of blocks."""
    return map(video_of, unpack(blocks))
