"""Read the packets of a video from a given key frame on, and verify each seek.

Seeks are unreliable. They land too late, on packets that are not key frames, or on other pts than a sequential read
would give. Only the packets themselves are trusted: the probe has read the whole file in order and listed its key
frames, and here the packet with that pts must appear.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import TypeAlias

import av.error
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.container import container as containers
from reelbeam.transforms.media.container import files
from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.decoding.cropping import Cropping
from reelbeam.transforms.media.decoding.packet_plan import FastPathError
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.records import MediaInfo

OpenVideo: TypeAlias = Callable[
    [files.LocalVideo, DecoderLimits, int | None], AbstractContextManager[tuple[InputContainer, VideoStream]]
]
"""See `container.open_video`."""

# A seek that lands after its target is repeated from this much earlier.
_STEPS_BACK_SECONDS = (0, 2, 20)


class PacketReader:
    """Reads one video stream. The file is reopened only after a failed seek, or to read it from the start again.

    Attributes:
      container, stream: the currently open ones.
      rules: the packet rules of the stream.
      cropping: the container's cropping.
    """

    def __init__(
        self,
        video: files.LocalVideo,
        media: MediaInfo,
        limits: DecoderLimits,
        *,
        is_strict: bool = False,
        open_video: OpenVideo = containers.open_video,
    ) -> None:
        """Opens the file. Raises the errors of `container.open_video`.

        Args:
          video: a local file.
          media: the result of the probe.
          limits: the limits of the video.
          is_strict: whether the decoder reports errors that it would otherwise conceal.
          open_video: opens the file, here and after a failed seek.
        """
        self.container: InputContainer
        self.stream: VideoStream
        self._video = video
        self._limits = limits
        self._is_strict = is_strict
        self._open_video = open_video
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
    def name(self) -> str:
        """The name of the video, for messages."""
        return files.name_of(self._video)

    @property
    def decoder(self) -> VideoCodecContext:
        """The decoder of the currently open stream."""
        return self.stream.codec_context

    def packets(self) -> Iterator[VideoPacket]:
        """Yields the packets with data from the start of the stream."""
        if not self._is_at_start:
            self._open()
        self._is_at_start = False
        return self._all_packets()

    def packets_from(self, key_pts: int) -> Iterator[VideoPacket]:
        """Yields the packets with data, from the listed key frame with pts `key_pts` on.

        Raises:
          FastPathError: the key frame was not found, not even by reading from the start.
          av.error.FFmpegError: reading failed.
        """
        if self._media.time_base != self.stream.time_base:
            raise FastPathError("the file has changed")
        if self._is_at_start and key_pts == self._media.key_frame_pts[0] <= self._media.start_pts:
            return self._from_key_frame(key_pts)
        if self._media.clock_shifts:  # seeks use the file's own clock, on which a time may occur twice
            self._open()
            return self._from_key_frame(key_pts)
        for step in _STEPS_BACK_SECONDS:
            with contextlib.suppress(FastPathError, av.error.FFmpegError):
                self._is_at_start = False
                back = int(Fraction(step) / self._media.time_base)
                self.container.seek(key_pts - back, stream=self.stream)
                return self._from_key_frame(key_pts)
        self._open()
        return self._from_key_frame(key_pts)

    def _all_packets(self) -> Iterator[VideoPacket]:
        return timelines.frame_packets(self.container, self.stream, self._limits, self._media.clock_shifts)

    def _from_key_frame(self, key_pts: int) -> Iterator[VideoPacket]:
        self._is_at_start = False
        packets = self._all_packets()
        for packet in packets:
            if packet.pts == key_pts and packet.is_keyframe and self.rules.is_random_access_point(memoryview(packet)):
                return itertools.chain([packet], packets)
            if packet.is_keyframe and packet.pts is not None and packet.pts > key_pts:
                break
        raise FastPathError("a key frame isn't where it was")

    def _open(self) -> None:
        self._opened.close()
        opened = self._open_video(self._video, self._limits, self._media.stream_index)
        self.container, self.stream = self._opened.enter_context(opened)
        if self._is_strict:
            codec = self.stream.codec_context
            codec.options = {**codec.options, "err_detect": "explode"}  # the options already hold the picture limits
        self._is_at_start = True
