"""List the random access points of a stream in one pass over its packets."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.video.stream import VideoStream

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.codecs.packet_order import MAX_REORDERED, PacketOrder
from reelbeam.transforms.media.container.container import VideoPacket

# Closer key frames are not listed: a three-hour film of intra frames would have hundreds of thousands.
_MIN_SPACING_SECONDS = Fraction(1, 2)


def min_spacing_ticks(time_base: Fraction) -> int:
    """Returns the minimum distance of listed key frames, in ticks."""
    return max(int(_MIN_SPACING_SECONDS / time_base), 1)


class KeyFrames:
    """Observes packets in order and lists the key frames for `MediaInfo.key_frame_pts`."""

    def __init__(self, stream: VideoStream) -> None:
        codec = stream.codec_context
        self._rules = packet_rules(codec.codec.canonical_name, codec.extradata)
        self._min_spacing = min_spacing_ticks(stream.time_base or Fraction(1))
        self._is_proven = self._rules.is_known
        self._pts: list[int] = []
        self._order = PacketOrder()
        self._latest: int | None = None
        self._recent: collections.deque[int] = collections.deque(maxlen=MAX_REORDERED)

    @property
    def pts(self) -> tuple[int, ...]:
        """The pts of the listed key frames; empty if any packet violated the codec's rules."""
        return tuple(self._pts) if self._is_proven else ()

    def through(self, packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
        """Yields the packets unchanged."""
        for packet in packets:
            if self._is_proven:
                self._note(packet)
            yield packet

    def _note(self, packet: VideoPacket) -> None:
        data, pts = memoryview(packet), packet.pts
        self._is_proven = self._order.accepts(packet) and self._rules.supports_fast_path(data, packet.is_keyframe)
        if not self._is_proven or pts is None:
            return
        if packet.is_keyframe:
            is_behind = self._latest is not None and pts < self._latest
            is_far = not self._pts or pts >= self._pts[-1] + self._min_spacing
            if (is_behind or is_far) and self._rules.is_random_access_point(data):
                # Frames stored before a key frame are shown before it; if not, the clock has jumped back.
                self._is_proven = not is_behind
                self._pts.append(pts)
        self._note_time(pts, data)

    def _note_time(self, pts: int, data: memoryview) -> None:
        """Checks for equal pts: decoders and containers may disagree about the order of two such frames."""
        if not self._rules.is_intra and self._rules.is_shown(data):
            self._is_proven = self._is_proven and pts not in self._recent
            self._recent.append(pts)
        self._latest = pts if self._latest is None else max(self._latest, pts)
