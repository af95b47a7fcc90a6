"""Whether pictures are shown in the order of their times.

Pictures say themselves in which order they are shown. Decoders go by that and don't ask for the times that the
container has. Where these contradict it, a full decode shows other frames at an instant than the times promise, and
who decodes only some of the frames would not notice.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import NamedTuple

from reelbeam.transforms.media.codecs.packet_order import MAX_REORDERED

# Within a sequence pictures are counted from about 0 on.
SEQUENCE_BITS = 48


class DisplayOrder:
    """Looks at packets in decoding order, from one on at which decoding can start."""

    def __init__(self) -> None:
        self._recent: list[tuple[int, int]] = []
        self._is_cut = False

    def accepts(self, data: memoryview, pts: int) -> bool:
        """Returns whether the picture of the next packet is shown between those that its time lies between."""
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
        """Returns a number that is the higher the later a picture is shown; None: the packet has none."""
        raise NotImplementedError


class AnchorOrder(DisplayOrder):
    """MPEG-1, -2 and -4: B pictures are shown before the picture that they are stored behind, others at their turn."""

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
      starts: whether it begins a sequence.
      low_bits: of the count.
      num_bits: how many these are; 0: pictures are shown as they are stored.
      is_base: whether the next one's count is near to this one's.
    """

    starts: bool
    low_bits: int
    num_bits: int
    is_base: bool


class CountOrder(DisplayOrder):
    """H.264 and HEVC: pictures carry the low bits of a count (8.2.1 and 8.3.1 of their standards).

    H.264 may set the count back inside a sequence (memory_management_control_operation 5). Nearly nobody does; counts
    then seem to contradict the times.
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
