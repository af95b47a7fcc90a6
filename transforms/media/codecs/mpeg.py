"""Packet rules for MPEG-1, MPEG-2 and MPEG-4 ASP. See `bitstream.py`."""

from __future__ import annotations

import re
from typing import NamedTuple

from reelbeam.transforms.media.codecs.bit_reader import BitReader
from reelbeam.transforms.media.codecs.display_order import AnchorOrder
from reelbeam.transforms.media.codecs.packet_rules import PacketRules

_MPEG12_HEADERS = re.compile(rb"\x00\x00\x01([\x00\xb3])", re.DOTALL)
_SEQUENCE = re.compile(rb"\x00\x00\x01\xb3(.{4})", re.DOTALL)
_SEQUENCE_EXTENSION = re.compile(rb"\x00\x00\x01\xb5([\x10-\x1f].)", re.DOTALL)
_VOL = re.compile(rb"\x00\x00\x01[\x20-\x2f](.*?)(?=\x00*\x00\x00\x01|\x00*\Z)", re.DOTALL)
_VOP = b"\x00\x00\x01\xb6"
# Headers precede the picture.
_HEAD_BYTES = 1024


class Mpeg12Rules(PacketRules):
    """MPEG-1 and MPEG-2."""

    always_shows = True
    can_skip = True

    def __init__(self) -> None:
        self._sequence: bytes | None = None

    def supports_fast_path(self, data: memoryview, is_key: bool) -> bool:
        """Returns False if the sequence changes, for example its size: the frame that waits for display is lost."""
        head = bytes(data[:_HEAD_BYTES]) if is_key else b""
        found = _SEQUENCE.search(head)
        if found is None:
            return True
        extension = _SEQUENCE_EXTENSION.search(head, found.end())
        sequence = found[1] + (extension[1] if extension else b"")
        self._sequence = self._sequence or sequence
        return sequence == self._sequence

    def is_random_access_point(self, data: memoryview) -> bool:
        """Returns whether this is an I picture after a sequence header."""
        first = _MPEG12_HEADERS.search(data)
        return first is not None and first[1] == b"\xb3" and self._picture_type(data) == 1

    def is_disposable(self, data: memoryview) -> bool:
        """Returns whether this is a B picture."""
        return self._picture_type(data) == 3

    def display_order(self) -> AnchorOrder:
        """Orders pictures by their types."""
        return AnchorOrder(self.is_disposable)

    def _picture_type(self, data: memoryview) -> int:
        """Returns 1 for I, 2 for P, 3 for B, from the first field: I pairs with P, and B with B."""
        for header in _MPEG12_HEADERS.finditer(data):
            if header[1] == b"\x00" and len(data) > header.end() + 1:
                return data[header.end() + 1] >> 3 & 7
        return 0


class Mpeg4Rules(PacketRules):
    """MPEG-4 ASP with one video object layer (VOL), in the container's headers or in packets."""

    can_skip = True

    def __init__(self, extradata: bytes) -> None:
        self._vol = _find_vol(extradata)
        self._facts = None if self._vol is None else _read_vol(self._vol)

    def supports_fast_path(self, data: memoryview, is_key: bool) -> bool:
        """Requires one coded VOP, and a progressive layer that does not change.

        A decoder learns the field distance of an interlaced layer from the first B-VOP that it decodes.
        """
        vol = _find_vol(bytes(data[:_HEAD_BYTES]))
        if vol is not None and self._vol is None:
            self._vol, self._facts = vol, _read_vol(vol)
        if (vol is not None and vol != self._vol) or self._facts is None or self._facts.interlaced:
            return False
        return bytes(data).count(_VOP) == 1 and self._is_coded(data, self._facts.time_bits)

    def is_random_access_point(self, data: memoryview) -> bool:
        """Returns whether this is an I-VOP."""
        return self._vop_type(data) == 0

    def is_disposable(self, data: memoryview) -> bool:
        """Returns whether this is a B-VOP."""
        return self._vop_type(data) == 2

    def display_order(self) -> AnchorOrder:
        """Orders pictures by their types."""
        return AnchorOrder(self.is_disposable)

    def _vop_type(self, data: memoryview) -> int:
        """Returns 0 for I, 1 for P, 2 for B, 3 for S."""
        at = bytes(data).find(_VOP)
        return data[at + 4] >> 6 if at >= 0 and len(data) > at + 4 else -1

    def _is_coded(self, data: memoryview, time_bits: int) -> bool:
        """Whether a VOP has a picture. A VOP without one repeats the last picture; decoders output no frame for it."""
        at = bytes(data).find(_VOP) + len(_VOP)
        bits = BitReader(bytes(data[at : at + 64]))
        bits.take(2)
        while bits.take(1):  # whole seconds; the reader returns zeros past the end
            pass
        bits.take(1 + time_bits + 1)
        return bits.take(1) == 1


class _VolFacts(NamedTuple):
    time_bits: int
    interlaced: bool


def _find_vol(data: bytes) -> bytes | None:
    found = _VOL.search(data)
    return found[1] if found else None


def _read_vol(vol: bytes) -> _VolFacts | None:
    """Reads the start of a video object layer (ISO/IEC 14496-2, 6.2.3); None if it is not rectangular."""
    bits = BitReader(vol)
    bits.take(1 + 8)
    if bits.take(1):  # is_object_layer_identifier
        bits.take(4 + 3)
    if bits.take(4) == 15:  # extended pixel aspect ratio
        bits.take(8 + 8)
    if bits.take(1):  # vol_control_parameters
        bits.take(2 + 1)
        if bits.take(1):  # vbv_parameters
            bits.take(79)
    if bits.take(2):  # video_object_layer_shape
        return None
    bits.take(1)
    time_bits = max((bits.take(16) - 1).bit_length(), 1)
    bits.take(1)
    if bits.take(1):  # fixed_vop_rate
        bits.take(time_bits)
    bits.take(1 + 13 + 1 + 13 + 1)
    return _VolFacts(time_bits, interlaced=bits.take(1) == 1)
