"""Group wanted instants and clips into decode ranges, and hold the packets of one range."""

from __future__ import annotations

import array
import bisect
import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import cast

from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.decoding.packet_plan import DecodeRange
from reelbeam.transforms.media.sampling.segments import KEY_FRAMES_BEFORE
from reelbeam.transforms.records import ClipSpan, MediaInfo

# Wanted instants that are further apart are decoded separately, with a seek between them.
_MAX_GAP_SECONDS = 10
# Up to this size, the packets of a range are kept in memory; larger ranges are read a second time.
_MAX_HELD_BYTES = 16 << 20


@dataclasses.dataclass
class PacketRange:
    """The facts about the packets of one range, in decoding order, and the packets themselves if they are small."""

    times: array.array[int] = dataclasses.field(default_factory=lambda: array.array("q"))
    shown: list[bool] = dataclasses.field(default_factory=list)
    start_points: list[int] = dataclasses.field(default_factory=list)
    packets: list[VideoPacket] = dataclasses.field(default_factory=list)
    num_bytes: int = 0
    is_to_the_end: bool = False
    last_frame: tuple[int, int] = (-(1 << 63), 0)  # time and duration
    last_dts: int | None = None

    @property
    def is_held(self) -> bool:
        return self.num_bytes <= _MAX_HELD_BYTES

    @property
    def first_pts(self) -> int:
        return self.times[0]

    def first_packet_for(self, decode_range: DecodeRange) -> int:
        """Returns where decoding starts; packets before the first random access point belong to its range."""
        return 0 if decode_range.first == self.start_points[0] else decode_range.first

    def add(self, packet: VideoPacket, is_start_point: bool, is_shown: bool) -> None:
        if is_start_point:
            self.start_points.append(len(self.times))
        self.times.append(cast(int, packet.pts))
        self.last_dts = self.last_dts if packet.dts is None else packet.dts
        self.shown.append(is_shown and not packet.is_discard)
        if self.shown[-1]:
            self.last_frame = max(self.last_frame, (self.times[-1], packet.duration or 0))
        self.num_bytes += packet.size
        if self.is_held:
            self.packets.append(packet)
        else:
            self.packets.clear()


def last_random_access_point(media: MediaInfo, pts: int, margin: int = 0) -> int | None:
    """Returns the pts of the last listed key frame at or before `pts`; None if there is none.

    With a margin, returns the key frame that many positions earlier, or the first one.
    """
    index = bisect.bisect_right(media.key_frame_pts, pts) - 1
    return media.key_frame_pts[max(index - margin, 0)] if index >= 0 else None


def split_at_gaps(media: MediaInfo, instants: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yields groups of ascending instants, in ticks, with long gaps between the groups."""
    max_gap = int(Fraction(_MAX_GAP_SECONDS) / media.time_base)
    first = 0
    for index in range(1, len(instants)):
        if instants[index] - instants[index - 1] > max_gap:
            yield instants[first:index]
            first = index
    if instants:
        yield instants[first:]


def split_clips(media: MediaInfo, clips: Sequence[ClipSpan]) -> list[list[ClipSpan]]:
    """Groups clips, ordered by their first instants, so that a full decode of each group repeats no work.

    A group ends at a long gap that contains all key frames that the full decode of the next group starts from.
    """
    groups: list[list[ClipSpan]] = []
    reached: Fraction | None = None
    ends = [(clip.first_seconds, clip.last_seconds, clip) for clip in clips]
    for start, end, clip in sorted(ends, key=lambda found: found[0]):
        if reached is None or (start > reached + _MAX_GAP_SECONDS and _start_point_seconds(media, start) > reached):
            groups.append([])
        groups[-1].append(clip)
        reached = end if reached is None else max(reached, end)
    return groups


def _start_point_seconds(media: MediaInfo, seconds: Fraction) -> Fraction:
    """Returns the instant at which a full decode starts for a clip; the video's start if no key frame is listed."""
    pts = last_random_access_point(media, media.start_pts + seconds // media.time_base, KEY_FRAMES_BEFORE)
    return Fraction(0) if pts is None else (pts - media.start_pts) * media.time_base
