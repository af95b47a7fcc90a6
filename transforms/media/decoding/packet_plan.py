"""Plan which packets must be decoded for the wanted frames. Pure: times in, packet positions out.

The input is a sequence of packets in decoding order with their display times. An example, where the I packets are
random access points:

    packet     0I  1P  2B  3B  4P  5I  6P  7B  8I  9P
    shown at    0   3   1   2   4   5   7   6   8   9      wanted: the frames shown at 1, 2 and 9

    ranges     [0, 3] and [8, 9]: no wanted frame follows 3 in the first GOP, the GOP of 5 to 7 has no wanted frame,
               and 8 must be decoded for 9.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence


class FastPathError(Exception):
    """The fast path is not proven for this stream, or one of its checks failed: decode in full."""


@dataclasses.dataclass(frozen=True)
class DecodeRange:
    """A range of packets to decode in sequence with a fresh decoder.

    Attributes:
      first, last: the positions of the first and the last packet, inclusive.
      wanted: the positions of the packets whose frames are wanted.
      times: the times of these frames, ascending, in output order.
    """

    first: int
    last: int
    wanted: frozenset[int]
    times: tuple[int, ...]


def plan_decode_ranges(
    times: Sequence[int], shown: Sequence[bool], start_points: Sequence[int], instants: Sequence[int]
) -> list[DecodeRange]:
    """Returns the decode ranges, in order.

    Args:
      times: the display time of each packet's frame, in decoding order.
      shown: False for packets that an edit list removes.
      start_points: the positions of the random access points, ascending.
      instants: the wanted instants. The frame at an instant is the one with the largest time <= instant.

    Raises:
      FastPathError: there is no frame for an instant, or no random access point before it.
    """
    wanted = _wanted_positions(times, shown, instants)
    needed = sorted((_start_point_for(position, times, start_points), position) for position in wanted)
    ranges: list[DecodeRange] = []
    merged: list[tuple[int, int]] = []
    for first, last in needed:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    for first, last in merged:
        inside = wanted[bisect.bisect_left(wanted, first) : bisect.bisect_right(wanted, last)]
        frame_times = tuple(sorted(times[position] for position in inside))
        if ranges and frame_times[0] < ranges[-1].times[-1]:
            raise FastPathError("frames of different GOPs are shown in turns")
        ranges.append(DecodeRange(first, last, frozenset(inside), frame_times))
    return ranges


def _wanted_positions(times: Sequence[int], shown: Sequence[bool], instants: Sequence[int]) -> list[int]:
    """Returns the positions of the wanted packets, ascending: all packets with a wanted time."""
    shown_times = sorted({time for time, is_shown in zip(times, shown, strict=True) if is_shown})
    found = {bisect.bisect_right(shown_times, instant) - 1 for instant in instants}
    if -1 in found:
        raise FastPathError("no packet has the frame that is shown first")
    chosen = {shown_times[index] for index in found}
    return [n for n, time in enumerate(times) if shown[n] and time in chosen]


def _start_point_for(position: int, times: Sequence[int], start_points: Sequence[int]) -> int:
    """Returns where decoding must start for a frame: the last random access point before it and not shown after it."""
    for index in reversed(range(bisect.bisect_right(start_points, position))):
        if times[start_points[index]] <= times[position]:
            return start_points[index]
    raise FastPathError("decoding can start nowhere before a wanted frame")
