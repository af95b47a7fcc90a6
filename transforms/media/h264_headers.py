"""What the parameter sets and slices of H.264 say. Pure."""

from __future__ import annotations

import functools
from typing import NamedTuple

from transforms.media.bit_reader import BitReader

# Those whose sequence parameter sets tell of colour, depth and scaling (ITU-T H.264, 7.3.2.1.1).
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
_HIGH_444_PREDICTIVE = 244
_EXTENDED_ASPECT_RATIO = 255


class Sps(NamedTuple):
    """A sequence parameter set.

    Attributes:
      is_lossless: whether it sets qpprime_y_zero_transform_bypass_flag.
      tells_reordering: whether a decoder knows from it for how many others a frame may have to wait.
    """

    is_lossless: bool
    tells_reordering: bool


@functools.lru_cache(maxsize=64)
def read_sps(unit: bytes) -> Sps:
    """Reads a NAL unit of type 7; where it breaks off it tells nothing."""
    data = unit[1:].replace(b"\0\0\3", b"\0\0").rstrip(b"\0")
    bits = BitReader(data)
    profile = bits.take(8)
    bits.take(8 + 8)
    bits.take_golomb()
    is_lossless = profile in _HIGH_PROFILES and _read_high_profile(bits) and profile == _HIGH_444_PREDICTIVE
    bits.take_golomb()  # log2_max_frame_num
    order_type = _read_order(bits)
    bits.take_golomb(), bits.take(1), bits.take_golomb(), bits.take_golomb()  # references, gaps, size
    if not bits.take(1):  # frame_mbs_only
        bits.take(1)
    bits.take(1)
    if bits.take(1):  # cropping
        for _ in range(4):
            bits.take_golomb()
    tells_reordering = bits.take(1) == 1 and _vui_tells_reordering(bits)
    # A VUI that breaks off tells nothing, to FFmpeg neither. Behind it stand a one and zeros.
    tells_reordering = tells_reordering and bits.left >= (data[-1] & -data[-1]).bit_length()
    # Type 2: frames are shown in the order in which they are stored.
    return Sps(is_lossless, tells_reordering or order_type == 2)


def _read_high_profile(bits: BitReader) -> bool:
    """Reads on up to the scaling lists' end; returns qpprime_y_zero_transform_bypass_flag."""
    chroma_format = bits.take_golomb()
    if chroma_format == 3:
        bits.take(1)
    bits.take_golomb(), bits.take_golomb()  # depths
    is_bypassed = bits.take(1) == 1
    if bits.take(1):
        for index in range(12 if chroma_format == 3 else 8):
            if bits.take(1):
                _read_scaling_list(bits, 16 if index < 6 else 64)
    return is_bypassed


def _read_scaling_list(bits: BitReader, size: int) -> None:
    last = 8
    for _ in range(size):
        last = (last + bits.take_signed_golomb()) % 256
        if last == 0:  # The rest is as before.
            return


def _read_order(bits: BitReader) -> int:
    """Reads how the order of display is coded; returns pic_order_cnt_type."""
    order_type = bits.take_golomb()
    if order_type == 0:
        bits.take_golomb()
    elif order_type == 1:
        bits.take(1)
        bits.take_golomb(), bits.take_golomb()
        for _ in range(min(bits.take_golomb(), 255)):
            bits.take_golomb()
    return order_type


def _vui_tells_reordering(bits: BitReader) -> bool:
    """Reads the VUI (E.1.1) to its end; returns bitstream_restriction_flag."""
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
        return False
    bits.take(1)
    for _ in range(6):
        bits.take_golomb()
    return True


def _read_hrd(bits: BitReader) -> bool:
    """Reads hrd_parameters, if there are some (E.1.2)."""
    if not bits.take(1):
        return False
    count = min(bits.take_golomb(), 31) + 1
    bits.take(4 + 4)
    for _ in range(count):
        bits.take_golomb(), bits.take_golomb(), bits.take(1)
    bits.take(5 + 5 + 5 + 5)
    return True
