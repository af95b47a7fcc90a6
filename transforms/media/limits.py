"""Limit what one video may demand. A few bytes can claim any size; a limit turns such a claim into an error row.

The functions that open or read a video take the limits as an argument. The defaults do not affect normal videos.
Memory and time are limited for the decoder process, see `sandbox/`.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from reelbeam.transforms.errors import OverLimitError
from reelbeam.transforms.wording import counted

# A still picture may be shown for long in few bytes, but not without limit: 30 s of a minimal codec are some 600 bytes.
_FREE_SECONDS = 600
_MAX_SECONDS_PER_BYTE = 1


@dataclasses.dataclass(frozen=True)
class DecoderLimits:
    """The limits of a decoder process and of a video.

    Attributes:
      memory_bytes: the address space for decoding one video, frames and clips included.
      deadline_seconds: how long the decoder may block its parent for one segment, in addition to the time allowed for
        the segment's duration and the file's size, see `sandbox/deadline.py`.
      fetch_seconds: how long fetching may take for one segment of a remote video, in addition to the time allowed for
        the file's size, see `sandbox/deadline.py`.
      max_pixels: the maximum width x height of a picture.
      max_duration_seconds: the maximum duration of a video.
      max_streams: the maximum number of streams in a container.
      max_packets: the maximum number of packets in the video stream.
      max_clips: the maximum number of clips planned for one video.
      allow_unconfined: whether to decode if the system cannot confine a process, see `sandbox/confinement.py`.
    """

    memory_bytes: int = 2 << 30
    deadline_seconds: float = 60
    fetch_seconds: float = 600
    max_pixels: int = 8192 * 8192
    max_duration_seconds: float = 48 * 3600
    max_streams: int = 200
    max_packets: int = 10_000_000
    max_clips: int = 100_000
    allow_unconfined: bool = False

    def check_picture(self, name: str, width: int, height: int) -> None:
        """Raises OverLimitError for a picture with too many pixels."""
        if width * height > self.max_pixels:
            raise OverLimitError(
                f"{name}: a picture of {width}x{height} has {width * height} pixels, more than --max_pixels"
                f" {self.max_pixels}; raise it, or scale the video down"
            )

    def check_streams(self, name: str, num_streams: int) -> None:
        """Raises OverLimitError for a container with too many streams."""
        if num_streams > self.max_streams:
            raise OverLimitError(
                f"{name}: {counted(num_streams, 'stream')}, more than {self.max_streams}; remux the file with fewer"
            )

    def check_packets(self, name: str, num_packets: int) -> None:
        """Raises OverLimitError for a stream with too many packets."""
        if num_packets > self.max_packets:
            raise OverLimitError(f"{name}: more than {self.max_packets} frames; cut the video into parts")

    def check_duration(self, name: str, duration_seconds: Fraction, size_bytes: int) -> None:
        """Raises OverLimitError for a video that is too long, or far too long for its size."""
        if duration_seconds > self.max_duration_seconds:
            raise OverLimitError(
                f"{name}: {float(duration_seconds):.0f} s long, more than --max_duration_seconds"
                f" {self.max_duration_seconds:g}; raise it, or cut the video into parts"
            )
        if duration_seconds > self.plausible_seconds(size_bytes):
            raise OverLimitError(
                f"{name}: {float(duration_seconds):.0f} s in {size_bytes} bytes cannot be right (at most"
                f" {_FREE_SECONDS} s and {_MAX_SECONDS_PER_BYTE} s a byte); its times are broken: remux the file"
            )

    def plausible_seconds(self, size_bytes: int) -> int:
        """Returns the maximum plausible duration of a video of this size, in seconds."""
        return _FREE_SECONDS + size_bytes * _MAX_SECONDS_PER_BYTE

    def check_clips(self, name: str, num_clips: int | Fraction) -> None:
        """Raises OverLimitError for a video with too many clips."""
        if num_clips > self.max_clips:
            raise OverLimitError(
                f"{name}: {counted(int(num_clips), 'clip')}, more than {self.max_clips}; raise "
                "--clip_stride_seconds, or set --clips_per_video"
            )


DEFAULT_LIMITS = DecoderLimits()
