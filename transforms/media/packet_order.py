"""How far apart frames can be stored and shown."""

from __future__ import annotations

import collections

from transforms.media.container import VideoPacket

# No codec lets a frame wait for more than 16 others that are stored before it and shown after it.
_MAX_REORDERED = 32


class PacketOrder:
    """Checks that the times of packets are all there and that reordering is as local as codecs allow.

    A recording that was joined from several jumps back in time; MP4 brings new headers beside a packet. Decoding times
    are not asked: Matroska has none, and what FFmpeg makes up differs from seek to seek.

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
        if pts is None or (self.floor is not None and pts < self.floor) or packet.has_sidedata("new_extradata"):
            return False
        self._recent.append(pts)
        if len(self._recent) > _MAX_REORDERED:
            oldest = self._recent.popleft()
            self.floor = oldest if self.floor is None else max(self.floor, oldest)
        return True
