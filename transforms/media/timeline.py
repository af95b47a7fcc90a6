"""When the frames of a stream are shown, as the times of its packets tell it before anything is decoded.

Headers lie: frame counts are missing or wrong, durations include edits or are those of the audio, nominal
rates mean nothing under variable frame rate. The packets are what the decoder will see.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from transforms.media import limits
from transforms.media.container import words

VideoPacket: TypeAlias = "Packet[VideoStream]"

# Frames a second where the file tells neither a rate nor times.
_DEFAULT_RATE = Fraction(25)


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The display times of a stream's frames.

    Attributes:
      time_base: seconds a tick.
      ticks: display time of each frame, ascending. The first one is second 0 of the video.
      end_tick: end of the last frame's display time.
      promised_end_tick: where reading broke off, the end that the header promises; else `end_tick`.
      by_order: True where the packets' times are right as a set but not those of the frames that carry them,
        because the container stores none (raw streams) or decoding times only (AVI with B-frames). Decoders
        deliver in display order, so the n-th frame that comes out has the n-th time.
      read_error: why reading broke off before the file's regular end; "" where it didn't.
    """

    time_base: Fraction
    ticks: tuple[int, ...]
    end_tick: Fraction
    promised_end_tick: Fraction
    by_order: bool
    read_error: str = ""

    @property
    def origin(self) -> int:
        """Display time of the first frame: often not 0, sometimes negative."""
        return self.ticks[0]

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
    """Yields the packets that carry data, in file order, without the empty one that PyAV adds at the end.

    Empty packets inside a file (AVI writes them for "show the last frame again") must not reach the decoder
    either, which would take the first one for the end of the stream.
    """
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


def read_timeline(packets: Iterable[VideoPacket], container: InputContainer, stream: VideoStream) -> Timeline | None:
    """Reads all packets; returns None if there are none.

    Packets that an edit list cuts away (`is_discard`) are decoded but never shown: they don't count.
    """
    shown: list[_PacketTimes] = []
    read_error = ""
    try:
        for packet in packets:
            if not packet.is_discard:
                shown.append(_PacketTimes(packet.pts, packet.dts, packet.duration or 0))
    except av.error.FFmpegError as error:
        read_error = words(error)
    if not shown:
        return None
    read_error = read_error or _missing_frames(shown, container.format.name, stream)
    time_base = stream.time_base or Fraction(1, 1)
    spacing = 1 / (stream.guessed_rate or _DEFAULT_RATE) / time_base
    times = sorted(_ticks_and_durations(shown, spacing))
    ticks = tuple(tick for tick, _ in times)
    end_tick = ticks[-1] + _last_frame_ticks(ticks, times[-1][1], spacing)
    promised = Fraction(ticks[0] + stream.duration) if read_error and stream.duration else end_tick
    by_order = _is_by_order(shown, container.format.name, stream.codec_context.reorder_depth)
    return Timeline(time_base, ticks, end_tick, max(end_tick, promised), by_order, read_error)


@dataclasses.dataclass(frozen=True)
class _PacketTimes:
    pts: int | None
    dts: int | None
    duration: int


def _missing_frames(shown: list[_PacketTimes], demuxer: str, stream: VideoStream) -> str:
    """Returns what to say where an MP4's own index lists frames that are not in the file any more; "" else.

    FFmpeg takes a broken off upload whose index stands at the front for a regular, shorter file.
    """
    if "mp4" not in demuxer.split(",") or len(stream.index_entries) == 0:
        return ""
    last_read = max((packet.dts for packet in shown if packet.dts is not None), default=None)
    if last_read is None or stream.index_entries[-1].timestamp <= last_read:
        return ""
    return "the file ends before the last frame that its index lists"


def _ticks_and_durations(shown: list[_PacketTimes], spacing: Fraction) -> Iterator[tuple[int, int]]:
    """Yields (display time, duration): pts, or dts where that is all there is.

    Packets without either are passed over, unless all are: then they are spaced evenly (raw streams).
    """
    if all(packet.pts is None and packet.dts is None for packet in shown):
        yield from ((round(n * spacing), round(spacing)) for n in range(len(shown)))
    for packet in shown:
        tick = packet.dts if packet.pts is None else packet.pts
        if tick is not None:
            yield tick, packet.duration


def _is_by_order(shown: list[_PacketTimes], demuxer: str, reorder_depth: int) -> bool:
    """Returns whether times and frames have to be paired by order, see `Timeline.by_order`."""
    known = [packet.pts for packet in shown if packet.pts is not None]
    if not known or any(packet.pts is None and packet.dts is not None for packet in shown):
        return True
    # FFmpeg makes pts up from dts where the container has none: ascending although the frames are reordered.
    return reorder_depth > 0 and (demuxer == "avi" or known == sorted(known))


def _last_frame_ticks(ticks: tuple[int, ...], packet_duration: int, spacing: Fraction) -> Fraction:
    """Returns how long the last frame is shown: as its packet says, else as long as the others on average."""
    if packet_duration > 0:
        return Fraction(packet_duration)
    if ticks[-1] > ticks[0]:
        return Fraction(ticks[-1] - ticks[0], len(ticks) - 1)
    return spacing
