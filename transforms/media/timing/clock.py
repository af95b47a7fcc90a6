"""Display times on one steady clock, for streams whose packets have missing, jumping or equal times. Pure.

Packets are put into display order first. Then, going along it:
- A time that only a few packets have, and that their neighbours contradict, is wild (damage): it counts as missing.
- Where the clock jumps, the later times are shifted so that the next frame follows one frame interval after the last
  one, as players do. Forward, only where the container's clock is known to jump: elsewhere a long step is a frame that
  is shown for long.
- Of many frames at one time, the first keeps it; the times of the others count as missing.
- Missing times are spaced evenly between their neighbours, or by the frame interval where a hole lies between these.

An example, with a frame interval of 40 ms:

    times in display order    160  200    -  280 |  20   60  9000  140
    mended                    160  200  240  280   320  360   400  440     2 discontinuities: the jump, the wild time
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from reelbeam.transforms.media.timing.steady_chain import Steps, Times, steady_chain

NO_TIME = -(1 << 63)
"""Stands for a missing time, as FFmpeg's AV_NOPTS_VALUE does."""

# Times beyond this are no times, and would overflow.
MAX_TIME = 1 << 61
_MAX_MENDED_TIME = 1 << 62
# A step of no more than so many frame intervals is no jump, however long it is: frames may be shown for minutes.
_MAX_INTERVALS_PER_STEP = 4
# Frames without a time need at least this share of the usual frame interval.
_MIN_SHARE_OF_SPACING = 0.5
# A step of so many frame intervals is a hole, and no place for evenly spaced frames.
_MAX_STRETCH = Fraction(3, 2)


@dataclasses.dataclass(frozen=True)
class ClockRules:
    """What counts as a jump of a stream's clock, in ticks of its time base.

    Attributes:
      spacing: ticks from frame to frame, where the times themselves don't tell it.
      min_spacing: frames that are nearer to each other, on average, have no times of their own.
      max_step: a longer step forward is a jump.
      max_step_back: a longer step backward is a discontinuity; a shorter one is only a wrong time.
      bridges_forward: whether jumps forward are bridged; else they are holes, and only wild times are mended.
    """

    spacing: Fraction
    min_spacing: Fraction
    max_step: int
    max_step_back: int
    bridges_forward: bool

    def stands_still(self, times: Times) -> bool:
        """Whether a clock with these readings, in any order, does not move, or by less than frames can."""
        steps = np.diff(np.sort(times))
        moves = steps[steps > 0]
        return len(times) > 1 and (not len(moves) or bool(np.median(moves) < float(self.min_spacing)))


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read a stream's times.

    Attributes:
      times: int64 [N], in file order; NO_TIME where missing.
      order: a guess at the display order, a permutation of 0..N-1.
      num_bridged: discontinuities that these times have been rid of already.
    """

    times: Times
    order: Times
    num_bridged: int = 0


def mend(readings: Sequence[Reading], rules: ClockRules) -> tuple[Times, int, int]:
    """Returns a display time for each packet, int64 [N], in file order, and the number of discontinuities.

    What comes third is the number of the reading that was taken.

    Args:
      readings: the likeliest first. The one with the fewest faults is taken.
      rules: what a jump is.
    """
    walks = [_Walk(plausible(reading.times)[reading.order], rules) for reading in readings]
    num_faults = [walk.num_faults + reading.num_bridged for walk, reading in zip(walks, readings, strict=True)]
    best = num_faults.index(min(num_faults))
    mended = np.empty_like(readings[best].times)
    mended[readings[best].order] = walks[best].mended()
    return mended, walks[best].num_discontinuities + readings[best].num_bridged, best


def count_faults(reading: Reading, rules: ClockRules) -> int:
    """Returns how many jumps, wild times and repeated times there are in a reading."""
    return _Walk(plausible(reading.times)[reading.order], rules).num_faults + reading.num_bridged


def bridges(clock: Times, rules: ClockRules) -> tuple[Times, int]:
    """Returns what has to be added to each time so that the clock does not jump, int64 [N], and the number of jumps.

    Args:
      clock: readings of a clock that ascends from packet to packet, int64 [N]; NO_TIME where missing.
      rules: what a jump is.
    """
    found = _Walk(plausible(clock), rules).shifts()
    shifts = np.zeros_like(clock)
    for position, shift in found:
        shifts[position:] = shift
    return shifts, len(found)


def plausible(times: Times) -> Times:
    """Returns the times, without those that no recording has."""
    return np.where(np.abs(times) <= MAX_TIME, times, NO_TIME)


class _Walk:
    """The times of a stream's frames in display order.

    Attributes:
      num_faults: places where the clock jumps, groups of wild times, and frames that have the time of the one before.
      num_discontinuities: those of them that are more than a wrong time.
    """

    def __init__(self, times: Times, rules: ClockRules) -> None:
        self._rules = rules
        self._times = times.copy()
        self._jumps: set[int] = set()  # positions of the first frames behind them
        self.num_faults = self.num_discontinuities = 0
        self._drop_equal()
        self._drop_wild()

    def mended(self) -> Times:
        """Returns an ascending time for each frame."""
        known = np.flatnonzero(self._times != NO_TIME)
        spacing = self._usual_spacing(known)
        mended = self._times.copy()
        for position, shift in self.shifts():
            later = known[known >= position]
            mended[later] = self._times[later] + shift
        for left, right in itertools.pairwise(known.tolist()):
            if right > left + 1:
                mended[left + 1 : right] = _between(int(mended[left]), int(mended[right]), right - left, spacing)
        first, last = (int(known[0]), int(known[-1])) if len(known) else (0, 0)
        start, end = (int(mended[first]), int(mended[last])) if len(known) else (0, 0)
        mended[:first] = [bounded(start + round(n * spacing)) for n in range(-first, 0)]
        mended[last:] = [bounded(end + round(n * spacing)) for n in range(len(mended) - last)]
        return np.maximum.accumulate(mended)

    def shifts(self) -> list[tuple[int, int]]:
        """Returns, for each jump, its position and what has to be added to the times from there on."""
        known = np.flatnonzero(self._times != NO_TIME)
        spacing = self._usual_spacing(known)
        found: list[tuple[int, int]] = []
        shift = previous = previous_time = 0
        for position, time in zip(known.tolist(), self._times[known].tolist(), strict=True):
            if position in self._jumps:
                shift = previous_time + round((position - previous) * spacing) - time
                found.append((position, shift))
            previous, previous_time = position, bounded(time + shift)
        return found

    def _drop_wild(self) -> None:
        """Takes away wild times, and notes the jumps that are left."""
        known = np.flatnonzero(self._times != NO_TIME)
        values = self._times[known]
        spacing = float(self._usual_spacing(known))
        max_step = max(self._rules.max_step, int(_MAX_INTERVALS_PER_STEP * spacing))
        steps = Steps(_MIN_SHARE_OF_SPACING * spacing, max_step, self._rules.bridges_forward)
        kept, jumps = steady_chain(known, values, steps)
        self._times[np.delete(known, kept)] = NO_TIME
        self._jumps.update(known[jumps].tolist())
        is_kept = np.zeros(len(values), bool)
        is_kept[kept] = True
        for position in np.flatnonzero(~is_kept & np.append(True, is_kept[:-1])).tolist():  # each group's first
            beside = int(np.searchsorted(kept, position))
            least, most = values[kept[max(beside - 1, 0)]], values[kept[min(beside, len(kept) - 1)]]
            self._count(max(int(least - values[position]), int(values[position] - most)))
        for position in jumps.tolist():
            step = int(values[position] - values[kept[np.searchsorted(kept, position) - 1]])
            self._count(max(1 - step, step - max_step + self._rules.max_step_back))

    def _count(self, ticks: int) -> None:
        """Counts a jump, or a group of wild times, that is so many ticks off."""
        self.num_faults += 1
        self.num_discontinuities += ticks > self._rules.max_step_back

    def _drop_equal(self) -> None:
        """Takes the times of the others away where several frames have one time, or all have."""
        known = np.flatnonzero(self._times != NO_TIME)
        values = self._times[known]
        if self._rules.stands_still(values):
            repeated = known[1:]
        else:
            repeated = known[1:][values[1:] == values[:-1]]
        self._times[repeated] = NO_TIME
        self.num_faults += len(repeated)

    def _usual_spacing(self, known: Times) -> Fraction:
        """Returns the median of the ticks from frame to frame."""
        counts, ticks = np.diff(known), np.diff(self._times[known])
        counts, ticks = counts[ticks > 0], ticks[ticks > 0]
        if not len(ticks):
            return self._rules.spacing
        median = int(np.argsort(ticks / counts, kind="stable")[(len(ticks) - 1) // 2])
        return Fraction(int(ticks[median]), int(counts[median]))


def bounded(time: int) -> int:
    """Returns the time, or the nearest one that fits into FFmpeg's 64 bits with room for sums."""
    return min(max(time, -_MAX_MENDED_TIME), _MAX_MENDED_TIME)


def _between(left: int, right: int, num_steps: int, spacing: Fraction) -> list[int]:
    """Returns the times of the frames between two known ones, `num_steps` apart."""
    step = Fraction(right - left, num_steps)
    if step > spacing * _MAX_STRETCH:
        step = spacing
    return [left + round(n * step) for n in range(1, num_steps)]
