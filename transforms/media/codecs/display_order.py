"""Check pts against the display order of the bitstream.

The bitstream itself defines the display order of pictures. Decoders follow it and ignore the container's pts. If the
two disagree, a full decode shows other frames at a time than the pts suggest, and a partial decode would not notice.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import NamedTuple

from reelbeam.transforms.media.codecs.packet_order import MAX_REORDERED

# Within a sequence, pictures are counted from about 0.
SEQUENCE_BITS = 48


class DisplayOrder:
    """Checks packets in decoding order, starting at a random access point."""

    def __init__(self) -> None:
        self._recent: list[tuple[int, int]] = []
        self._is_cut = False

    def accepts(self, data: memoryview, pts: int) -> bool:
        """Returns whether the next packet's picture has the same place in display order and in pts order."""
        rank = self.rank(data)
        if rank is None:
            return True
        recent = self._recent
        at = bisect.bisect_right(recent, (rank, pts))
        is_behind = recent[at - 1][1] <= pts if at else not self._is_cut
        is_before = at == len(recent) or pts <= recent[at][1]
        recent.insert(at, (rank, pts))
        if len(recent) > 2 * MAX_REORDERED:
            del recent[:MAX_REORDERED]
            self._is_cut = True
        return is_behind and is_before

    def rank(self, data: memoryview) -> int | None:
        """Returns a number that increases in display order; None if the packet has none."""
        raise NotImplementedError


class AnchorOrder(DisplayOrder):
    """MPEG-1, -2, -4: a B picture is shown before the anchor that precedes it; anchors keep their order."""

    def __init__(self, is_b: Callable[[memoryview], bool]) -> None:
        super().__init__()
        self._is_b = is_b
        self._num_anchors = self._num_between = 0

    def rank(self, data: memoryview) -> int:
        if self._is_b(data):
            self._num_between += 1
            return (self._num_anchors - 1 << SEQUENCE_BITS) + self._num_between
        self._num_anchors, self._num_between = self._num_anchors + 1, 0
        return self._num_anchors << SEQUENCE_BITS


class Count(NamedTuple):
    """The picture order count of a picture.

    Attributes:
      starts: whether the picture begins a sequence.
      low_bits: the low bits of the count.
      num_bits: the number of low bits; 0 means that pictures are shown in stored order.
      is_base: whether the next picture's count is relative to this one.
    """

    starts: bool
    low_bits: int
    num_bits: int
    is_base: bool


class CountOrder(DisplayOrder):
    """H.264 and HEVC: pictures carry the low bits of a count (8.2.1 and 8.3.1 of their standards).

    H.264 may reset the count inside a sequence (memory_management_control_operation 5). This is rare; the counts then
    seem to contradict the pts.
    """

    def __init__(self, read: Callable[[memoryview], Count | None]) -> None:
        super().__init__()
        self._read = read
        self._sequence = self._base = 0

    def rank(self, data: memoryview) -> int | None:
        found = self._read(data)
        if found is None:
            return None
        starts, low_bits, num_bits, is_base = found
        if starts:
            self._sequence += 1
            count = low_bits
        elif num_bits:
            half = 1 << (num_bits - 1)
            count = self._base + half - ((half + self._base - low_bits) & (2 * half - 1))
        else:
            count = self._base + 1
        if is_base or starts or num_bits == 0:
            self._base = count
        return (self._sequence << SEQUENCE_BITS) + count
