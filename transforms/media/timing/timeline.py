"""When the frames of a stream are shown, as the times of its packets tell it before anything is decoded.

Headers lie: frame counts are missing or wrong, durations include edits or are those of the audio, nominal
rates mean nothing under variable frame rate. The packets are what the decoder will see.
"""

from __future__ import annotations

import bisect
import collections
import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TypeAlias

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from reelbeam.transforms.media import limits
from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.codecs.packet_order import PacketOrder
from reelbeam.transforms.media.container.container import VideoPacket, words
from reelbeam.transforms.media.timing.clock import Times, bounded
from reelbeam.transforms.media.timing.fields import whole_frames
from reelbeam.transforms.media.timing.packet_times import MAX_RATE, PacketTimes, clock_rules, min_spacing
from reelbeam.transforms.media.timing.stream_clock import StreamClock

Shifts: TypeAlias = tuple[tuple[int, int], ...]

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
      is_doubtful: whether times of packets are missing, jump or stand still, so that `mend_timeline` has to be asked.
      packet_times: int64 [N], the time of each packet, in file order, where the packets' own are not to be used.
      jumps: packets, in file order, before which the decoder has to start anew, where there are no shifts.
      shifts: what has to be added to the packets' own times, as of `stream_clock.MendedTimes`.
      num_discontinuities: jumps of the clock that were bridged.
    """

    time_base: Fraction
    ticks: Sequence[int]
    origin: int
    end_tick: Fraction
    promised_end_tick: Fraction
    by_order: bool
    read_error: str = ""
    is_doubtful: bool = False
    packet_times: Times | None = None
    jumps: tuple[int, ...] = ()
    shifts: Shifts | None = ()
    num_discontinuities: int = 0

    @property
    def duration_seconds(self) -> Fraction:
        """From the first frame's display time to the end of the last one's, or to the promised end.

        Clips are planned for all that a broken off file promises: what is missing is reported as missing.
        """
        return (self.promised_end_tick - self.origin) * self.time_base

    @property
    def mean_spacing_seconds(self) -> Fraction:
        """From frame to frame, on average."""
        return (self.end_tick - self.ticks[0]) * self.time_base / len(self.ticks)

    def position_at(self, tick: int) -> int:
        """Returns the position of the frame shown at `tick`: the last one with that or an earlier time."""
        return max(bisect.bisect_right(self.ticks, tick) - 1, 0)


def frame_packets(container: InputContainer, stream: VideoStream, shifts: Shifts = ()) -> Iterator[VideoPacket]:
    """Yields the packets, each with a whole frame, in file order, without the empty one that PyAV adds at the end.

    Empty packets inside a file (AVI writes them for "show the last frame again") must not reach the decoder
    either, which would take the first one for the end of the stream.

    Args:
      container, stream: at their start, if there are shifts.
      jumps: packets, in file order, before which the decoder has to start anew, where there are no shifts.
      shifts: what has to be added to the packets' own times, as of `Timeline.shifts`.
    """
    rules = packet_rules(stream.codec_context.codec.canonical_name, stream.codec_context.extradata)
    packets = _packets_with_data(container, stream)
    if rules.may_lack_pictures:
        packets = (packet for packet in packets if rules.has_picture(memoryview(packet)))
    packets = whole_frames(packets, rules)
    return _shifted(packets, shifts, min_spacing(stream)) if shifts else packets


def _shifted(packets: Iterator[VideoPacket], shifts: Shifts, min_ticks: Fraction) -> Iterator[VideoPacket]:
    """Yields the packets with display times on one steady clock; decoding times stay as they are.

    Durations that no frame has are those of a clock that stood still: they are left out.
    """
    coming = collections.deque(shifts)
    ticks = 0
    for index, packet in enumerate(packets):
        while coming and coming[0][0] <= index:
            _, ticks = coming.popleft()
        if packet.pts is not None:
            packet.pts = bounded(packet.pts + ticks)
        if packet.duration is not None and packet.duration < min_ticks:
            packet.duration = 0
        yield packet


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
    spacing = _nominal_spacing(stream)
    shown = PacketTimes(clock_rules(container, stream, spacing), stream.codec_context.reorder_depth)
    read_error = ""
    reaches_end = True
    order = PacketOrder()
    rules = packet_rules(stream.codec_context.codec.canonical_name, stream.codec_context.extradata)
    try:
        for packet in packets:
            shown.note_dts(packet.dts)
            if not packet.is_discard and (not rules.may_hide_frames or rules.is_shown(memoryview(packet))):
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
    ticks = shown.sorted_ticks(spacing)
    end_tick = ticks[-1] + _last_frame_ticks(ticks, shown.last_duration, spacing)
    origin = ticks[0] if origin is None else origin
    promised = Fraction(origin + stream.duration) if read_error and stream.duration else end_tick
    by_order = shown.is_by_order(container.format.name, stream.codec_context.reorder_depth)
    time_base = stream.time_base or Fraction(1, 1)
    return Timeline(
        time_base, ticks, origin, end_tick, max(end_tick, promised), by_order, read_error, shown.is_doubtful
    )


def mend_timeline(
    timeline: Timeline, packets: Iterable[VideoPacket], container: InputContainer, stream: VideoStream
) -> Timeline:
    """Returns a doubtful timeline with all times on one steady clock; the same where that changes nothing.

    Args:
      timeline: of the whole stream.
      packets: all packets of the stream once more.
      container, stream: where they come from.
    """
    clock = StreamClock(stream)
    with contextlib.suppress(av.error.FFmpegError):  # where reading breaks off, `timeline` says so
        for packet in packets:
            clock.add(packet)
    spacing = _nominal_spacing(stream)
    is_reordered = stream.codec_context.reorder_depth > 0
    rules = clock_rules(container, stream, spacing)
    mended = clock.mended(rules, container.format.name, is_reordered=is_reordered)
    if not mended.is_changed:
        return timeline
    ticks = mended.ticks.tolist()
    last_duration = mended.last_duration if mended.last_duration >= rules.min_spacing else 0
    end_tick = ticks[-1] + _last_frame_ticks(ticks, last_duration, spacing)
    return dataclasses.replace(
        timeline,
        ticks=ticks,
        origin=ticks[0],
        end_tick=end_tick,
        # What a header promises is on the old clock.
        promised_end_tick=end_tick,
        by_order=mended.by_order,
        packet_times=mended.packet_times,
        jumps=mended.jumps,
        shifts=mended.shifts,
        num_discontinuities=mended.num_discontinuities,
    )


def _nominal_spacing(stream: VideoStream) -> Fraction:
    """Returns the ticks from frame to frame: by the headers' rate, or a usual one where that is none or absurd."""
    rate = stream.guessed_rate
    plausible_rate = rate if rate and rate <= MAX_RATE else _DEFAULT_RATE
    return 1 / plausible_rate / (stream.time_base or Fraction(1))


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
