"""Parse the display order from the parameter sets and slice headers of HEVC. Pure."""

from __future__ import annotations

import functools
from typing import NamedTuple

from reelbeam.transforms.media.codecs.bit_reader import BitReader
from reelbeam.transforms.media.codecs.display_order import Count

_IDR = frozenset({19, 20})
_BLA = frozenset({16, 17, 18})
# The even types below 16 are unreferenced in their layer. RADL and RASL pictures are not a base either.
_NOT_BASE = frozenset({0, 2, 4, 6, 7, 8, 9, 10, 12, 14})
# Enough for the start of a slice header, and for a parameter set including its profiles.
_SLICE_HEAD_BYTES = 12
_HEAD_BYTES = 256


class SpsFormat(NamedTuple):
    """The layout of slice headers by SPS: the size of slice_pic_order_cnt_lsb, and separate_colour_plane."""

    order_bits: int
    has_planes: bool


class PpsFormat(NamedTuple):
    """The layout of slice headers by PPS: num_extra_slice_header_bits and output_flag_present."""

    num_extra_bits: int
    has_output_flag: bool


def read_sps(unit: memoryview) -> SpsFormat:
    """Reads a sequence parameter set (ITU-T H.265, 7.3.2.2)."""
    return _read_sps(bytes(unit[:_HEAD_BYTES]))


def read_pps(unit: memoryview) -> PpsFormat:
    """Reads a picture parameter set (7.3.2.3)."""
    return _read_pps(bytes(unit[:_HEAD_BYTES]))


@functools.lru_cache(maxsize=64)
def _read_sps(unit: bytes) -> SpsFormat:
    bits = BitReader(unit[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    num_sub_layers = bits.take(3)
    bits.take(1)
    _read_profile(bits, num_sub_layers)
    bits.take_golomb()
    has_planes = bits.take_golomb() == 3 and bits.take(1) == 1
    bits.take_golomb(), bits.take_golomb()  # size
    if bits.take(1):  # conformance_window
        for _ in range(4):
            bits.take_golomb()
    bits.take_golomb(), bits.take_golomb()  # depths
    return SpsFormat(min(bits.take_golomb() + 4, 16), has_planes)


def _read_profile(bits: BitReader, num_sub_layers: int) -> None:
    bits.take(88 + 8)
    flags = [(bits.take(1), bits.take(1)) for _ in range(num_sub_layers)]
    bits.take(2 * (8 - num_sub_layers) if num_sub_layers else 0)
    for has_profile, has_level in flags:
        bits.take(88 * has_profile + 8 * has_level)


@functools.lru_cache(maxsize=64)
def _read_pps(unit: bytes) -> PpsFormat:
    bits = BitReader(unit[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take_golomb(), bits.take_golomb(), bits.take(1)
    has_output_flag = bits.take(1) == 1
    return PpsFormat(bits.take(3), has_output_flag)


def read_count(unit: memoryview, sps: SpsFormat, pps: PpsFormat) -> Count | None:
    """Reads a slice header (7.3.6.1); None if it is not the first slice of its picture.

    The result does not mark a CRA picture as the start of a sequence, because that depends on what precedes it.
    """
    kind = unit[0] >> 1 & 63
    bits = BitReader(bytes(unit[2:_SLICE_HEAD_BYTES]).replace(b"\0\0\3", b"\0\0"))
    if not bits.take(1):
        return None
    bits.take(1 if 16 <= kind <= 23 else 0)
    bits.take_golomb()
    bits.take(pps.num_extra_bits)
    bits.take_golomb()
    bits.take(pps.has_output_flag + 2 * sps.has_planes)
    low_bits = 0 if kind in _IDR else bits.take(sps.order_bits)
    is_base = unit[1] & 7 == 1 and kind not in _NOT_BASE
    return Count(kind in _IDR or kind in _BLA, low_bits, sps.order_bits, is_base)
