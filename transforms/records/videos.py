"""The records of a video before it is decoded."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from reelbeam.transforms.records.time_range import WHOLE, TimeRange, input_key


@dataclasses.dataclass(frozen=True)
class VideoRef:
    """One listed input of the run: the URI of a video, the version of its content, and its range.

    Attributes:
      video_uri: the absolute path or object-store URI. With the range, it is the key of all rows of the input.
      size_bytes: the size of the object; None if unknown, for example because the object is missing.
      content_version: the store's version of the content, for example "mtime:1700000000.0"; "" if unknown.
      metadata: further columns of the input list, as (column, value) pairs, sorted by column.
      attempt: the number of runs that tried this content with the same labeling key since it was last labeled,
        including this run.
      modified_seconds: when the content was written, in seconds since 1970; None if unknown.
      time_range: the range of the video to label.
      is_guess: whether the file was found in a folder by an extension that is ambiguous.
    """

    video_uri: str
    size_bytes: int | None = None
    content_version: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    attempt: int = 1
    modified_seconds: float | None = None
    time_range: TimeRange = WHOLE
    is_guess: bool = False

    @property
    def key(self) -> str:
        """The key of this input, see `time_range.input_key`."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)


@dataclasses.dataclass(frozen=True)
class MediaInfo:
    """The properties of a video that the demuxer reports without decoding.

    Attributes:
      container: the name of the demuxer ("mov,mp4,m4a,3gp,3g2,mj2").
      codec: the name of the decoder of the chosen video stream ("h264").
      stream_index: the index of that stream in the container.
      num_video_streams: the number of video streams in the container, without attached pictures.
      has_audio: whether the container has an audio stream.
      width, height: the size of the decoded pictures in pixels, before the container's cropping and rotation.
      rotation_degrees: the clockwise rotation that shows the picture upright: 0, 90, 180 or 270.
      pixel_aspect_ratio: the width of a pixel divided by its height (sample aspect ratio); 1 if unknown.
      source_fps: the average frame rate; None for a single frame.
      num_frames: the number of packets of the video stream that carry a frame.
      duration_seconds: from the presentation time of the first frame to the end of the last frame's display time.
      time_base: the seconds per tick, the unit of the stream's times.
      start_pts: the presentation time of the first frame, in ticks.
      key_frame_pts: the times of random access points in ticks: ascending, at least half a second apart. Empty if the
        codec does not support the fast path, or if the times of packets are not those of their frames.
      num_discontinuities: the number of bridged clock jumps and implausible times.
      clock_shifts: the bridges as (packet, ticks) pairs: from this packet on, numbered from 0 in file order, the ticks
        are added to the times of packets. All ticks above are on this continuous clock. Empty if packets lack times:
        then each reading derives their times again.
    """

    container: str
    codec: str
    stream_index: int
    num_video_streams: int
    has_audio: bool
    width: int
    height: int
    rotation_degrees: int
    pixel_aspect_ratio: Fraction
    source_fps: float | None
    num_frames: int
    duration_seconds: Fraction
    time_base: Fraction = Fraction(1)
    start_pts: int = 0
    key_frame_pts: tuple[int, ...] = ()
    num_discontinuities: int = 0
    clock_shifts: tuple[tuple[int, int], ...] = ()
