"""Select the plausible readings of a clock: as many readings as possible with as few jumps as possible. Pure."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
_Reading = tuple[int, int]  # frame number, value

# The maximum number of adjacent outliers; a longer group is a recording of its own.
_MAX_WILD = 3
# The cost of a jump, in units of dropped frames.
_JUMP_COST = 2.5


@dataclasses.dataclass(frozen=True)
class Steps:
    """The definition of a regular step between two readings.

    Attributes:
      min_spacing: the minimum number of ticks per frame between two readings.
      max_step: a longer step is a jump or a hole.
      bridges_forward: whether a longer step is a jump.
    """

    min_spacing: float
    max_step: int
    bridges_forward: bool

    def is_jump(self, num_frames: int, ticks: int) -> bool:
        """Whether the clock jumps between two readings at this distance."""
        return ticks < (num_frames - 1) * self.min_spacing or (self.bridges_forward and ticks > self.max_step)

    def breaks(self, frames: Times, values: Times) -> list[int]:
        """Returns the positions of the readings that follow a jump or a hole."""
        ticks = np.diff(values)
        is_break = (ticks < (np.diff(frames) - 1) * self.min_spacing) | (ticks > self.max_step)
        positions: list[int] = (np.flatnonzero(is_break) + 1).tolist()
        return positions


def steady_chain(frames: Times, values: Times, steps: Steps) -> tuple[Times, Times]:
    """Returns the positions of the readings to keep, and the positions of the readings that follow a jump.

    Args:
      frames: the numbers of the frames that have readings, ascending, int64 [N].
      values: the readings, which should ascend, int64 [N].
      steps: the definition of a regular step.
    """
    is_kept = np.ones(len(values), bool)
    jumps: list[int] = []
    for cluster in _clusters(steps.breaks(frames, values)):
        first, stop = max(cluster[0] - _MAX_WILD - 1, 0), min(cluster[-1] + _MAX_WILD + 1, len(values))
        readings = list(zip(frames[first:stop].tolist(), values[first:stop].tolist(), strict=True))
        chain = _cheapest_chain(readings, steps, first == 0, stop == len(values))
        is_kept[first:stop] = False
        is_kept[[first + position for position in chain]] = True
        for left, right in itertools.pairwise(chain):
            if _jumps(readings, left, right, steps):
                jumps.append(first + right)
    return np.flatnonzero(is_kept), np.array(jumps, np.int64)


def _clusters(breaks: Sequence[int]) -> list[list[int]]:
    """Groups the positions of breaks that the same outliers may cause."""
    clusters: list[list[int]] = []
    for position in breaks:
        if not clusters or position > clusters[-1][-1] + 2 * (_MAX_WILD + 1):
            clusters.append([])
        clusters[-1].append(position)
    return clusters


def _cheapest_chain(readings: Sequence[_Reading], steps: Steps, is_start: bool, is_end: bool) -> list[int]:
    """Returns the positions of the readings to keep, by dynamic programming. Each dropped frame has a cost.

    Args:
      readings: a section of the readings.
      steps: the definition of a regular step.
      is_start, is_end: whether the first and the last readings may be dropped.
    """
    costs: list[float] = []
    origins: list[int] = []
    for position in range(len(readings)):
        choices: list[tuple[float, int]] = []
        if position == 0 or (is_start and position <= _MAX_WILD):
            choices.append((readings[position][0] - readings[0][0], -1))
        for origin in range(max(position - _MAX_WILD - 1, 0), position):
            jump_cost = _JUMP_COST if _jumps(readings, origin, position, steps) else 0
            num_frames = readings[position][0] - readings[origin][0] - 1 if position > origin + 1 else 0
            choices.append((costs[origin] + num_frames + jump_cost, origin))
        cost, origin = min(choices)
        costs.append(cost)
        origins.append(origin)
    last = len(readings) - 1
    ends = range(max(last - _MAX_WILD, 0) if is_end else last, last + 1)
    at = min(ends, key=lambda end: costs[end] + readings[last][0] - readings[end][0])
    chain = []
    while at >= 0:
        chain.append(at)
        at = origins[at]
    return chain[::-1]


def _jumps(readings: Sequence[_Reading], left: int, right: int, steps: Steps) -> bool:
    (first, earlier), (second, later) = readings[left], readings[right]
    return steps.is_jump(second - first, later - earlier)
