"""Bounds on the distance between decoding order and display order."""

from __future__ import annotations

import collections
import itertools
import statistics
from collections.abc import Sequence

from reelbeam.transforms.media.container.container import VideoPacket

# No codec holds back a frame for more than 16 frames that are stored before it and shown after it.
MAX_REORDERED = 32
# The share of frame steps that must be equal for a rate to count as constant.
_MIN_SHARE_OF_USUAL = 0.8
# MPEG program streams have a pts for some packets only. The derived pts of the others may be off by this many frames.
_NEAR = 4


class PacketOrder:
    """Checks that all packets have a pts and that reordering stays within the limits of codecs.

    A concatenated recording jumps back in time. MP4 signals new headers next to a packet, and AVI a new palette. The
    dts are not used: Matroska has none, and FFmpeg derives different ones after different seeks.

    Attributes:
      floor: no later packet has a smaller pts; None until it is known.
    """

    def __init__(self) -> None:
        self.floor: int | None = None
        self._recent: collections.deque[int] = collections.deque()

    def is_past(self, pts: int) -> bool:
        """Whether no later packet has a pts of at most `pts`."""
        return self.floor is not None and self.floor > pts

    def accepts(self, packet: VideoPacket) -> bool:
        """Returns whether the next packet in decoding order is valid."""
        pts = packet.pts
        if pts is None or (self.floor is not None and pts < self.floor):
            return False
        if packet.has_sidedata("new_extradata") or packet.has_sidedata("palette"):
            return False
        self._recent.append(pts)
        if len(self._recent) > MAX_REORDERED:
            oldest = self._recent.popleft()
            self.floor = oldest if self.floor is None else max(self.floor, oldest)
        return True


def has_hole(times: Sequence[int], is_to_the_end: bool) -> bool:
    """Returns whether a frame seems to be missing: evenly spaced pts with one step that is too long.

    Returns False if the spacing is irregular.

    Args:
      times: the pts in decoding order, starting at a key frame.
      is_to_the_end: whether no packet follows. If not, the last pts are ignored, because later packets may fall
        between them.
    """
    ticks = sorted(time for time in times if time >= times[0])
    if not is_to_the_end:
        ticks = ticks[: -MAX_REORDERED // 2]
    steps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    if not steps:
        return False
    usual = statistics.median_low(steps)
    # Millisecond time bases round the steps of 30 fps to 33 and 34.
    num_usual = sum(4 * abs(step - usual) <= usual for step in steps)
    return num_usual >= _MIN_SHARE_OF_USUAL * len(steps) and any(
        2 * step > 3 * usual and _lacks_a_step(steps[max(index - _NEAR, 0) : index + _NEAR + 1], usual)
        for index, step in enumerate(steps)
    )


def _lacks_a_step(steps: Sequence[int], usual: int) -> bool:
    """Whether the steps span too much time. If two frames share one pts, one of them fills the hole nearby."""
    return 2 * sum(steps) > (2 * len(steps) + 1) * usual
