"""What a packet of H.264 tells. The rules are those of `bitstream.py`."""

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

# Where the first slice of a packet is looked for: near its front; then, behind long messages, further on. What follows
# need not be searched for its end.
_HEAD_BYTES = (1 << 10, 1 << 16)


class H264Rules(NalRules):
    """H.264, from `avcC` headers or start codes."""

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

    def keeps_proof(self, data: memoryview, is_key: bool) -> bool:
        """Not where video is lossless: FFmpeg decodes it as the encoder did that the first packet names.

        Nor where frames begin to be reordered further than the container's headers told: no more is known to a decoder
        that starts there. Nor where it isn't plain how pictures tell their order: in several ways, or by type 1.
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
        """By the picture order count of each picture's first slice."""
        slices = self._slices

        def read(data: memoryview) -> Count | None:
            nonlocal slices
            unit, slices = self._first_slice(data, slices)
            return None if unit is None or slices is None else read_count(unit, slices)

        return CountOrder(read)

    def field(self, data: memoryview) -> Field | None:
        """Of the first slice, as the parameter sets so far say: packets come in order, or from a key frame on."""
        for size in _HEAD_BYTES:
            unit, self._slices = self._first_slice(data[:size], self._slices)
            if unit is not None or len(data) <= size:
                break
        return None if unit is None or self._slices is None else read_field(unit, self._slices)

    def _first_slice(
        self, data: memoryview, slices: SliceFormat | None
    ) -> tuple[memoryview | None, SliceFormat | None]:
        """Returns the first slice of a packet, if there is one, and how slices look like by then; None: who knows."""
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


def _avcc_units(extradata: bytes) -> Iterator[memoryview]:
    """Yields the sequence parameter sets of an avcC box."""
    data, at = memoryview(extradata), 6
    for _ in range(extradata[5] & 31 if len(extradata) > 5 else 0):
        size = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


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
