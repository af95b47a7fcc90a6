"""Which packets have to be decoded for the frames that are wanted. Pure: times in, positions of packets out.

A stretch of packets in decoding order, with times of display. Some can start a decoder, here in capitals:

    packet     0I  1P  2B  3B  4P  5I  6P  7B  8I  9P
    shown at    0   3   1   2   4   5   7   6   8   9      wanted: the frames shown at 1, 2 and 9

    runs       [0, 3] and [8, 9]: 4 has no follower that is wanted, 5 to 7 belong to a GOP that nobody wants, and 8
               has to be decoded for 9.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence


class ShortcutError(Exception):
    """Decoding only what is needed is not proven for this stream, or the proof failed: all has to be decoded."""


@dataclasses.dataclass(frozen=True)
class Run:
    """Packets that are decoded one after the other, the first of them with a fresh decoder.

    Attributes:
      first, last: positions of packets, both included.
      wanted: positions of those whose frames are wanted.
      ticks: the times of these frames, ascending: so they come out.
    """

    first: int
    last: int
    wanted: frozenset[int]
    ticks: tuple[int, ...]


def plan_runs(
    times: Sequence[int], shown: Sequence[bool], entries: Sequence[int], instants: Sequence[int]
) -> list[Run]:
    """Returns the runs of a stretch, in order.

    Args:
      times: display time of each packet's frame, in decoding order.
      shown: False for packets that an edit list cuts away.
      entries: positions of the packets at which decoding can start, ascending.
      instants: the wanted instants; the frame shown then is the one with the largest time <= instant.

    Raises:
      ShortcutError: the stretch has no frame for an instant, or none to start from.
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
            raise ShortcutError("frames of different GOPs are shown in turns")
        runs.append(Run(first, last, frozenset(inside), ticks))
    return runs


def _wanted_positions(times: Sequence[int], shown: Sequence[bool], instants: Sequence[int]) -> list[int]:
    """Returns the positions of the wanted packets, ascending: all those with a time that is wanted."""
    ticks = sorted({time for time, is_shown in zip(times, shown, strict=True) if is_shown})
    found = {bisect.bisect_right(ticks, instant) - 1 for instant in instants}
    if -1 in found:
        raise ShortcutError("no packet has the frame that is shown first")
    chosen = {ticks[index] for index in found}
    return [n for n, time in enumerate(times) if shown[n] and time in chosen]


def _entry_for(position: int, times: Sequence[int], entries: Sequence[int]) -> int:
    """Returns where decoding has to start for a frame: the last entry before it that isn't shown after it."""
    for index in reversed(range(bisect.bisect_right(entries, position))):
        if times[entries[index]] <= times[position]:
            return entries[index]
    raise ShortcutError("decoding can start nowhere before a wanted frame")
