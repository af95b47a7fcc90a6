"""Join the two fields of a frame if a stream stores each field as a packet.

Only H.264 needs this: recordings of interlaced television, from MPEG-TS or raw streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import av
import av.error

from reelbeam.transforms.media.codecs.packet_rules import Field, PacketRules
from reelbeam.transforms.media.container.container import VideoPacket


def whole_frames(packets: Iterable[VideoPacket], rules: PacketRules) -> Iterator[VideoPacket]:
    """Yields the packets, with the two fields of a frame joined into one packet.

    If one field is damaged, so is the frame, and the next field begins another frame. A field without its counterpart
    is marked as corrupt.
    """
    if not rules.may_have_fields:
        yield from packets
        return
    first: VideoPacket | None = None
    first_field: Field | None = None
    try:
        for packet in packets:
            field = rules.field(memoryview(packet))
            if first is not None and field is not None and field.completes(first_field):
                yield from [_joined(first, packet)] if _can_be_joined(first, packet) else [first, packet]
                first = None
                continue
            yield from _alone(first, first_field)
            first, first_field = packet, field
    except av.error.FFmpegError:
        yield from _alone(first, first_field)
        raise
    yield from _alone(first, first_field)


def _alone(packet: VideoPacket | None, field: Field | None) -> Iterator[VideoPacket]:
    if packet is not None:
        packet.is_corrupt = packet.is_corrupt or field is not None
        yield packet


def _can_be_joined(*packets: VideoPacket) -> bool:
    """Whether one joined packet can carry all relevant properties of these packets."""
    return not any(packet.is_discard or packet.has_sidedata("new_extradata") for packet in packets)


def _joined(first: VideoPacket, second: VideoPacket) -> VideoPacket:
    packet = cast(VideoPacket, av.Packet(bytes(first) + bytes(second)))
    packet.pts = second.pts if first.pts is None else first.pts
    packet.dts, packet.duration = first.dts, (first.duration or 0) + (second.duration or 0)
    if first.pts is not None and second.pts is not None and second.pts > first.pts:
        packet.duration = second.pts - first.pts + (second.duration or 0)
    packet.is_corrupt = first.is_corrupt or second.is_corrupt
    packet.time_base, packet.stream, packet.is_keyframe = first.time_base, first.stream, first.is_keyframe
    return packet
