"""Packet rules for H.264. See `bitstream.py`."""

from __future__ import annotations

from collections.abc import Iterator

from reelbeam.transforms.media.codecs.display_order import Count, CountOrder
from reelbeam.transforms.media.codecs.h264_headers import (
    MAX_REORDER_DEPTH,
    SliceFormat,
    Sps,
    read_count,
    read_field,
    read_sps,
)
from reelbeam.transforms.media.codecs.nal import NalRules
from reelbeam.transforms.media.codecs.packet_rules import Field

# The first slice is searched near the start of the packet, then further on, after long SEI messages. With a prefix,
# the end of the slice need not be found.
_HEAD_BYTES = (1 << 10, 1 << 16)


class H264Rules(NalRules):
    """H.264 with an `avcC` header or start codes."""

    always_shows = True
    _headers = frozenset({7, 8})

    def __init__(self, extradata: bytes) -> None:
        is_avcc = extradata[:1] == b"\x01" and len(extradata) > 4
        super().__init__((extradata[4] & 3) + 1 if is_avcc else 0)
        units = _avcc_units(extradata) if is_avcc else self._units(memoryview(extradata))
        found = [read_sps(unit) for unit in units if len(unit) > 1 and unit[0] & 31 == 7]
        self._slices = found[0].slices if len({sps.slices for sps in found}) == 1 else None
        self.reorder_depth = max((sps.reorder_depth for sps in found), default=MAX_REORDER_DEPTH)
        self.may_have_fields = any(sps.slices.has_fields for sps in found)
        self._fits = self._allows(found)

    def supports_fast_path(self, data: memoryview, is_key: bool) -> bool:
        """Returns False if the rules stop holding at this packet.

        - Lossless video: FFmpeg decodes it according to the encoder version in the first packet.
        - Frames are reordered further than the container's headers declare: a decoder that starts here knows only the
          declared depth.
        - The display order is ambiguous (several formats), or of type 1.
        """
        if self._may_tell(is_key):
            units = [unit for unit in self._units(data) if len(unit) > 1]
            self._note_headers({unit[0] & 31 for unit in units})
            found = [read_sps(unit) for unit in units if unit[0] & 31 == 7]
            self._fits = self._fits and self._allows(found)
        return self._fits

    def _allows(self, found: list[Sps]) -> bool:
        is_told = all(sps.reorder_depth <= self.reorder_depth for sps in found)
        is_plain = len({sps.slices for sps in found}) <= 1 and all(sps.slices.order_type != 1 for sps in found)
        return is_told and is_plain and not any(sps.is_lossless for sps in found)

    def display_order(self) -> CountOrder:
        """Orders pictures by the picture order count of their first slice."""
        slices = self._slices

        def read(data: memoryview) -> Count | None:
            nonlocal slices
            unit, slices = self._first_slice(data, slices)
            return None if unit is None or slices is None else read_count(unit, slices)

        return CountOrder(read)

    def field(self, data: memoryview) -> Field | None:
        """Returns the field of the first slice. Packets must come in order, or from a key frame on."""
        for size in _HEAD_BYTES:
            unit, self._slices = self._first_slice(data[:size], self._slices)
            if unit is not None or len(data) <= size:
                break
        return None if unit is None or self._slices is None else read_field(unit, self._slices)

    def _first_slice(
        self, data: memoryview, slices: SliceFormat | None
    ) -> tuple[memoryview | None, SliceFormat | None]:
        """Returns a packet's first slice, if any, and the slice format at that point; None if it is ambiguous."""
        found = set()
        first = None
        for unit in self._units(data):
            kind = unit[0] & 31 if len(unit) > 1 else 0
            if kind == 7:
                found.add(read_sps(unit).slices)
            elif kind in (1, 5):
                first = unit
                break
        if found:
            slices = found.pop() if len(found) == 1 else None
        return first, slices

    def is_random_access_point(self, data: memoryview) -> bool:
        units = [unit for unit in self._units(data) if len(unit) > 1]
        types = {unit[0] & 31 for unit in units}
        if not self._has_headers(types):
            return False
        return 5 in types or (1 in types and any(_recovers_at_once(unit) for unit in units if unit[0] & 31 == 6))

    def is_idr(self, data: memoryview) -> bool:
        """Returns whether this is an IDR. A recovery point is not: the next frames may output missing earlier ones."""
        return self.is_random_access_point(data) and any(unit[0] & 31 == 5 for unit in self._units(data) if len(unit))

    def is_disposable(self, data: memoryview) -> bool:
        """Returns whether all fields of the picture are disposable: the decoder must not be left with half a frame."""
        pictures = [unit[0] for unit in self._units(data) if len(unit) and 1 <= unit[0] & 31 <= 5]
        return bool(pictures) and not any(header & 0x60 for header in pictures)


def _avcc_units(extradata: bytes) -> Iterator[memoryview]:
    """Yields the sequence parameter sets in an avcC box."""
    data, at = memoryview(extradata), 6
    for _ in range(extradata[5] & 31 if len(extradata) > 5 else 0):
        size = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


def _recovers_at_once(sei: memoryview) -> bool:
    """Whether an SEI unit holds a recovery point (6) with recovery_frame_cnt = 0 and exact_match_flag = 1."""
    at = 1
    while at + 2 < len(sei):
        kind, size = sei[at], sei[at + 1]
        if kind == 6:
            return sei[at + 2] & 0xC0 == 0xC0  # 0 is coded as the single bit 1
        if 255 in (kind, size):  # multi-byte numbers are not parsed
            return False
        at += 2 + size
    return False
