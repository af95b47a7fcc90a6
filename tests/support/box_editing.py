"""Puts boxes into ISO base media files (MP4, MOV, AVIF), and takes some away."""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Callable, Collection, Iterator, Sequence

_VISUAL_SAMPLE_ENTRIES = (b"avc1", b"hvc1", b"hev1", b"av01", b"mp4v", b"encv")
_SAMPLE_ENTRY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def with_box(source: pathlib.Path, path: pathlib.Path, parents: Sequence[bytes], box: bytes) -> pathlib.Path:
    """Copies a file whose index comes last, with one more box at the end of the first of these parents."""
    data = bytearray(source.read_bytes())
    start, stop, positions = 0, len(data), []
    for kind in parents:
        position = next(at for at, found, _ in _boxes(data, start, stop) if found == kind)
        positions.append(position)
        stop = position + int.from_bytes(data[position : position + 4], "big")
        start = position + 8 + (8 if kind == b"stsd" else 78 if kind in _VISUAL_SAMPLE_ENTRIES else 0)
    for position in positions:
        size = int.from_bytes(data[position : position + 4], "big") + len(box)
        data[position : position + 4] = size.to_bytes(4, "big")
    data[stop:stop] = box
    path.write_bytes(data)
    return path


def with_clean_aperture(
    source: pathlib.Path, path: pathlib.Path, size: tuple[int, int], edges: tuple[int, int, int, int], codec: bytes
) -> pathlib.Path:
    """Copies an MP4 with a `clap` box in its sample entry `codec` that crops (left, right, top, bottom) of `size`."""
    left, right, top, bottom = edges
    width, height = size[0] - left - right, size[1] - top - bottom
    numbers = (width, 1, height, 1, left - right, 2, top - bottom, 2)
    return with_box(source, path, (*_SAMPLE_ENTRY, codec), struct.pack(">I4s8i", 40, b"clap", *numbers))


def only_boxes(source: pathlib.Path, path: pathlib.Path, kinds: Collection[bytes]) -> pathlib.Path:
    """Copies the boxes of some kinds at the top level."""
    data = source.read_bytes()
    parts = [data[at : at + size] for at, kind, size in _boxes(data, 0, len(data)) if kind in kinds]
    path.write_bytes(b"".join(parts))
    return path


def edited(source: pathlib.Path, path: pathlib.Path, edit: Callable[[bytes], bytes]) -> pathlib.Path:
    """Copies a file as `edit` changes its bytes, which must stay as many."""
    before = source.read_bytes()
    after = edit(before)
    assert len(after) == len(before) and after != before
    path.write_bytes(after)
    return path


def _boxes(data: bytes | bytearray, start: int, stop: int) -> Iterator[tuple[int, bytes, int]]:
    while start < stop:
        size = int.from_bytes(data[start : start + 4], "big")
        yield start, bytes(data[start + 4 : start + 8]), size
        start += size
