"""What a packet of HEVC tells. The rules are those of `bitstream.py`."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.media.nal_rules import NalRules


class HevcRules(NalRules):
    """HEVC, from `hvcC` headers or start codes."""

    _headers = frozenset({32, 33, 34})

    def __init__(self, extradata: bytes) -> None:
        is_hvcc = extradata[:1] == b"\x01" and len(extradata) > 22
        super().__init__((extradata[21] & 3) + 1 if is_hvcc else 0)
        self._highest_layer = 7
        units = _hvcc_units(extradata) if is_hvcc else self._units(memoryview(extradata))
        self._note_layers(list(units))

    def keeps_proof(self, data: memoryview, is_key: bool) -> bool:
        """Not where a picture says that those which wait to be shown shall not be (no_output_of_prior_pics_flag)."""
        if not self._may_tell(is_key):
            return True
        units = [unit for unit in self._units(data) if len(unit) > 2]
        self._note_headers({unit[0] >> 1 & 63 for unit in units})
        return not any(16 <= unit[0] >> 1 & 63 <= 21 and unit[2] & 0x40 for unit in units)

    def starts_clean(self, data: memoryview) -> bool:
        units = [unit for unit in self._units(data) if len(unit) > 2]
        self._note_layers(units)
        types = {unit[0] >> 1 & 63 for unit in units}
        pictures = {kind for kind in types if kind < 32}
        return bool(pictures) and all(16 <= k <= 21 for k in pictures) and self._has_headers(types)

    def may_skip(self, data: memoryview) -> bool:
        pictures = [unit for unit in self._units(data) if len(unit) > 2 and unit[0] >> 1 & 63 < 32]
        return bool(pictures) and all(
            unit[0] >> 1 & 63 in _HEVC_UNREFERENCED and (unit[1] & 7) - 1 == self._highest_layer for unit in pictures
        )

    def _note_layers(self, units: list[memoryview]) -> None:
        layers = [unit[2] >> 1 & 7 for unit in units if len(unit) > 2 and unit[0] >> 1 & 63 == 33]
        if layers:
            self._highest_layer = max(layers)


# TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N: nothing in the same layer refers to them.
_HEVC_UNREFERENCED = frozenset({0, 2, 4, 6, 8})


def _hvcc_units(extradata: bytes) -> Iterator[memoryview]:
    at = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield memoryview(extradata)[at + 2 : at + 2 + size]
            at += 2 + size
