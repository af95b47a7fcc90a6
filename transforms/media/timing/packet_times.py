"""Collect the pts of a stream's packets in one pass."""

from __future__ import annotations

import array
import heapq
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from reelbeam.transforms.media.codecs.packet_order import MAX_REORDERED
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.timing.clock import MAX_TIME, NO_TIME, ClockRules

# FFmpeg's AVFMT_TS_DISCONT: MPEG-TS and -PS, Ogg, live FLV and others.
_CLOCK_MAY_JUMP = 0x0200
# FFmpeg's own thresholds for a clock jump (-dts_delta_threshold, and ts_discontinuity_detect).
_MAX_STEP_SECONDS = Fraction(10)
_MAX_STEP_BACK_SECONDS = Fraction(1, 10)
# Frames per second. A higher rate means that the clock does not advance (an AVI header with swapped rate and scale).
MAX_RATE = 1000
# More consecutive frames with the same pts cannot result from rounding.
_MAX_AT_ONE_TIME = 8
# A larger share of frames with a repeated pts means that the clock is coarser than the frame interval.
_MAX_SHARE_AT_ONE_TIME = 0.25
# The share of frames whose delay from decoding to display counts as usual.
_USUAL_SHARE = 0.98


def min_spacing(stream: VideoStream) -> Fraction:
    """Returns the smallest plausible frame interval, in ticks."""
    return 1 / (MAX_RATE * (stream.time_base or Fraction(1)))


def clock_rules(container: InputContainer, stream: VideoStream, spacing: Fraction) -> ClockRules:
    """Returns the definition of a clock jump in this container; `spacing` is the frame interval in ticks."""
    time_base = stream.time_base or Fraction(1)
    return ClockRules(
        spacing,
        # If one tick is one frame (AVI), a frame that is shown for a long time is not a jump.
        max_step=max(int(_MAX_STEP_SECONDS / time_base), MAX_REORDERED),
        max_step_back=int(_MAX_STEP_BACK_SECONDS / time_base),
        min_spacing=min_spacing(stream),
        bridges_forward=bool(container.format.flags & _CLOCK_MAY_JUMP),
    )


class PacketTimes:
    """The times of shown packets, in file order: the pts, or the dts if there is no pts.

    Attributes:
      num_packets: the number of shown packets.
      last_dts: the highest dts, including packets that are not shown.
      last_duration: the duration of the frame that is shown last; 0 if its packet has none.
    """

    def __init__(self, rules: ClockRules, reorder_depth: int) -> None:
        self.num_packets = 0
        self.last_duration = 0
        self.last_dts: int | None = None
        self._has_jump = False
        self._rules = rules
        self._times = array.array("q")
        self._last_time: int | None = None
        self._has_pts = False
        self._lacks_pts = False
        self._lacks_times = False
        self._is_ascending = True
        self._last_pts: int | None = None
        self._latest_pts = NO_TIME
        self._previous_dts: int | None = None
        # In a valid stream, at most `reorder_depth` earlier frames are shown after the next one.
        self._latest_shown = [NO_TIME] * (reorder_depth + 1)
        self._num_equal = 1
        self._delays = array.array("q")

    def note_dts(self, dts: int | None) -> None:
        """Records the dts of the next packet."""
        if dts is None:
            return
        # In other containers FFmpeg derives the dts (Matroska), or the dts cannot jump (MP4).
        if self._previous_dts is not None and self._rules.bridges_forward:
            self._compare(dts - self._previous_dts)
        self._previous_dts = dts
        if self.last_dts is None or dts > self.last_dts:
            self.last_dts = dts

    def add(self, packet: VideoPacket) -> None:
        """Records a packet that is shown."""
        pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
        self.num_packets += 1
        if pts is not None:
            self._add_pts(pts, dts, packet.is_keyframe)
        elif dts is not None:
            self._lacks_pts = True
        time = dts if pts is None else pts
        if time is None:
            self._lacks_times = True
            return
        self._times.append(time)
        if self._last_time is None or (time, duration) > (self._last_time, self.last_duration):
            self._last_time, self.last_duration = time, duration

    def _add_pts(self, pts: int, dts: int | None, is_key: bool) -> None:
        if self._last_pts is not None:
            self._is_ascending = self._is_ascending and pts >= self._last_pts
            self._num_equal = self._num_equal + 1 if pts == self._last_pts else 1
            latest = self._latest_pts
            is_early = pts < self._latest_shown[0] - self._rules.max_step_back or (is_key and pts <= latest)
            is_before_decoding = self._rules.bridges_forward and dts is not None and pts < dts
            if is_early or is_before_decoding or self._num_equal > _MAX_AT_ONE_TIME:
                self._has_jump = True
            elif pts > latest:
                self._compare(pts - latest)
        self._has_pts, self._last_pts = True, pts
        self._latest_pts = max(self._latest_pts, pts)
        if dts is not None and len(self._latest_shown) > 1:
            self._delays.append(min(pts - dts, MAX_TIME))
        heapq.heappushpop(self._latest_shown, pts)

    def _compare(self, step: int) -> None:
        if not -self._rules.max_step_back <= step <= self._rules.max_step:
            self._has_jump = True

    @property
    def is_doubtful(self) -> bool:
        """Whether pts are missing, jump or do not advance."""
        lacks_some = self._has_pts and (self._lacks_pts or self._lacks_times)
        times = np.frombuffer(self._times, np.int64)
        is_coarse = np.count_nonzero(np.diff(np.sort(times)) == 0) >= _MAX_SHARE_AT_ONE_TIME * max(len(times), 4)
        return bool(
            self._has_jump or lacks_some or is_coarse or self._waits_too_long or self._rules.stands_still(times)
        )

    @property
    def _waits_too_long(self) -> bool:
        """Whether a frame has a far longer delay from decoding to display than nearly all others: an outlier."""
        if len(self._delays) < 2:
            return False
        delays = np.sort(np.frombuffer(self._delays, np.int64))
        usual = delays[min(int(_USUAL_SHARE * len(delays)), len(delays) - 2)]
        return bool(delays[-1] > usual + self._rules.max_step_back)

    def sorted_pts(self, spacing: Fraction) -> Sequence[int]:
        """Returns the display times, ascending.

        Packets without any time are skipped. If all packets lack one, the times are spaced evenly (raw streams).
        """
        if self._times:
            # NumPy sorts in place; a list would need five times the memory.
            np.frombuffer(self._times, np.int64).sort()
            return self._times
        self.last_duration = round(spacing)
        return array.array("q", (round(n * spacing) for n in range(self.num_packets)))

    def is_by_order(self, demuxer: str, reorder_depth: int) -> bool:
        """Returns whether times are assigned to frames by order, see `Timeline.by_order`."""
        if not self._has_pts or self._lacks_pts:
            return True
        # FFmpeg derives pts from dts if the container has no pts: they ascend although the frames are reordered.
        return reorder_depth > 0 and (demuxer == "avi" or self._is_ascending)
