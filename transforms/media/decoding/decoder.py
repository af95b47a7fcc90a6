"""Decode clips from a file.

Two concerns are separate: which frames are wanted (`schedule.py`, `timeline.py`) and where frames come from. There are
two sources. The fast path decodes only what is needed (`fast_source.py`); the full decode decodes everything
(`full_source.py`). The fast path is used if it is proven for the stream. If a check fails on the way, the missing
clips of that decode range are decoded in full, from a key frame before them. Both sources give the same frames for
every file.

A frame is shown from its own pts until the next frame's pts. If the stream is damaged, a clip is lost rather than
filled with something else:
- A packet that the decoder rejects is skipped. A clip is lost if it wants the frame of that packet, a frame that may
  refer to it (up to the next key frame), or a frame that the decoder flags as damaged. All other clips continue.
- Frames before the first decodable frame (a recording that starts inside a GOP) are replaced by that frame, but only
  in clips that reach it. They do not count as real frames.
- The last frame is shown until the next packet's pts, and one packet without a picture is tolerated after it (VP8's
  hidden frames). Clips that want more are lost, because the stream is truncated.
A packet that yields neither a picture nor an error ("not coded") leaves the last picture in place.
"""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import av.error
import numpy as np
import numpy.typing as npt

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import files
from reelbeam.transforms.media.container.container import open_video
from reelbeam.transforms.media.decoding.assembly import Allocate, ClipAssembly, allocate
from reelbeam.transforms.media.decoding.fast_source import FastSource
from reelbeam.transforms.media.decoding.full_source import FullSource
from reelbeam.transforms.media.decoding.losses import KeyFrameWatch, Losses
from reelbeam.transforms.media.decoding.packet_plan import FastPathError
from reelbeam.transforms.media.decoding.packet_ranges import last_random_access_point, split_clips
from reelbeam.transforms.media.decoding.picture import Geometry, PictureConverter
from reelbeam.transforms.media.decoding.reader import OpenVideo, PacketReader
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.segments import KEY_FRAMES_BEFORE
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.media.timing.timeline import Timeline
from reelbeam.transforms.records import ClipSpan, MediaInfo

__all__ = ["DecodeStats", "Geometry", "decode_clips"]

_Clip = tuple[ClipSpan, npt.NDArray[np.uint8]]


def decode_clips(
    video: files.LocalVideo,
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    stats: DecodeStats | None = None,
    *,
    limits: DecoderLimits = DEFAULT_LIMITS,
    allocate: Allocate = allocate,
    open_video: OpenVideo = open_video,
) -> Iterator[_Clip]:
    """Yields each clip as soon as it is complete; holds only the frames of clips that are open at the same time.

    Args:
      video: a local file.
      media: the result of `probe`, with the stream and its random access points.
      spans: the wanted clips, with instants within the video's duration.
      geometry: the size of the pictures.
      stats: updated while decoding.
      limits: the limits of the video.
      allocate: allocates memory for a clip.
      open_video: opens the file, several times if necessary.

    Yields:
      (span, frames): the span has its final `num_real_frames`. frames is uint8 [T, H, W, 3] with the geometry's shape
      [H, W], RGB, C-contiguous, and owned by the caller.

    Raises:
      CorruptVideoError: after all complete clips, if any clip was lost. The lost clips are the spans that were not
        yielded.
      UnsupportedCodecError: instead, if all clips are lost and FFmpeg lacks a required feature.
      MediaError: as in `probe`, if the file changed since.
    """
    stats = DecodeStats() if stats is None else stats
    open_reader = functools.partial(PacketReader, video, media, limits, open_video=open_video)
    groups = collections.deque(split_clips(media, spans) if media.key_frame_pts else [list(spans)] if spans else [])
    losses = Losses(media.duration_seconds)
    while groups:
        if media.key_frame_pts:
            try:
                yield from _fast_clips(open_reader, media, groups, geometry, allocate, stats)
                break
            except FastPathError as error:
                stats.full_decodes += 1
                stats.reason = str(error)
        yield from _full_clips(open_reader, media, groups.popleft(), geometry, allocate, losses, stats)
    if losses.num_clips:
        is_unsupported = losses.is_unsupported and losses.num_clips == len(spans)
        kind = errors.UnsupportedCodecError if is_unsupported else errors.CorruptVideoError
        raise kind(losses.message(files.name_of(video), len(spans)))


def _fast_clips(
    open_reader: Callable[..., PacketReader],
    media: MediaInfo,
    groups: collections.deque[list[ClipSpan]],
    geometry: Geometry,
    allocate: Allocate,
    stats: DecodeStats,
) -> Iterator[_Clip]:
    """Removes complete clips and decode ranges from `groups`; after a failed check, the failed range is first."""
    with contextlib.closing(open_reader(is_strict=True)) as reader:
        converter = PictureConverter(geometry, media.pixel_aspect_ratio, reader.cropping)
        while groups:
            missing = groups[0]
            assembly = ClipAssembly(tuple(missing), media.start_pts, media.time_base, converter, stats, allocate)
            source = FastSource(reader, media, assembly.schedule.instants)
            for span, frames in assembly.clips(source):
                if span not in missing:
                    raise FastPathError("a clip begins before the first frame")
                missing.remove(span)
                yield span, frames
            if missing:
                raise FastPathError(source.cause or "a clip was lost")
            groups.popleft()


def _full_clips(
    open_reader: Callable[..., PacketReader],
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    allocate: Allocate,
    losses: Losses,
    stats: DecodeStats,
) -> Iterator[_Clip]:
    """Decodes everything from a key frame before the clips to their end; adds to `losses`."""
    with contextlib.closing(open_reader()) as reader:
        converter = PictureConverter(geometry, media.pixel_aspect_ratio, reader.cropping)
        timeline, key_pts = _read_times(reader, media, spans)
        assembly = ClipAssembly(spans, timeline.origin, timeline.time_base, converter, stats, allocate)
        watch = KeyFrameWatch() if key_pts is None else None
        packets = reader.packets_from(key_pts) if key_pts is not None else reader.packets()
        if watch is not None:
            packets = watch.through(packets)
        reader.decoder.reorder_depth = max(reader.decoder.reorder_depth, reader.rules.reorder_depth)
        source = FullSource(packets, reader.stream, timeline)
        yield from assembly.clips(source)
    if assembly.schedule.num_lost:
        losses.add(assembly, timeline, source, watch)


def _read_times(reader: PacketReader, media: MediaInfo, spans: Sequence[ClipSpan]) -> tuple[Timeline, int | None]:
    """Returns the times of the packets to decode in full, and the key frame to start at (None: the stream's start)."""
    first_pts = min(span.first_seconds for span in spans) // media.time_base
    last_pts = max(span.last_seconds for span in spans) // media.time_base
    # Decoders conceal damage with older frames, so these must be decoded, as in a decode from the start.
    key_pts = last_random_access_point(media, media.start_pts + first_pts, margin=KEY_FRAMES_BEFORE)
    if key_pts is not None and key_pts > media.start_pts:
        with contextlib.suppress(FastPathError, av.error.FFmpegError):
            timeline = timelines.read_timeline(
                reader.packets_from(key_pts),
                reader.container,
                reader.stream,
                media.start_pts,
                media.start_pts + last_pts,
            )
            if timeline is not None:
                return timeline, key_pts
    timeline = timelines.read_timeline(reader.packets(), reader.container, reader.stream)
    if timeline is None:
        raise errors.NoFramesError(f"{reader.name}: video stream {media.stream_index} has no frames any more")
    if timeline.is_doubtful and not media.clock_shifts:
        timeline = timelines.mend_timeline(timeline, reader.packets(), reader.container, reader.stream)
    return timeline, None
