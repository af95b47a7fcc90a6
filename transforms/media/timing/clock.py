"""Repair display times to one steady clock, for streams with missing, jumping or equal pts. Pure.

Packets are put into display order first. Then these rules apply in that order:
- Isolated outliers that their neighbors contradict are treated as missing (damage).
- At a discontinuity, the later times are shifted so that the next frame follows the last one by one frame interval, as
  players do. Forward jumps are bridged only in containers whose clock may jump. In other containers a long step is a
  frame that is shown for a long time.
- If several frames have the same time, the first frame keeps it, and the times of the others are treated as missing.
- Missing times are interpolated between their neighbors, or spaced by the frame interval if there is a hole.

An example, with a frame interval of 40 ms:

    times in display order    160  200    -  280 |  20   60  9000  140
    repaired                  160  200  240  280   320  360   400  440     2 discontinuities: the jump, the outlier
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from reelbeam.transforms.media.timing.steady_chain import Steps, Times, steady_chain

NO_TIME = -(1 << 63)
"""A missing time, equal to FFmpeg's AV_NOPTS_VALUE."""

# Larger times are not valid and would overflow.
MAX_TIME = 1 << 61
_MAX_MENDED_TIME = 1 << 62
# A step of at most this many frame intervals is not a jump, however long it is: a frame may be shown for minutes.
_MAX_INTERVALS_PER_STEP = 4
# Each frame without a time needs at least this share of the usual frame interval.
_MIN_SHARE_OF_SPACING = 0.5
# A longer step, in frame intervals, is a hole: frames in it are not spaced evenly.
_MAX_STRETCH = Fraction(3, 2)


@dataclasses.dataclass(frozen=True)
class ClockRules:
    """The definition of a clock jump for one stream, in units of its time base.

    Attributes:
      spacing: the default frame interval, used if the pts do not show one.
      min_spacing: the minimum mean frame interval; frames that are closer do not have valid times.
      max_step: a longer step forward is a jump.
      max_step_back: a longer step backward is a discontinuity; a shorter one is only a wrong time.
      bridges_forward: whether jumps forward are bridged. If not, they are holes, and only outliers are repaired.
    """

    spacing: Fraction
    min_spacing: Fraction
    max_step: int
    max_step_back: int
    bridges_forward: bool

    def stands_still(self, times: Times) -> bool:
        """Whether a clock with these readings, in any order, does not advance, or advances less than frames can."""
        steps = np.diff(np.sort(times))
        moves = steps[steps > 0]
        return len(times) > 1 and (not len(moves) or bool(np.median(moves) < float(self.min_spacing)))


@dataclasses.dataclass(frozen=True)
class Reading:
    """One interpretation of a stream's times.

    Attributes:
      times: int64 [N], in file order; NO_TIME if missing.
      order: the estimated display order, a permutation of 0..N-1.
      num_bridged: discontinuities that were already removed from these times.
    """

    times: Times
    order: Times
    num_bridged: int = 0


def mend(readings: Sequence[Reading], rules: ClockRules) -> tuple[Times, int, int]:
    """Repairs the display times of a stream.

    Args:
      readings: the interpretations, most likely first. The one with the fewest faults is used.
      rules: the definition of a jump.

    Returns:
      The display time of each packet, int64 [N], in file order; the number of discontinuities; the index of the
      reading that was used.
    """
    walks = [_Walk(plausible(reading.times)[reading.order], rules) for reading in readings]
    num_faults = [walk.num_faults + reading.num_bridged for walk, reading in zip(walks, readings, strict=True)]
    best = num_faults.index(min(num_faults))
    mended = np.empty_like(readings[best].times)
    mended[readings[best].order] = walks[best].mended()
    return mended, walks[best].num_discontinuities + readings[best].num_bridged, best


def count_faults(reading: Reading, rules: ClockRules) -> int:
    """Returns the number of jumps, outliers and repeated times in a reading."""
    return _Walk(plausible(reading.times)[reading.order], rules).num_faults + reading.num_bridged


def bridges(clock: Times, rules: ClockRules) -> tuple[Times, int]:
    """Returns the offsets that remove the jumps of a clock, int64 [N], and the number of jumps.

    Args:
      clock: readings of a clock that increases from packet to packet, int64 [N]; NO_TIME if missing.
      rules: the definition of a jump.
    """
    found = _Walk(plausible(clock), rules).shifts()
    shifts = np.zeros_like(clock)
    for position, shift in found:
        shifts[position:] = shift
    return shifts, len(found)


def plausible(times: Times) -> Times:
    """Returns the times, with out-of-range times replaced by NO_TIME."""
    return np.where(np.abs(times) <= MAX_TIME, times, NO_TIME)


class _Walk:
    """The times of a stream's frames in display order.

    Attributes:
      num_faults: the number of jumps, groups of outliers, and frames that repeat the previous time.
      num_discontinuities: the faults that are more than a wrong time.
    """

    def __init__(self, times: Times, rules: ClockRules) -> None:
        self._rules = rules
        self._times = times.copy()
        self._jumps: set[int] = set()  # positions of the first frames after the jumps
        self.num_faults = self.num_discontinuities = 0
        self._drop_equal()
        self._drop_wild()

    def mended(self) -> Times:
        """Returns the repaired time of each frame, ascending."""
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
        """Returns, for each jump, its position and the offset of the times from there on."""
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
        """Removes outliers and records the remaining jumps."""
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
        """Counts a jump, or a group of outliers, with this error in ticks."""
        self.num_faults += 1
        self.num_discontinuities += ticks > self._rules.max_step_back

    def _drop_equal(self) -> None:
        """Removes repeated times; removes all but the first if the clock does not advance."""
        known = np.flatnonzero(self._times != NO_TIME)
        values = self._times[known]
        if self._rules.stands_still(values):
            repeated = known[1:]
        else:
            repeated = known[1:][values[1:] == values[:-1]]
        self._times[repeated] = NO_TIME
        self.num_faults += len(repeated)

    def _usual_spacing(self, known: Times) -> Fraction:
        """Returns the median frame interval in ticks."""
        counts, ticks = np.diff(known), np.diff(self._times[known])
        counts, ticks = counts[ticks > 0], ticks[ticks > 0]
        if not len(ticks):
            return self._rules.spacing
        median = int(np.argsort(ticks / counts, kind="stable")[(len(ticks) - 1) // 2])
        return Fraction(int(ticks[median]), int(counts[median]))


def bounded(time: int) -> int:
    """Clamps a time to FFmpeg's 64-bit range, with headroom for sums."""
    return min(max(time, -_MAX_MENDED_TIME), _MAX_MENDED_TIME)


def _between(left: int, right: int, num_steps: int, spacing: Fraction) -> list[int]:
    """Returns the times of the frames between two known frames that are `num_steps` apart."""
    step = Fraction(right - left, num_steps)
    if step > spacing * _MAX_STRETCH:
        step = spacing
    return [left + round(n * step) for n in range(1, num_steps)]
