"""Changes the times in MPEG-TS files, as damage and bad recorders do."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

_PACKET_BYTES = 188
Times = tuple[int, int | None]
"""Presentation and decoding time of a PES packet, in ticks of 90 kHz; None: it has the former only."""


def with_times(
    source: pathlib.Path, path: pathlib.Path, change: Callable[[int, int, int | None], Times | None]
) -> None:
    """Writes a copy of a file in which video PES packets have other times.

    Args:
      source: an MPEG-TS file with one video stream.
      path: where to.
      change: gets the number of a PES packet and its times; returns its new times, or None for a header without any.
    """
    data = bytearray(source.read_bytes())
    count = 0
    for at in range(0, len(data) - _PACKET_BYTES + 1, _PACKET_BYTES):
        if not data[at + 1] & 0x40:  # no PES packet starts here
            continue
        pes = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if data[pes : pes + 3] != b"\0\0\1" or not 0xE0 <= data[pes + 3] <= 0xEF:
            continue
        has_dts = data[pes + 7] & 0x40 != 0
        times = change(count, _read(data, pes + 9), _read(data, pes + 14) if has_dts else None)
        count += 1
        if times is None:
            data[pes + 7] &= 0x3F
            data[pes + 9 : pes + 9 + data[pes + 8]] = b"\xff" * data[pes + 8]
            continue
        _write(data, pes + 9, times[0], 3 if has_dts else 2)
        if has_dts:
            assert times[1] is not None
            _write(data, pes + 14, times[1], 1)
    path.write_bytes(data)


def without_packets(source: pathlib.Path, path: pathlib.Path, lost: range) -> None:
    """Writes a copy of a file that lacks some of its 188-byte packets."""
    data = source.read_bytes()
    path.write_bytes(data[: lost.start * _PACKET_BYTES] + data[lost.stop * _PACKET_BYTES :])


def _read(data: bytearray, at: int) -> int:
    return (
        (data[at] >> 1 & 7) << 30 | data[at + 1] << 22 | data[at + 2] >> 1 << 15 | data[at + 3] << 7 | data[at + 4] >> 1
    )


def _write(data: bytearray, at: int, time: int, tag: int) -> None:
    high, middle, low = time >> 30 & 7, time >> 15 & 0x7FFF, time & 0x7FFF
    data[at] = tag << 4 | high << 1 | 1
    data[at + 1 : at + 3] = (middle << 1 | 1).to_bytes(2, "big")
    data[at + 3 : at + 5] = (low << 1 | 1).to_bytes(2, "big")
