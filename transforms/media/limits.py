"""How much one video may ask for. A few bytes can claim any size: each cap turns such a claim into a row.

The caps are in force wherever videos are opened, with defaults that honest video does not meet; `in_force` changes
them for a while. Memory and time are not capped here but around the decoder process, see `sandbox.py`.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator
from fractions import Fraction

from reelbeam.transforms.errors import OverLimitError
from reelbeam.transforms.wording import counted

# A still picture may stand for long in few bytes, but not for ever: 30 s of a minimal codec are some 600 bytes.
_FREE_SECONDS = 600
_MAX_SECONDS_PER_BYTE = 1


@dataclasses.dataclass(frozen=True)
class DecoderLimits:
    """What a decoder process may use, and what it may be asked for.

    Attributes:
      memory_bytes: address space for the decoding of one video, frames and clips included.
      deadline_seconds: how long the decoder may keep its caller waiting over one segment, on top of what the
        segment's duration and the file's size allow, see `sandbox.py`.
      max_pixels: width x height of a picture.
      max_duration_seconds: of a video.
      max_streams: streams of a container.
      max_packets: packets of the video stream.
      max_clips: clips planned for one video.
      allow_unconfined: whether to decode where the system can confine no process, see `confinement.py`.
    """

    memory_bytes: int = 2 << 30
    deadline_seconds: float = 60
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
        """Raises OverLimitError for a video that is too long, or far too long for its bytes."""
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
        """Returns how long a video of so many bytes may be."""
        return _FREE_SECONDS + size_bytes * _MAX_SECONDS_PER_BYTE

    def check_clips(self, name: str, num_clips: int | Fraction) -> None:
        """Raises OverLimitError for a video that would be cut into too many clips."""
        if num_clips > self.max_clips:
            raise OverLimitError(
                f"{name}: {counted(int(num_clips), 'clip')}, more than {self.max_clips}; raise "
                "--clip_stride_seconds, or set --clips_per_video"
            )


DEFAULT_LIMITS = DecoderLimits()

_current: contextvars.ContextVar[DecoderLimits] = contextvars.ContextVar("limits", default=DEFAULT_LIMITS)


def current() -> DecoderLimits:
    """Returns the caps that are in force."""
    return _current.get()


@contextlib.contextmanager
def in_force(limits: DecoderLimits) -> Iterator[None]:
    """Puts other caps in force for the block."""
    token = _current.set(limits)
    try:
        yield
    finally:
        _current.reset(token)
