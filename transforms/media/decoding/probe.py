"""Describe a file from its headers and the pts of its packets. Reads the file once and decodes one frame.

The decoded frame is needed for the rotation: FFmpeg 8 keeps a stream's display matrix where PyAV 18 does not expose
it. Only decoded frames carry it.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import boxes, encryption, files
from reelbeam.transforms.media.container import container as containers
from reelbeam.transforms.media.container.container import VideoPacket, decoder_version, library_versions
from reelbeam.transforms.media.container.error_text import error_text, remedy
from reelbeam.transforms.media.decoding.losses import NO_KEY_FRAME, KeyFrameWatch
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.media.timing.key_frames import KeyFrames
from reelbeam.transforms.media.timing.timeline import Timeline
from reelbeam.transforms.records import MediaInfo

__all__ = ["decoder_version", "library_versions", "probe"]

# The probe stops decoding after this many packets without a frame: the rotation is not worth more.
_MAX_PACKETS_TO_FIRST_FRAME = 64
_WIDEST_PIXEL = Fraction(16)


def probe(video: files.LocalVideo, limits: DecoderLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Describes a local video without decoding more than its first frame.

    Args:
      video: a local file.
      limits: the limits of the video.

    Raises:
      VideoNotFoundError, UnreadableVideoError: the file cannot be read.
      EmptyFileError, NotAVideoError, NoVideoStreamError, UnsupportedCodecError, EncryptedVideoError: the file cannot
        be labeled.
      NoFramesError: the stream has no packets.
      CorruptVideoError: reading failed before the first packet, or the stream has no picture size.
      OverLimitError: the video exceeds one of the limits.
    """
    name = files.name_of(video)
    with containers.open_video(video, limits) as (container, stream):
        _refuse_encrypted(video, container, stream)
        if isinstance(video, files.ReceivedFile) and video.left_out is not None:
            video.left_out.leave_out_frames(container, stream)
        peek, key_frames = _FirstFrame(stream), KeyFrames(stream)
        watch = KeyFrameWatch()
        packets = watch.through(key_frames.through(peek.through(_packets(name, container, stream, limits))))
        timeline = timelines.read_timeline(packets, container, stream)
        described = f"{name}: video stream {stream.index} ({stream.codec_context.codec.canonical_name})"
        if timeline is None:
            raise errors.NoFramesError(f"{described} has no frames; {_why_no_frames(video)}")
        if stream.width <= 0 or stream.height <= 0:
            raise errors.CorruptVideoError(
                f"{described} has no picture size: "
                + ("FFmpeg could decode none of it; check that the file plays" if watch.has_one else NO_KEY_FRAME)
            )
        if timeline.is_doubtful:
            timeline, key_frames = _mended(video, limits, stream.index, timeline, key_frames)
        limits.check_duration(name, timeline.duration_seconds, container.size)
        is_proven = not timeline.by_order and timeline.shifts is not None
        # Key frames past the end belong to frames that an edit list removes.
        key_frame_pts = tuple(pts for pts in key_frames.pts if is_proven and pts <= timeline.promised_end_pts)
        return _media_info(container, stream, timeline, peek.rotation_degrees, key_frame_pts)


def _refuse_encrypted(video: files.LocalVideo, container: InputContainer, stream: VideoStream) -> None:
    with contextlib.closing(files.open_file(video)) as file:
        scheme = encryption.encryption_of(file, container, stream)
    if scheme:
        raise errors.EncryptedVideoError(f"{files.name_of(video)}: {encryption.message(scheme)}")


def _why_no_frames(video: files.LocalVideo) -> str:
    with contextlib.closing(files.open_file(video)) as file:
        if boxes.read_boxes(file).is_initialization_segment:
            return "this is an initialization segment alone: join its media segments to it, and label the joined file"
    return "the recording may have been interrupted"


def _packets(name: str, container: InputContainer, stream: VideoStream, limits: DecoderLimits) -> Iterator[VideoPacket]:
    """Yields the packets; raises an error before the first packet, and leaves later errors to the timeline."""
    packets = timelines.frame_packets(container, stream, limits)
    try:
        first = next(packets, None)
    except av.error.FFmpegError as error:
        raise errors.CorruptVideoError(
            f"{name}: no frame could be read ({error_text(error)}); {remedy(error)}"
        ) from error
    for packet in itertools.chain([first] if first is not None else [], packets):
        if packet.has_sidedata("encryption_info"):
            raise errors.EncryptedVideoError(f"{name}: {encryption.message(encryption.COMMON_ENCRYPTION)}")
        yield packet


def _mended(
    video: files.LocalVideo, limits: DecoderLimits, stream_index: int, timeline: Timeline, key_frames: KeyFrames
) -> tuple[Timeline, KeyFrames]:
    """Reads the file a second time for times on one steady clock, and a third time for key frames on that clock."""
    with containers.open_video(video, limits, stream_index) as (container, stream):
        packets = timelines.frame_packets(container, stream, limits)
        timeline = timelines.mend_timeline(timeline, packets, container, stream)
    if timeline.shifts:
        with (
            containers.open_video(video, limits, stream_index) as (container, stream),
            contextlib.suppress(av.error.FFmpegError),
        ):
            key_frames = KeyFrames(stream)
            packets = timelines.frame_packets(container, stream, limits, timeline.shifts)
            collections.deque(key_frames.through(packets), maxlen=0)
    return timeline, key_frames


def _media_info(
    container: InputContainer,
    stream: VideoStream,
    timeline: Timeline,
    rotation_degrees: int,
    key_frame_pts: tuple[int, ...],
) -> MediaInfo:
    shown_ticks = timeline.frame_pts[-1] - timeline.origin
    return MediaInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        stream_index=stream.index,
        num_video_streams=len(containers.moving_picture_streams(container)),
        has_audio=bool(container.streams.audio),
        width=stream.width,
        height=stream.height,
        rotation_degrees=rotation_degrees,
        pixel_aspect_ratio=_pixel_aspect_ratio(stream),
        source_fps=float((len(timeline.frame_pts) - 1) / (shown_ticks * timeline.time_base)) if shown_ticks else None,
        num_frames=len(timeline.frame_pts),
        duration_seconds=timeline.duration_seconds,
        time_base=timeline.time_base,
        start_pts=timeline.origin,
        key_frame_pts=key_frame_pts,
        num_discontinuities=timeline.num_discontinuities,
        clock_shifts=timeline.shifts or (),
    )


class _FirstFrame:
    """Observes packets and decodes them until there is one frame."""

    def __init__(self, stream: VideoStream) -> None:
        self.rotation_degrees = 0
        self._stream = stream
        self._packets_left = _MAX_PACKETS_TO_FIRST_FRAME

    def through(self, packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
        """Yields the packets unchanged."""
        for packet in packets:
            self._try(packet)
            yield packet
        self._try(None)

    def _try(self, packet: VideoPacket | None) -> None:
        if self._packets_left == 0:
            return
        self._packets_left -= 1
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            return  # the decoder reports this error later, with the clips that are lost
        if frames:
            # FFmpeg's angles are counterclockwise, in (-180, 180].
            self.rotation_degrees = -round(frames[0].rotation / 90) * 90 % 360
            self._packets_left = 0


def _pixel_aspect_ratio(stream: VideoStream) -> Fraction:
    """Returns the stream's pixel aspect ratio; an implausible one counts as square."""
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    return ratio if 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL else Fraction(1)
