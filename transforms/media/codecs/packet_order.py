"""How far apart frames can be stored and shown."""

from __future__ import annotations

import collections
import itertools
import statistics
from collections.abc import Sequence

from reelbeam.transforms.media.container.container import VideoPacket

# No codec lets a frame wait for more than 16 others that are stored before it and shown after it.
MAX_REORDERED = 32
# Of the steps between frames, so many are alike where the frame rate is meant to be constant.
_MIN_SHARE_OF_USUAL = 0.8
# MPEG program streams have times of their own for some packets only: what is made up for the others may be so many
# frames off.
_NEAR = 4


class PacketOrder:
    """Checks that the times of packets are all there and that reordering is as local as codecs allow.

    A recording that was joined from several jumps back in time; MP4 brings new headers beside a packet, and AVI a
    palette. Decoding times are not asked: Matroska has none, and what FFmpeg makes up differs from seek to seek.

    Attributes:
      floor: no later packet is shown before this time; None while so much can't be said.
    """

    def __init__(self) -> None:
        self.floor: int | None = None
        self._recent: collections.deque[int] = collections.deque()

    def is_past(self, tick: int) -> bool:
        """Whether no later packet is shown at `tick` or before it."""
        return self.floor is not None and self.floor > tick

    def accepts(self, packet: VideoPacket) -> bool:
        """Returns whether a packet, the next one in decoding order, fits in."""
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
    """Returns whether a frame seems to be missing: evenly spaced times, but for a step that is too long.

    Where the spacing varies anyway nothing can be said.

    Args:
      times: those of packets in decoding order, from a key frame on.
      is_to_the_end: whether no packet follows. Else the last ones are passed over: others belong between them.
    """
    ticks = sorted(time for time in times if time >= times[0])
    if not is_to_the_end:
        ticks = ticks[: -MAX_REORDERED // 2]
    steps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    if not steps:
        return False
    usual = statistics.median_low(steps)
    # Milliseconds round a rate of 30 to steps of 33 and 34.
    num_usual = sum(4 * abs(step - usual) <= usual for step in steps)
    return num_usual >= _MIN_SHARE_OF_USUAL * len(steps) and any(
        2 * step > 3 * usual and _lacks_a_step(steps[max(index - _NEAR, 0) : index + _NEAR + 1], usual)
        for index, step in enumerate(steps)
    )


def _lacks_a_step(steps: Sequence[int], usual: int) -> bool:
    """Whether so few steps lead too far: where two frames have one time, one of them belongs into the hole nearby."""
    return 2 * sum(steps) > (2 * len(steps) + 1) * usual
