"""When the frames of a stream are shown, as the times of its packets tell it before anything is decoded.

Headers lie: frame counts are missing or wrong, durations include edits or are those of the audio, nominal
rates mean nothing under variable frame rate. The packets are what the decoder will see.
"""

from __future__ import annotations

import array
import bisect
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from transforms.media import limits
from transforms.media.container import VideoPacket, words
from transforms.media.fields import whole_frames
from transforms.media.packet_order import PacketOrder

# Frames a second where the file tells neither a rate nor times.
_DEFAULT_RATE = Fraction(25)


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The display times of a stream's frames.

    Attributes:
      time_base: seconds a tick.
      ticks: display time of each frame, ascending; eight bytes each, as a long film has many.
      origin: display time of the stream's first frame, second 0 of the video: often not 0, sometimes negative.
      end_tick: end of the last frame's display time.
      promised_end_tick: where reading broke off, the end that the header promises; else `end_tick`.
      by_order: True where the packets' times are right as a set but not those of the frames that carry them,
        because the container stores none (raw streams) or decoding times only (AVI with B-frames). Decoders
        deliver in display order, so the n-th frame that comes out has the n-th time.
      read_error: why reading broke off before the file's regular end; "" where it didn't.
    """

    time_base: Fraction
    ticks: Sequence[int]
    origin: int
    end_tick: Fraction
    promised_end_tick: Fraction
    by_order: bool
    read_error: str = ""

    @property
    def duration_seconds(self) -> Fraction:
        """From the first frame's display time to the end of the last one's, or to the promised end.

        Clips are planned for all that a broken off file promises: what is missing is reported as missing.
        """
        return (self.promised_end_tick - self.origin) * self.time_base

    def position_at(self, tick: int) -> int:
        """Returns the position of the frame shown at `tick`: the last one with that or an earlier time."""
        return max(bisect.bisect_right(self.ticks, tick) - 1, 0)


def frame_packets(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """Yields the packets, each with a whole frame, in file order, without the empty one that PyAV adds at the end.

    Empty packets inside a file (AVI writes them for "show the last frame again") must not reach the decoder
    either, which would take the first one for the end of the stream.
    """
    return whole_frames(_packets_with_data(container, stream), stream)


def _packets_with_data(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    caps = limits.current()
    for count, packet in enumerate(_demuxed(container, stream), 1):
        if packet.size > 0:
            if count > caps.max_packets:
                caps.check_packets(container.name, count)
            yield packet


def _demuxed(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """Yields what `demux` yields, and ends where it trips over a stream that appeared on the way (MPEG-TS).

    PyAV 18 does so after the last packet, when it adds the empty ones.
    """
    try:
        yield from container.demux(stream)
    except IndexError:
        return


def read_timeline(
    packets: Iterable[VideoPacket],
    container: InputContainer,
    stream: VideoStream,
    origin: int | None = None,
    until_tick: int | None = None,
) -> Timeline | None:
    """Reads all packets; returns None if there are none.

    Packets that an edit list cuts away (`is_discard`) are decoded but never shown: they don't count.

    Args:
      packets: those of the whole stream, or from a key frame on.
      container, stream: where they come from.
      origin: display time of the stream's first frame, where the packets start later; None: they start there.
      until_tick: reading may stop once no frame of this time or an earlier one can follow; None: at the end.
    """
    shown = _PacketTimes()
    read_error = ""
    reaches_end = True
    order = PacketOrder()
    try:
        for packet in packets:
            shown.note_dts(packet.dts)
            if not packet.is_discard:
                shown.add(packet)
            if until_tick is not None and order.accepts(packet) and order.is_past(until_tick):
                reaches_end = False
                break
    except av.error.FFmpegError as error:
        read_error = words(error)
    if not shown.num_packets:
        return None
    if reaches_end:
        read_error = read_error or missing_frames(shown.last_dts, container.format.name, stream)
    time_base = stream.time_base or Fraction(1, 1)
    spacing = 1 / (stream.guessed_rate or _DEFAULT_RATE) / time_base
    ticks = shown.sorted_ticks(spacing)
    end_tick = ticks[-1] + _last_frame_ticks(ticks, shown.last_duration, spacing)
    origin = ticks[0] if origin is None else origin
    promised = Fraction(origin + stream.duration) if read_error and stream.duration else end_tick
    by_order = shown.is_by_order(container.format.name, stream.codec_context.reorder_depth)
    return Timeline(time_base, ticks, origin, end_tick, max(end_tick, promised), by_order, read_error)


class _PacketTimes:
    """The times of a stream's packets, in file order: pts, or dts where that is all there is.

    Attributes:
      num_packets: how many there are.
      last_dts: the highest, of packets that are not shown too.
      last_duration: of the frame that is shown last; 0 where its packet doesn't say.
    """

    def __init__(self) -> None:
        self.num_packets = 0
        self.last_duration = 0
        self.last_dts: int | None = None
        self._times = array.array("q")
        self._last_time: int | None = None
        self._has_pts = False
        self._lacks_pts = False
        self._is_ascending = True
        self._last_pts: int | None = None

    def note_dts(self, dts: int | None) -> None:
        """Notes how far the file has been read."""
        if dts is not None and (self.last_dts is None or dts > self.last_dts):
            self.last_dts = dts

    def add(self, packet: VideoPacket) -> None:
        """Notes a packet that is shown."""
        pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
        self.num_packets += 1
        if pts is not None:
            self._is_ascending = self._is_ascending and (self._last_pts is None or pts >= self._last_pts)
            self._has_pts, self._last_pts = True, pts
        elif dts is not None:
            self._lacks_pts = True
        time = dts if pts is None else pts
        if time is None:
            return
        self._times.append(time)
        if self._last_time is None or (time, duration) > (self._last_time, self.last_duration):
            self._last_time, self.last_duration = time, duration

    def sorted_ticks(self, spacing: Fraction) -> Sequence[int]:
        """Returns the display times.

        Packets without any time are passed over, unless all are: then they are spaced evenly (raw streams).
        """
        if self._times:
            # NumPy sorts where they are; a list would need five times the memory.
            np.frombuffer(self._times, np.int64).sort()
            return self._times
        self.last_duration = round(spacing)
        return array.array("q", (round(n * spacing) for n in range(self.num_packets)))

    def is_by_order(self, demuxer: str, reorder_depth: int) -> bool:
        """Returns whether times and frames have to be paired by order, see `Timeline.by_order`."""
        if not self._has_pts or self._lacks_pts:
            return True
        # FFmpeg makes pts up from dts where the container has none: ascending although the frames are reordered.
        return reorder_depth > 0 and (demuxer == "avi" or self._is_ascending)


def missing_frames(last_dts: int | None, demuxer: str, stream: VideoStream) -> str:
    """Returns what to say where an MP4's own index lists frames that are not in the file any more; "" else.

    FFmpeg takes a broken off upload whose index stands at the front for a regular, shorter file.
    """
    if "mp4" not in demuxer.split(",") or len(stream.index_entries) == 0:
        return ""
    if last_dts is None or stream.index_entries[-1].timestamp <= last_dts:
        return ""
    return "the file ends before the last frame that its index lists"


def _last_frame_ticks(ticks: Sequence[int], packet_duration: int, spacing: Fraction) -> Fraction:
    """Returns how long the last frame is shown: as its packet says, else as long as the others on average."""
    if packet_duration > 0:
        return Fraction(packet_duration)
    if ticks[-1] > ticks[0]:
        return Fraction(ticks[-1] - ticks[0], len(ticks) - 1)
    return spacing
