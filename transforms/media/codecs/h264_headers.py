"""Parse the parameter sets and slice headers of H.264. Pure."""

from __future__ import annotations

import functools
from typing import NamedTuple

from reelbeam.transforms.media.codecs.bit_reader import BitReader
from reelbeam.transforms.media.codecs.display_order import Count
from reelbeam.transforms.media.codecs.packet_rules import Field

# The maximum number of frames that FFmpeg's decoder holds back.
MAX_REORDER_DEPTH = 16
# Profiles whose sequence parameter sets describe chroma format, bit depth and scaling (ITU-T H.264, 7.3.2.1.1).
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
_HIGH_444_PREDICTIVE = 244
_EXTENDED_ASPECT_RATIO = 255
_MAX_SPS_BYTES = 4096
_SLICE_HEAD_BYTES = 20


class SliceFormat(NamedTuple):
    """The layout of the display order in slice headers.

    Attributes:
      order_type: pic_order_cnt_type.
      order_bits: the size of pic_order_cnt_lsb, for type 0.
      has_planes, frame_num_bits, has_fields: the layout of the preceding header fields.
    """

    order_type: int
    order_bits: int
    has_planes: bool
    frame_num_bits: int
    has_fields: bool


class Sps(NamedTuple):
    """A sequence parameter set.

    Attributes:
      is_lossless: whether it sets qpprime_y_zero_transform_bypass_flag.
      reorder_depth: the number of frames that a decoder must hold back; the maximum if the set does not say.
      slices: the layout of slice headers.
    """

    is_lossless: bool
    reorder_depth: int
    slices: SliceFormat


def read_sps(unit: memoryview | bytes) -> Sps:
    """Reads a NAL unit of type 7. A truncated VUI is ignored."""
    return _read_sps(bytes(unit[:_MAX_SPS_BYTES]))


@functools.lru_cache(maxsize=64)
def _read_sps(unit: bytes) -> Sps:
    data = unit[1:].replace(b"\0\0\3", b"\0\0").rstrip(b"\0") or b"\0"
    bits = BitReader(data)
    profile = bits.take(8)
    bits.take(8 + 8)
    bits.take_golomb()
    has_planes, is_bypassed = _read_high_profile(bits) if profile in _HIGH_PROFILES else (False, False)
    frame_num_bits = min(bits.take_golomb() + 4, 16)
    order_type, order_bits = _read_order(bits)
    bits.take_golomb(), bits.take(1), bits.take_golomb(), bits.take_golomb()  # references, gaps, size
    has_fields = not bits.take(1)
    bits.take(1 if has_fields else 0)
    bits.take(1)
    if bits.take(1):  # cropping
        for _ in range(4):
            bits.take_golomb()
    reorder_depth = _read_reorder_depth(bits) if bits.take(1) else MAX_REORDER_DEPTH
    # A truncated VUI is ignored, as FFmpeg does. The set ends with a one bit and zeros.
    if bits.left < (data[-1] & -data[-1]).bit_length():
        reorder_depth = MAX_REORDER_DEPTH
    is_lossless = is_bypassed and profile == _HIGH_444_PREDICTIVE
    slices = SliceFormat(order_type, order_bits, has_planes, frame_num_bits, has_fields)
    # Type 2: display order equals decoding order.
    return Sps(is_lossless, 0 if order_type == 2 else reorder_depth, slices)


def read_count(unit: memoryview, slices: SliceFormat) -> Count | None:
    """Reads the display order from a slice header (7.3.3), a NAL unit of type 1 or 5; None if it is truncated.

    This runs for every packet, so it looks up bits in a string, which is fast.
    """
    text = _head(unit)
    try:
        at = _frame_num_at(text, slices) + slices.frame_num_bits
        if slices.has_fields:
            at += 2 if text[at : at + 1] == "1" else 1
        is_idr = unit[0] & 31 == 5
        if is_idr:
            at = _behind_golomb(text, at)
    except ValueError:
        return None
    low_bits = text[at : at + slices.order_bits]
    if len(low_bits) < slices.order_bits:
        return None
    return Count(is_idr, int(low_bits or "0", 2), slices.order_bits, unit[0] & 0x60 != 0)


def read_field(unit: memoryview, slices: SliceFormat) -> Field | None:
    """Reads the field of a slice from its header; None for a frame, and for a truncated header."""
    text = _head(unit)
    try:
        at = _frame_num_at(text, slices)
    except ValueError:
        return None
    behind = at + slices.frame_num_bits
    if not slices.has_fields or text[behind : behind + 1] != "1" or len(text) < behind + 2:
        return None
    return Field(text[behind + 1 : behind + 2] == "1", int(text[at:behind], 2))


def _head(unit: memoryview) -> str:
    data = bytes(unit[1:_SLICE_HEAD_BYTES]).replace(b"\0\0\3", b"\0\0")
    return f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"


def _frame_num_at(text: str, slices: SliceFormat) -> int:
    at = 0
    for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
        at = _behind_golomb(text, at)
    return at + 2 * slices.has_planes


def _behind_golomb(text: str, at: int) -> int:
    """Returns the end of the Exp-Golomb number that starts at `at`. Raises ValueError if it is truncated."""
    return 2 * text.index("1", at) - at + 1


def _read_high_profile(bits: BitReader) -> tuple[bool, bool]:
    """Reads to the end of the scaling lists; returns the separate planes flag and the transform bypass flag."""
    chroma_format = bits.take_golomb()
    has_planes = chroma_format == 3 and bits.take(1) == 1
    bits.take_golomb(), bits.take_golomb()  # depths
    is_bypassed = bits.take(1) == 1
    if bits.take(1):
        for index in range(12 if chroma_format == 3 else 8):
            if bits.take(1):
                _read_scaling_list(bits, 16 if index < 6 else 64)
    return has_planes, is_bypassed


def _read_scaling_list(bits: BitReader, size: int) -> None:
    last = 8
    for _ in range(size):
        last = (last + bits.take_signed_golomb()) % 256
        if last == 0:  # the remaining values repeat the previous one
            return


def _read_order(bits: BitReader) -> tuple[int, int]:
    """Reads the layout of the display order; returns its type, and the number of bits for type 0."""
    order_type = bits.take_golomb()
    if order_type == 0:
        return 0, min(bits.take_golomb() + 4, 16)
    if order_type == 1:
        bits.take(1)
        bits.take_golomb(), bits.take_golomb()
        for _ in range(min(bits.take_golomb(), 255)):
            bits.take_golomb()
    return order_type, 0


def _read_reorder_depth(bits: BitReader) -> int:
    """Reads the VUI (E.1.1); returns max_num_reorder_frames."""
    if bits.take(1) and bits.take(8) == _EXTENDED_ASPECT_RATIO:
        bits.take(16 + 16)
    if bits.take(1):  # overscan_info
        bits.take(1)
    if bits.take(1):  # video_signal_type
        bits.take(3 + 1)
        if bits.take(1):
            bits.take(8 + 8 + 8)
    if bits.take(1):  # chroma_loc_info
        bits.take_golomb(), bits.take_golomb()
    if bits.take(1):  # timing_info
        bits.take(32 + 32 + 1)
    has_hrds = [_read_hrd(bits), _read_hrd(bits)]
    bits.take(1 if any(has_hrds) else 0)
    bits.take(1)  # pic_struct
    if not bits.take(1):  # bitstream_restriction
        return MAX_REORDER_DEPTH
    bits.take(1)
    *_, reorder_depth, _ = (bits.take_golomb() for _ in range(6))
    return min(reorder_depth, MAX_REORDER_DEPTH)


def _read_hrd(bits: BitReader) -> bool:
    """Reads hrd_parameters, if present (E.1.2)."""
    if not bits.take(1):
        return False
    count = min(bits.take_golomb(), 31) + 1
    bits.take(4 + 4)
    for _ in range(count):
        bits.take_golomb(), bits.take_golomb(), bits.take(1)
    bits.take(5 + 5 + 5 + 5)
    return True
