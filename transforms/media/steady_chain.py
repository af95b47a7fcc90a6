"""Which readings of a clock to believe: as many as possible, with as few jumps as possible between them. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

# So many neighbours may be wrong; more of them are a recording of its own.
_MAX_WILD = 3
# So many wrong readings are as likely as a jump.
_JUMP_COST = _MAX_WILD + 1


def steady_chain(values: Times, max_step: int, bridges_forward: bool) -> tuple[Times, Times]:
    """Returns the positions of the readings to keep, and those of the ones before which the clock jumps.

    Args:
      values: readings that should ascend, int64 [N].
      max_step: a longer step is no ordinary one: a jump, or a hole.
      bridges_forward: whether it is a jump.
    """
    steps = np.diff(values)
    breaks = (np.flatnonzero((steps > max_step) | (steps < 0)) + 1).tolist()
    is_kept = np.ones(len(values), bool)
    jumps: list[int] = []
    for cluster in _clusters(breaks):
        first, stop = max(cluster[0] - _MAX_WILD - 1, 0), min(cluster[-1] + _MAX_WILD + 1, len(values))
        numbers = values[first:stop].tolist()
        chain = _cheapest_chain(numbers, max_step, bridges_forward, first == 0, stop == len(values))
        is_kept[first:stop] = False
        is_kept[[first + position for position in chain]] = True
        for left, right in itertools.pairwise(chain):
            if _is_jump(numbers[right] - numbers[left], max_step, bridges_forward):
                jumps.append(first + right)
    return np.flatnonzero(is_kept), np.array(jumps, np.int64)


def _clusters(breaks: Sequence[int]) -> list[list[int]]:
    """Returns the positions of breaks in groups: those that the same wrong readings may cause are together."""
    clusters: list[list[int]] = []
    for position in breaks:
        if not clusters or position > clusters[-1][-1] + 2 * (_MAX_WILD + 1):
            clusters.append([])
        clusters[-1].append(position)
    return clusters


def _cheapest_chain(
    values: Sequence[int], max_step: int, bridges_forward: bool, is_start: bool, is_end: bool
) -> list[int]:
    """Returns the positions of the readings to keep, by dynamic programming.

    Args:
      values, max_step, bridges_forward: as of `steady_chain`.
      is_start, is_end: whether the first and the last of the values may be left out.
    """
    costs: list[int] = []
    origins: list[int] = []
    for position, value in enumerate(values):
        choices = [(position, -1)] if position == 0 or (is_start and position <= _MAX_WILD) else []
        for origin in range(max(position - _MAX_WILD - 1, 0), position):
            is_jump = _is_jump(value - values[origin], max_step, bridges_forward)
            choices.append((costs[origin] + position - origin - 1 + is_jump * _JUMP_COST, origin))
        cost, origin = min(choices)
        costs.append(cost)
        origins.append(origin)
    last = len(values) - 1
    ends = range(max(last - _MAX_WILD, 0) if is_end else last, last + 1)
    at = min(ends, key=lambda end: costs[end] + last - end)
    chain = []
    while at >= 0:
        chain.append(at)
        at = origins[at]
    return chain[::-1]


def _is_jump(step: int, max_step: int, bridges_forward: bool) -> bool:
    return step < 0 or (step > max_step and bridges_forward)
