"""Repair the display times of a stream with missing, jumping or equal pts."""

from __future__ import annotations

import array
import dataclasses

import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.codecs.display_order import SEQUENCE_BITS
from reelbeam.transforms.media.codecs.packet_order import MAX_REORDERED
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.timing.clock import (
    NO_TIME,
    ClockRules,
    Reading,
    Times,
    bridges,
    count_faults,
    mend,
    plausible,
)

MAX_SHIFTS = 1000
"""The maximum number of clock shifts for the fast path. A recording with more is decoded from start to end."""

# With more faults than one in this many frames, the parsed display order counts as wrong if the pts are plausible.
_MIN_FRAMES_PER_FAULT = 20
# The index of the reading with pictures ordered only within each recording.
_IN_ERAS = 2
# An offset that applies to at most this many packets is not a clock jump.
_MAX_WILD_PACKETS = 3


@dataclasses.dataclass(frozen=True)
class MendedTimes:
    """Display times on one steady clock.

    Attributes:
      packet_times: int64 [N], the time of each packet, in file order.
      frame_pts: int64, ascending: the times of the shown packets.
      last_duration: the duration of the frame that is shown last; 0 if its packet has none.
      num_discontinuities: the number of jumps and outliers that were repaired.
      by_order: whether `frame_pts` are assigned to frames in decoder output order, because the packets' own times do
        not belong to their frames.
      is_changed: whether any packet's time was changed.
      jumps: the packets at which the clock jumps and a new recording begins: at a key frame, or where the display
        order contradicts the order of the earlier pictures.
      shifts: (packet, ticks) pairs in file order: the offset of the packets' pts from that packet on. None if offsets
        are not sufficient: a packet has no pts, the clock jumps inside a sequence of pictures, or there are too many
        shifts.
    """

    packet_times: Times
    frame_pts: Times
    last_duration: int
    num_discontinuities: int
    by_order: bool
    is_changed: bool
    jumps: tuple[int, ...]
    shifts: tuple[tuple[int, int], ...] | None


class StreamClock:
    """Collects all packets of a stream in file order and determines their display times.

    The result depends on times and bytes only, so two passes over a file agree.
    """

    def __init__(self, stream: VideoStream) -> None:
        codec = stream.codec_context
        self._rules = packet_rules(codec.codec.canonical_name, codec.extradata)
        self._order = self._rules.display_order()
        self._pts, self._dts, self._durations = array.array("q"), array.array("q"), array.array("q")
        self._sequences, self._counts = array.array("q"), array.array("q")
        self._is_shown, self._is_key = array.array("b"), array.array("b")

    def add(self, packet: VideoPacket) -> None:
        """Records the next packet."""
        data = memoryview(packet)
        self._pts.append(NO_TIME if packet.pts is None else packet.pts)
        self._dts.append(NO_TIME if packet.dts is None else packet.dts)
        self._durations.append(packet.duration or 0)
        self._is_shown.append(not packet.is_discard and self._rules.is_shown(data))
        self._is_key.append(packet.is_keyframe)
        rank = self._order.rank(data) if self._order is not None else None
        if rank is not None:
            self._sequences.append(rank >> SEQUENCE_BITS)
            self._counts.append(rank & ((1 << SEQUENCE_BITS) - 1))
        else:  # no readable picture: use the order of the previous packet
            self._sequences.append(self._sequences[-1] if self._sequences else 0)
            self._counts.append(self._counts[-1] if self._counts else 0)

    def mended(self, rules: ClockRules, demuxer: str, *, is_reordered: bool) -> MendedTimes:
        """Returns the display times.

        Args:
          rules: the definition of a jump.
          demuxer: the demuxer's name.
          is_reordered: whether decoding order may differ from display order.
        """
        is_shown = np.frombuffer(self._is_shown, np.int8) != 0
        pts, dts = (np.frombuffer(times, np.int64)[is_shown] for times in (self._pts, self._dts))
        own = np.where(pts == NO_TIME, dts, pts)
        by_order = self._is_by_order(pts, demuxer, is_reordered)
        if by_order:
            readings = [Reading(own, np.argsort(_filled(own), kind="stable"))]
        else:
            readings = self._readings(is_shown, is_reordered, rules)
        times, num_discontinuities, taken = mend(readings, rules)
        durations = np.frombuffer(self._durations, np.int64)[is_shown]
        packets = np.flatnonzero(is_shown)
        added = np.where(plausible(pts) == NO_TIME, NO_TIME, times - pts)
        jumps = [] if by_order else packets[_jumps(added)].tolist()
        return MendedTimes(
            _filled(_spread(times, is_shown)),
            np.sort(times),
            int(durations[np.argmax(times)]),
            num_discontinuities,
            by_order,
            bool((own != times).any()),
            tuple(jump for jump in jumps if self._is_key[jump] or taken == _IN_ERAS),
            None if by_order or not all(map(self._starts_anew, jumps)) else _shifts(added, packets),
        )

    def _starts_anew(self, packet: int) -> bool:
        """Whether all pictures from this packet on follow the earlier ones, in a new sequence."""
        if self._order is None or packet == 0:
            return True
        ranks = list(zip(self._sequences, self._counts, strict=True))[packet - 1 : packet + MAX_REORDERED]
        return ranks[1][0] != ranks[0][0] and min(ranks[1:]) == ranks[1]

    def _is_by_order(self, pts: Times, demuxer: str, is_reordered: bool) -> bool:
        """Returns whether packets have only dts, which FFmpeg also reports as pts."""
        known = pts[pts != NO_TIME]
        is_whole = len(known) == len(pts)
        if not is_reordered:
            return len(known) == 0
        if self._order is None and not is_whole:
            return True
        return len(known) == 0 or demuxer == "avi" or (is_whole and bool((np.diff(known) >= 0).all()))

    def _readings(self, is_shown: npt.NDArray[np.bool_], is_reordered: bool, rules: ClockRules) -> list[Reading]:
        """Returns the interpretations of the shown packets' times, most likely first."""
        dts, pts = (np.frombuffer(times, np.int64)[is_shown] for times in (self._dts, self._pts))
        pts = _without_twins(pts, dts)
        stored = np.arange(len(pts))
        if not is_reordered and self._order is None:
            return [Reading(pts, stored)]
        shifts, num_bridged = bridges(dts, rules)
        eras = np.cumsum(np.diff(shifts, prepend=0) != 0)
        bridged = np.where(pts == NO_TIME, NO_TIME, pts + shifts)
        by_time = Reading(bridged, np.lexsort((_filled(bridged), eras)), num_bridged)
        if self._order is None:
            return [by_time, Reading(pts, stored)]
        sequences, counts = (np.frombuffer(ranks, np.int64)[is_shown] for ranks in (self._sequences, self._counts))
        as_stated, as_stated_in_eras = np.lexsort((counts, sequences)), np.lexsort((counts, sequences, eras))
        stated = [
            Reading(pts, as_stated),
            Reading(bridged, as_stated, num_bridged),
            Reading(pts, as_stated_in_eras),
        ]  # _IN_ERAS
        num_faults = min(count_faults(reading, rules) for reading in stated)
        is_stated_badly = num_faults > 1 + len(pts) // _MIN_FRAMES_PER_FAULT
        is_reordered_nearby = np.abs(by_time.order - stored).max() <= MAX_REORDERED
        is_better = is_stated_badly and is_reordered_nearby and 2 * count_faults(by_time, rules) < num_faults
        return [by_time] if is_better else stated


def _without_twins(pts: Times, dts: Times) -> Times:
    """Removes pts that two packets share: FFmpeg mixes up neighbors if some pts are missing."""
    if not (pts == NO_TIME).any():
        return pts
    is_twin = (pts[1:] == pts[:-1]) & (dts[1:] == dts[:-1]) & (dts[1:] != NO_TIME)
    return np.where(np.append(is_twin, False) | np.insert(is_twin, 0, False), NO_TIME, pts)


def _shifts(added: Times, packets: Times) -> tuple[tuple[int, int], ...] | None:
    """Returns (packet, ticks) for each change of the offset; None: see `MendedTimes`."""
    changes = np.flatnonzero(np.diff(added, prepend=0))
    if (added == NO_TIME).any() or len(changes) > MAX_SHIFTS:
        return None
    return tuple(zip(packets[changes].tolist(), added[changes].tolist(), strict=True))


def _jumps(added: Times) -> Times:
    """Returns the positions at which the offset changes for more than a few packets."""
    added = _filled(added)
    starts = np.flatnonzero(np.diff(added, prepend=added[:1] - 1))
    starts = starts[np.diff(starts, append=len(added)) > _MAX_WILD_PACKETS]
    return starts[1:][np.diff(added[starts]) != 0]


def _filled(times: Times) -> Times:
    """Fills missing times with the previous known time, or at the start with the first known time."""
    known = np.flatnonzero(times != NO_TIME)
    if not len(known):
        return np.zeros_like(times)
    at = np.searchsorted(known, np.arange(len(times)), side="right") - 1
    return times[known[np.maximum(at, 0)]]


def _spread(times: Times, is_shown: npt.NDArray[np.bool_]) -> Times:
    """Returns an array over all packets with the times at the positions of the shown packets."""
    spread = np.full(len(is_shown), NO_TIME, np.int64)
    spread[is_shown] = times
    return spread
