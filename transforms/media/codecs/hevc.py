"""Packet rules for HEVC. See `bitstream.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reelbeam.transforms.media.codecs.display_order import Count, CountOrder
from reelbeam.transforms.media.codecs.hevc_headers import PpsFormat, SpsFormat, read_count, read_pps, read_sps
from reelbeam.transforms.media.codecs.nal import NalRules

# TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N: unreferenced in their own layer.
_UNREFERENCED = frozenset({0, 2, 4, 6, 8})
_CRA, _SPS, _PPS, _SEI = 21, 33, 34, 39
# NAL units that end a sequence or the stream.
_ENDS = frozenset({36, 37})
_END_UNITS = (b"\x48\x01", b"\x4a\x01")


class HevcRules(NalRules):
    """HEVC with an `hvcC` header or start codes."""

    always_shows = True
    _headers = frozenset({32, 33, 34})

    def __init__(self, extradata: bytes) -> None:
        is_hvcc = extradata[:1] == b"\x01" and len(extradata) > 22
        super().__init__((extradata[21] & 3) + 1 if is_hvcc else 0)
        self._highest_layer = 7
        self._is_behind_end = False
        units = [*(_hvcc_units(extradata) if is_hvcc else self._units(memoryview(extradata)))]
        self._note_layers(units)
        sps, pps = _formats(units)
        self._is_plain = len(sps) <= 1 and len(pps) <= 1
        self._sps, self._pps = min(sps, default=None), min(pps, default=None)

    def supports_fast_path(self, data: memoryview, is_key: bool) -> bool:
        """Returns False if the rules stop holding at this packet.

        - A picture discards the frames that wait for display (no_output_of_prior_pics_flag). A CRA picture after the
          end of a sequence does so without the flag.
        - The display order is ambiguous: the slice headers have several layouts.
        """
        is_behind_end = self._is_behind_end
        self._is_behind_end = bytes(data[-2:]) in _END_UNITS
        if not self._may_tell(is_key):
            return self._is_plain
        units = [unit for unit in self._units(data) if len(unit) >= 2]
        types = {unit[0] >> 1 & 63 for unit in units}
        self._note_headers(types)
        self._is_plain = self._is_plain and all(len(found) <= 1 for found in _formats(units))
        if _CRA in types and (is_behind_end or types & _ENDS):
            return False
        return self._is_plain and not any(
            16 <= unit[0] >> 1 & 63 <= 21 and len(unit) > 2 and unit[2] & 0x40 for unit in units
        )

    def display_order(self) -> CountOrder:
        """Orders pictures by the picture order count of their first slice."""
        return CountOrder(_CountReader(self._units, self._sps, self._pps).read)

    def is_random_access_point(self, data: memoryview) -> bool:
        units = [unit for unit in self._units(data) if len(unit) > 2]
        self._note_layers(units)
        types = {unit[0] >> 1 & 63 for unit in units}
        pictures = {kind for kind in types if kind < 32}
        return bool(pictures) and all(16 <= k <= 21 for k in pictures) and self._has_headers(types)

    def is_disposable(self, data: memoryview) -> bool:
        pictures = [unit for unit in self._units(data) if len(unit) > 2 and unit[0] >> 1 & 63 < 32]
        return bool(pictures) and all(
            unit[0] >> 1 & 63 in _UNREFERENCED and (unit[1] & 7) - 1 == self._highest_layer for unit in pictures
        )

    def _note_layers(self, units: list[memoryview]) -> None:
        layers = [unit[2] >> 1 & 7 for unit in units if len(unit) > 2 and unit[0] >> 1 & 63 == 33]
        if layers:
            self._highest_layer = max(layers)


class _CountReader:
    """Reads the picture order counts with the parameter sets that precede them."""

    def __init__(
        self, units: Callable[[memoryview], Iterator[memoryview]], sps: SpsFormat | None, pps: PpsFormat | None
    ) -> None:
        self._units = units
        self._sps, self._pps = sps, pps
        self._is_first = True

    def read(self, data: memoryview) -> Count | None:
        """Returns the count of a packet's picture; None if it cannot be read."""
        for unit in self._units(data):
            kind = unit[0] >> 1 & 63 if len(unit) > 2 and _is_base_layer(unit) else _SEI
            if kind < 32:
                return self._read_slice(unit, kind)
            if kind == _SPS:
                self._sps = read_sps(unit)
            elif kind == _PPS:
                self._pps = read_pps(unit)
        return None

    def _read_slice(self, unit: memoryview, kind: int) -> Count | None:
        found = read_count(unit, self._sps, self._pps) if self._sps and self._pps else None
        if found and self._is_first:
            found = found._replace(starts=found.starts or kind == _CRA)
        self._is_first = False
        return found


def _formats(units: list[memoryview]) -> tuple[set[SpsFormat], set[PpsFormat]]:
    """Returns the layouts of slice headers that the units' parameter sets define."""
    bases = [unit for unit in units if len(unit) > 2 and _is_base_layer(unit)]
    return (
        {read_sps(unit) for unit in bases if unit[0] >> 1 & 63 == _SPS},
        {read_pps(unit) for unit in bases if unit[0] >> 1 & 63 == _PPS},
    )


def _is_base_layer(unit: memoryview) -> bool:
    return not unit[0] & 1 and unit[1] < 8


def _hvcc_units(extradata: bytes) -> Iterator[memoryview]:
    at = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield memoryview(extradata)[at + 2 : at + 2 + size]
            at += 2 + size
