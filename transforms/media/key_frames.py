"""Where decoding of a stream can start, as one reading of all its packets in order tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.video.stream import VideoStream

from transforms.media.bitstream import packet_rules
from transforms.media.container import VideoPacket
from transforms.media.packet_order import PacketOrder

# Nearer ones are not worth a place: a three-hour film of intra frames would have hundreds of thousands.
_MIN_SPACING_SECONDS = Fraction(1, 2)


class KeyFrames:
    """Watches packets go by and lists the key frames that `MediaInfo.key_frame_ticks` promises."""

    def __init__(self, stream: VideoStream) -> None:
        codec = stream.codec_context
        self._rules = packet_rules(codec.codec.canonical_name, codec.extradata)
        self._min_spacing = int(_MIN_SPACING_SECONDS / (stream.time_base or 1))
        self._is_proven = self._rules.is_known
        self._ticks: list[int] = []
        self._order = PacketOrder()

    @property
    def ticks(self) -> tuple[int, ...]:
        """The list; empty where one packet spoilt the proof."""
        return tuple(self._ticks) if self._is_proven else ()

    def through(self, packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
        """Yields the packets unchanged."""
        for packet in packets:
            if self._is_proven:
                self._note(packet)
            yield packet

    def _note(self, packet: VideoPacket) -> None:
        self._is_proven = self._order.accepts(packet) and self._rules.is_one_frame(memoryview(packet))
        if not packet.is_keyframe or packet.pts is None:
            return
        if (not self._ticks or packet.pts >= self._ticks[-1] + self._min_spacing) and self._rules.starts_clean(
            memoryview(packet)
        ):
            self._ticks.append(packet.pts)
