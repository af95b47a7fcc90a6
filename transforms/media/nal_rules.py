"""What a packet of NAL units tells: H.264 and HEVC. The rules are those of `bitstream.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transforms.media.bit_reader import BitReader
from transforms.media.packet_rules import PacketRules

_HIGH_444_PREDICTIVE = 244
_START_CODE = re.compile(rb"\x00\x00\x01")


class _NalRules(PacketRules):
    """NAL units, behind start codes or behind their lengths (MP4, Matroska)."""

    can_skip = True
    _headers: frozenset[int]
    """The types of parameter sets."""

    def __init__(self, length_size: int) -> None:
        self._length_size = length_size
        self._has_headers_in_band = length_size == 0

    def _units(self, data: memoryview) -> Iterator[memoryview]:
        if self._length_size == 0:
            starts = [match.end() for match in _START_CODE.finditer(data)]
            yield from (data[start:stop] for start, stop in zip(starts, [*starts[1:], len(data)], strict=False))
            return
        at = 0
        while at + self._length_size < len(data):
            start = at + self._length_size
            at = start + int.from_bytes(data[at:start], "big")
            yield data[start:at]

    def _may_tell(self, is_key: bool) -> bool:
        """Whether a packet is read for headers: all are until one had some, then those at which pictures change."""
        return is_key or not self._has_headers_in_band

    def _note_headers(self, types: set[int]) -> None:
        """Packets with parameter sets of their own are told of, also where decoding does not start at them."""
        self._has_headers_in_band = self._has_headers_in_band or bool(types & self._headers)

    def _has_headers(self, types: set[int]) -> bool:
        """Whether a decoder that comes from elsewhere has this packet's parameter sets.

        Either they are here, or no packet so far has any and they are the container's.
        """
        self._note_headers(types)
        return self._headers <= types or not self._has_headers_in_band


class H264Rules(_NalRules):
    """H.264, from `avcC` headers or start codes."""

    _headers = frozenset({7, 8})

    def __init__(self, extradata: bytes) -> None:
        is_avcc = extradata[:1] == b"\x01" and len(extradata) > 4
        super().__init__((extradata[4] & 3) + 1 if is_avcc else 0)
        self._is_lossless = is_avcc and _is_lossless(memoryview(extradata)[8:])

    def keeps_proof(self, data: memoryview, is_key: bool) -> bool:
        """Not where video is lossless: FFmpeg decodes it as the encoder did that the first packet names."""
        if self._may_tell(is_key):
            units = [unit for unit in self._units(data) if len(unit) > 1]
            self._note_headers({unit[0] & 31 for unit in units})
            self._is_lossless = self._is_lossless or any(unit[0] & 31 == 7 and _is_lossless(unit) for unit in units)
        return not self._is_lossless

    def starts_clean(self, data: memoryview) -> bool:
        units = [unit for unit in self._units(data) if len(unit) > 1]
        types = {unit[0] & 31 for unit in units}
        if not self._has_headers(types):
            return False
        return 5 in types or (1 in types and any(_recovers_at_once(unit) for unit in units if unit[0] & 31 == 6))

    def resets(self, data: memoryview) -> bool:
        """Not at recovery points: what follows may release frames from before it, which are not there."""
        return self.starts_clean(data) and any(unit[0] & 31 == 5 for unit in self._units(data) if len(unit))

    def may_skip(self, data: memoryview) -> bool:
        """Both fields, where a picture has two: the decoder must not be left with half a frame."""
        pictures = [unit[0] for unit in self._units(data) if len(unit) and 1 <= unit[0] & 31 <= 5]
        return bool(pictures) and not any(header & 0x60 for header in pictures)


def _is_lossless(sps: memoryview) -> bool:
    """Whether a sequence parameter set (ITU-T H.264, 7.3.2.1.1) sets qpprime_y_zero_transform_bypass_flag."""
    if len(sps) < 5 or sps[1] != _HIGH_444_PREDICTIVE:
        return False
    bits = BitReader(bytes(sps[4:32]).replace(b"\x00\x00\x03", b"\x00\x00"))
    bits.take_golomb()
    if bits.take_golomb() == 3:  # chroma_format_idc
        bits.take(1)
    bits.take_golomb(), bits.take_golomb()  # depths
    return bits.take(1) == 1


def _recovers_at_once(sei: memoryview) -> bool:
    """Whether a SEI unit has message 6, recovery point, with recovery_frame_cnt = 0 and exact_match_flag = 1."""
    at = 1
    while at + 2 < len(sei):
        kind, size = sei[at], sei[at + 1]
        if kind == 6:
            return sei[at + 2] & 0xC0 == 0xC0  # 0 is coded as one bit, "1".
        if 255 in (kind, size):  # Longer numbers: not worth it.
            return False
        at += 2 + size
    return False


class HevcRules(_NalRules):
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
