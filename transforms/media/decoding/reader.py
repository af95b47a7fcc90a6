"""The packets of a video from a given key frame on, wherever the container's seeking leads.

Seeks lie: they land late, on packets that are no key frames, or on other times than a reader that came from the
start would see. So nothing is believed but the packets themselves. The probe has read the whole file in order and
has listed key frames; here the very packet with that time has to turn up.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from fractions import Fraction

import av.error
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.container import container as containers
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.decoding.cropping import Cropping
from reelbeam.transforms.media.decoding.packet_plan import ShortcutError
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.records import MediaInfo

# A seek that lands behind its target is tried again from so much earlier.
_STEPS_BACK_SECONDS = (0, 2, 20)


class PacketReader:
    """Reads one video stream, opened once and again only if a seek has led astray.

    Attributes:
      container, stream: as open now.
      rules: what this stream's packets allow.
      cropping: what the container cuts off each frame.
    """

    def __init__(self, path: str | os.PathLike[str], media: MediaInfo, is_strict: bool = False) -> None:
        """Opens the file. Raises as `container.open_video`.

        Args:
          path: a local file.
          media: what the probe said of it.
          is_strict: the decoder reports what it would otherwise conceal.
        """
        self.container: InputContainer
        self.stream: VideoStream
        self._path = path
        self._is_strict = is_strict
        self._media = media
        self._opened = contextlib.ExitStack()
        self._is_at_start = False
        self._open()
        self.cropping = Cropping.of_stream(self.container, self.stream.index)
        codec = self.stream.codec_context
        self.rules = packet_rules(codec.codec.canonical_name, codec.extradata)

    def close(self) -> None:
        """Closes the file."""
        self._opened.close()

    @property
    def decoder(self) -> VideoCodecContext:
        """The decoder of the stream as it is open now."""
        return self.stream.codec_context

    def packets(self) -> Iterator[VideoPacket]:
        """Yields the packets with data from the stream's start."""
        if not self._is_at_start:
            self._open()
        self._is_at_start = False
        return self._all_packets()

    def packets_from(self, entry_tick: int) -> Iterator[VideoPacket]:
        """Yields the packets with data, from the listed key frame that is shown at `entry_tick`.

        Raises:
          ShortcutError: it isn't there, not even where the file is read from its start.
          av.error.FFmpegError: reading broke off.
        """
        if self._media.time_base != self.stream.time_base:
            raise ShortcutError("the file has changed")
        if self._is_at_start and entry_tick == self._media.key_frame_ticks[0] <= self._media.start_tick:
            return self._from_entry(entry_tick)
        if self._media.clock_shifts:  # seeks go by the file's own clock, which has a time twice
            self._open()
            return self._from_entry(entry_tick)
        for step in _STEPS_BACK_SECONDS:
            with contextlib.suppress(ShortcutError, av.error.FFmpegError):
                self._is_at_start = False
                back = int(Fraction(step) / self._media.time_base)
                self.container.seek(entry_tick - back, stream=self.stream)
                return self._from_entry(entry_tick)
        self._open()
        return self._from_entry(entry_tick)

    def _all_packets(self) -> Iterator[VideoPacket]:
        return timelines.frame_packets(self.container, self.stream, self._media.clock_shifts)

    def _from_entry(self, entry_tick: int) -> Iterator[VideoPacket]:
        self._is_at_start = False
        packets = self._all_packets()
        for packet in packets:
            if packet.pts == entry_tick and packet.is_keyframe and self.rules.starts_clean(memoryview(packet)):
                return itertools.chain([packet], packets)
            if packet.is_keyframe and packet.pts is not None and packet.pts > entry_tick:
                break
        raise ShortcutError("a key frame isn't where it was")

    def _open(self) -> None:
        self._opened.close()
        opened = containers.open_video(self._path, self._media.stream_index)
        self.container, self.stream = self._opened.enter_context(opened)
        if self._is_strict:
            codec = self.stream.codec_context
            codec.options = {**codec.options, "err_detect": "explode"}  # the limits on pictures stand there already
        self._is_at_start = True
