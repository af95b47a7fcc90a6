"""The common rules of H.264 and HEVC, whose packets consist of NAL units."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from reelbeam.transforms.media.codecs.packet_rules import PacketRules

_START_CODE = re.compile(rb"\x00\x00\x01")


class NalRules(PacketRules):
    """Packets of NAL units, delimited by start codes or by length prefixes (MP4, Matroska)."""

    can_skip = True
    _headers: frozenset[int]
    """The NAL unit types of parameter sets."""

    def __init__(self, length_size: int) -> None:
        self._length_size = length_size
        self._has_headers_in_band = length_size == 0

    def _units(self, data: memoryview) -> Iterator[memoryview]:
        if self._length_size == 0:
            starts = (match.end() for match in _START_CODE.finditer(data))
            for start, stop in itertools.pairwise(itertools.chain(starts, [len(data)])):
                yield data[start:stop]
            return
        at = 0
        while at + self._length_size < len(data):
            start = at + self._length_size
            at = start + int.from_bytes(data[at:start], "big")
            yield data[start:at]

    def _may_tell(self, is_key: bool) -> bool:
        """Whether to read a packet for headers: every packet until one has headers in band, then key frames only."""
        return is_key or not self._has_headers_in_band

    def _note_headers(self, types: set[int]) -> None:
        """Records whether packets carry parameter sets, also at packets that are not random access points."""
        self._has_headers_in_band = self._has_headers_in_band or bool(types & self._headers)

    def _has_headers(self, types: set[int]) -> bool:
        """Whether a decoder that starts here has the parameter sets.

        They are in this packet, or only in the container because no packet so far had any.
        """
        self._note_headers(types)
        return self._headers <= types or not self._has_headers_in_band
