"""What is known of a video before it is decoded."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from reelbeam.transforms.records.time_range import WHOLE, TimeRange, input_key


@dataclasses.dataclass(frozen=True)
class VideoRef:
    """One input of the run, as listed: where a video is, which version of its content, and which range of it.

    Attributes:
      video_uri: absolute path or object-store URI; with the range, the row key of everything that comes out.
      size_bytes: size of the object; None where the listing could not tell (the object is missing, say).
      content_version: what the store knows of the content's age ("mtime:1700000000.0"); "" where unknown.
      metadata: further columns of the input list, as (column, value) pairs, sorted by column.
      attempt: how many runs have tried this content in the same way since it was last labeled, this one included.
      modified_seconds: when the content was written, in seconds since 1970; None where the store doesn't tell.
      time_range: the stretch of the video that is to be labeled.
      is_guess: whether it was found in a folder by an extension that other files have, too.
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
        """What tells this input from any other."""
        return input_key(self.video_uri, self.time_range.start_ms, self.time_range.end_ms)


@dataclasses.dataclass(frozen=True)
class MediaInfo:
    """What the demuxer tells of a video without decoding anything.

    Attributes:
      container: demuxer name ("mov,mp4,m4a,3gp,3g2,mj2").
      codec: decoder name of the chosen video stream ("h264").
      stream_index: index of that stream in the container.
      num_video_streams: video streams in the container, attached pictures not counted.
      has_audio: whether an audio stream is there.
      width, height: size of the decoded pictures in pixels, before the container's cropping and rotation.
      rotation_degrees: clockwise turn that shows the picture upright: 0, 90, 180 or 270.
      pixel_aspect_ratio: width of a pixel divided by its height (sample aspect ratio); 1 where unknown.
      source_fps: average frames a second; None where there is a single frame.
      num_frames: packets of the video stream that carry a frame.
      duration_seconds: from the first frame's presentation time to the end of the last frame's display time.
      time_base: seconds a tick: the unit of the stream's own times.
      start_pts: the first frame's presentation time on the stream's own clock.
      key_frame_pts: times of key frames, on that clock, at which decoding can start as if it were the beginning:
        ascending, half a second apart or more. Empty where that isn't proven for the codec, or where the packets'
        times are not those of their frames.
      num_discontinuities: jumps of the stream's clock, and wild times, that were bridged.
      clock_shifts: how they were bridged, as (packet, ticks) pairs: from that packet on, in file order from 0, so many
        ticks are added to the times of packets. All ticks above are on that steady clock. Empty where packets lack
        times: then their times are found anew in each reading.
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
