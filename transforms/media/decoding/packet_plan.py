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
class Run:
    """A range of packets to decode in sequence with a fresh decoder.

    Attributes:
      first, last: the positions of the first and the last packet, inclusive.
      wanted: the positions of the packets whose frames are wanted.
      ticks: the times of these frames, ascending, in output order.
    """

    first: int
    last: int
    wanted: frozenset[int]
    ticks: tuple[int, ...]


def plan_runs(
    times: Sequence[int], shown: Sequence[bool], entries: Sequence[int], instants: Sequence[int]
) -> list[Run]:
    """Returns the decode ranges, in order.

    Args:
      times: the display time of each packet's frame, in decoding order.
      shown: False for packets that an edit list removes.
      entries: the positions of the random access points, ascending.
      instants: the wanted instants. The frame at an instant is the one with the largest time <= instant.

    Raises:
      FastPathError: there is no frame for an instant, or no random access point before it.
    """
    wanted = _wanted_positions(times, shown, instants)
    needed = sorted((_entry_for(position, times, entries), position) for position in wanted)
    runs: list[Run] = []
    merged: list[tuple[int, int]] = []
    for first, last in needed:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    for first, last in merged:
        inside = wanted[bisect.bisect_left(wanted, first) : bisect.bisect_right(wanted, last)]
        ticks = tuple(sorted(times[position] for position in inside))
        if runs and ticks[0] < runs[-1].ticks[-1]:
            raise FastPathError("frames of different GOPs are shown in turns")
        runs.append(Run(first, last, frozenset(inside), ticks))
    return runs


def _wanted_positions(times: Sequence[int], shown: Sequence[bool], instants: Sequence[int]) -> list[int]:
    """Returns the positions of the wanted packets, ascending: all packets with a wanted time."""
    ticks = sorted({time for time, is_shown in zip(times, shown, strict=True) if is_shown})
    found = {bisect.bisect_right(ticks, instant) - 1 for instant in instants}
    if -1 in found:
        raise FastPathError("no packet has the frame that is shown first")
    chosen = {ticks[index] for index in found}
    return [n for n, time in enumerate(times) if shown[n] and time in chosen]


def _entry_for(position: int, times: Sequence[int], entries: Sequence[int]) -> int:
    """Returns where decoding must start for a frame: the last random access point before it and not shown after it."""
    for index in reversed(range(bisect.bisect_right(entries, position))):
        if times[entries[index]] <= times[position]:
            return entries[index]
    raise FastPathError("decoding can start nowhere before a wanted frame")
