"""Determine when the frames of a stream are shown, from its packets, before decoding.

Headers are unreliable: frame counts are missing or wrong, durations include edits or describe the audio, and nominal
rates do not hold under variable frame rate. The packets are what the decoder receives.
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

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.codecs.packet_order import PacketOrder
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.container.error_text import error_text
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.timing.clock import Times, bounded
from reelbeam.transforms.media.timing.fields import whole_frames
from reelbeam.transforms.media.timing.packet_times import MAX_RATE, PacketTimes, clock_rules, min_spacing
from reelbeam.transforms.media.timing.stream_clock import StreamClock

Shifts: TypeAlias = tuple[tuple[int, int], ...]

# The frame rate if the file has neither a rate nor times.
_DEFAULT_RATE = Fraction(25)


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The display times of a stream's frames.

    Attributes:
      time_base: the length of a tick in seconds.
      frame_pts: the display time of each frame, ascending; eight bytes each, because a long film has many.
      origin: the display time of the stream's first frame, which is second 0 of the video. Often not 0, and sometimes
        negative.
      end_pts: the end of the last frame's display time.
      promised_end_pts: for a truncated file, the end that the header declares; otherwise `end_pts`.
      by_order: True if the set of times is right but the packets' own times do not belong to their frames, because the
        container stores no times (raw streams) or only dts (AVI with B-frames). Decoders output frames in display
        order, so the n-th frame has the n-th time.
      read_error: why reading ended before the regular end of the file; "" if it did not.
      is_doubtful: whether pts are missing, jump or do not advance, so that `mend_timeline` is needed.
      packet_times: int64 [N], the time of each packet in file order, if it replaces the packet's own.
      jumps: packets, in file order, at which the decoder must be restarted if there are no shifts.
      shifts: the offsets of the packets' pts, see `stream_clock.MendedTimes`.
      num_discontinuities: the number of clock jumps that were repaired.
    """

    time_base: Fraction
    frame_pts: Sequence[int]
    origin: int
    end_pts: Fraction
    promised_end_pts: Fraction
    by_order: bool
    read_error: str = ""
    is_doubtful: bool = False
    packet_times: Times | None = None
    jumps: tuple[int, ...] = ()
    shifts: Shifts | None = ()
    num_discontinuities: int = 0

    @property
    def duration_seconds(self) -> Fraction:
        """From the first frame's display time to the end of the last one's, or to the declared end.

        Clips of a truncated file are planned up to its declared end, so that the missing part is reported.
        """
        return (self.promised_end_pts - self.origin) * self.time_base

    @property
    def mean_spacing_seconds(self) -> Fraction:
        """The mean frame interval."""
        return (self.end_pts - self.frame_pts[0]) * self.time_base / len(self.frame_pts)

    def position_at(self, pts: int) -> int:
        """Returns the position of the frame shown at `pts`: the last frame with that time or an earlier one."""
        return max(bisect.bisect_right(self.frame_pts, pts) - 1, 0)


def frame_packets(
    container: InputContainer, stream: VideoStream, limits: DecoderLimits, shifts: Shifts = ()
) -> Iterator[VideoPacket]:
    """Yields packets that each hold a whole frame, in file order, without the empty packet that PyAV appends.

    Empty packets inside a file (AVI writes them to repeat a frame) are also removed, because the decoder would take
    the first one for the end of the stream.

    Args:
      container, stream: must be at their start if there are shifts.
      limits: the limits of the stream.
      shifts: the offsets of the packets' pts, see `Timeline.shifts`.
    """
    rules = packet_rules(stream.codec_context.codec.canonical_name, stream.codec_context.extradata)
    packets = _packets_with_data(container, stream, limits)
    if rules.may_lack_pictures:
        packets = (packet for packet in packets if rules.has_picture(memoryview(packet)))
    packets = whole_frames(packets, rules)
    return _shifted(packets, shifts, min_spacing(stream)) if shifts else packets


def _shifted(packets: Iterator[VideoPacket], shifts: Shifts, min_ticks: Fraction) -> Iterator[VideoPacket]:
    """Yields the packets with pts on one steady clock; dts are unchanged.

    Implausibly short durations come from a clock that did not advance. They are reset to 0.
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


def _packets_with_data(container: InputContainer, stream: VideoStream, limits: DecoderLimits) -> Iterator[VideoPacket]:
    for count, packet in enumerate(_demuxed(container, stream), 1):
        if packet.size > 0:
            if count > limits.max_packets:
                limits.check_packets(container.name, count)
            yield packet


def _demuxed(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """Demuxes, and ends at the IndexError that PyAV raises for a stream that appeared during reading (MPEG-TS).

    PyAV 18 raises it after the last packet, when it appends the empty packets.
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
    until_pts: int | None = None,
) -> Timeline | None:
    """Reads all packets; returns None if there are none.

    Packets that an edit list removes (`is_discard`) are decoded but never shown, so they are not counted.

    Args:
      packets: the packets of the whole stream, or from a key frame on.
      container, stream: the source of the packets.
      origin: the display time of the stream's first frame, if the packets start later; None if they start there.
      until_pts: reading may stop when no later packet has this pts or an earlier one; None reads to the end.
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
            if until_pts is not None and order.accepts(packet) and order.is_past(until_pts):
                reaches_end = False
                break
    except av.error.FFmpegError as error:
        read_error = error_text(error)
    if not shown.num_packets:
        return None
    if reaches_end:
        read_error = read_error or missing_frames(shown.last_dts, container.format.name, stream)
    frame_pts = shown.sorted_pts(spacing)
    end_pts = frame_pts[-1] + _last_frame_ticks(frame_pts, shown.last_duration, spacing)
    origin = frame_pts[0] if origin is None else origin
    promised = Fraction(origin + stream.duration) if read_error and stream.duration else end_pts
    by_order = shown.is_by_order(container.format.name, stream.codec_context.reorder_depth)
    time_base = stream.time_base or Fraction(1, 1)
    return Timeline(
        time_base, frame_pts, origin, end_pts, max(end_pts, promised), by_order, read_error, shown.is_doubtful
    )


def mend_timeline(
    timeline: Timeline, packets: Iterable[VideoPacket], container: InputContainer, stream: VideoStream
) -> Timeline:
    """Returns a doubtful timeline with all times on one steady clock, or the same timeline if nothing changes.

    Args:
      timeline: the timeline of the whole stream.
      packets: a second pass over all packets of the stream.
      container, stream: the source of the packets.
    """
    clock = StreamClock(stream)
    with contextlib.suppress(av.error.FFmpegError):  # `timeline` already has the read error
        for packet in packets:
            clock.add(packet)
    spacing = _nominal_spacing(stream)
    is_reordered = stream.codec_context.reorder_depth > 0
    rules = clock_rules(container, stream, spacing)
    mended = clock.mended(rules, container.format.name, is_reordered=is_reordered)
    if not mended.is_changed:
        return timeline
    frame_pts = mended.frame_pts.tolist()
    last_duration = mended.last_duration if mended.last_duration >= rules.min_spacing else 0
    end_pts = frame_pts[-1] + _last_frame_ticks(frame_pts, last_duration, spacing)
    return dataclasses.replace(
        timeline,
        frame_pts=frame_pts,
        origin=frame_pts[0],
        end_pts=end_pts,
        # The end that the header declares is on the old clock.
        promised_end_pts=end_pts,
        by_order=mended.by_order,
        packet_times=mended.packet_times,
        jumps=mended.jumps,
        shifts=mended.shifts,
        num_discontinuities=mended.num_discontinuities,
    )


def _nominal_spacing(stream: VideoStream) -> Fraction:
    """Returns the frame interval in ticks from the headers' rate, or the default if it is missing or implausible."""
    rate = stream.guessed_rate
    plausible_rate = rate if rate and rate <= MAX_RATE else _DEFAULT_RATE
    return 1 / plausible_rate / (stream.time_base or Fraction(1))


def missing_frames(last_dts: int | None, demuxer: str, stream: VideoStream) -> str:
    """Returns an error text if an MP4's index lists frames that are not in the file; "" otherwise.

    FFmpeg reads a truncated upload with its index at the start as a regular, shorter file.
    """
    if "mp4" not in demuxer.split(",") or len(stream.index_entries) == 0:
        return ""
    if last_dts is None or stream.index_entries[-1].timestamp <= last_dts:
        return ""
    return "the file ends before the last frame that its index lists"


def _last_frame_ticks(frame_pts: Sequence[int], packet_duration: int, spacing: Fraction) -> Fraction:
    """Returns the duration of the last frame: its packet's duration, or the mean frame interval."""
    if packet_duration > 0:
        return Fraction(packet_duration)
    if frame_pts[-1] > frame_pts[0]:
        return Fraction(frame_pts[-1] - frame_pts[0], len(frame_pts) - 1)
    return spacing
