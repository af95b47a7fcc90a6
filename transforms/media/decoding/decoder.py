"""Clips out of a file.

Two things are kept apart: which frames are wanted (`schedule.py`, `timeline.py`) and where frames come from. There are
two sources: one that decodes only what is needed (`fast_source.py`) and one that decodes everything
(`full_source.py`). The fast one is taken where it is proven; where its proof fails, the clips of that stretch that are
not out yet are decoded again in full, from a key frame before them, so that both give the same frames of every file.

A frame is shown from its own pts until the next frame's. Where the stream is damaged, a clip is given up
rather than filled with something else:
- A packet that the decoder rejects is skipped. Clips that want its frame, or one that may refer to it (up to
  the next key frame), or one that the decoder itself flags as damaged, are lost; all others go on.
- Frames before the first one that can be decoded (a recording cut in the middle of a GOP) are replaced by
  that one, but only in clips that reach it. They do not count as real frames.
- The last frame stands until the next packet's time, and one packet without a picture is tolerated after it
  (VP8's hidden frames). Clips that want more are lost: the stream broke off.
Packets that yield no picture and no error ("not coded": nothing changed) leave the last picture in place.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence

import av.error
import numpy as np
import numpy.typing as npt

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.assembly import Allocate, ClipAssembly, allocate
from reelbeam.transforms.media.decoding.fast_source import FastSource
from reelbeam.transforms.media.decoding.full_source import FullSource
from reelbeam.transforms.media.decoding.losses import KeyFrameWatch, Losses
from reelbeam.transforms.media.decoding.packet_plan import ShortcutError
from reelbeam.transforms.media.decoding.picture import Geometry, PictureConverter
from reelbeam.transforms.media.decoding.reader import PacketReader
from reelbeam.transforms.media.decoding.stretches import last_entry_before, split_clips
from reelbeam.transforms.media.sampling.segments import KEY_FRAMES_BEFORE
from reelbeam.transforms.media.timing import timeline as timelines
from reelbeam.transforms.media.timing.timeline import Timeline
from reelbeam.transforms.records import ClipSpan, MediaInfo

__all__ = ["DecodeStats", "Geometry", "decode_clips"]

_Clip = tuple[ClipSpan, npt.NDArray[np.uint8]]


@dataclasses.dataclass
class DecodeStats:
    """What `decode_clips` had to do.

    Attributes:
      full_decodes: stretches for which the proof of the fast way failed, so that what was still missing of them was
        decoded in full. Streams for which there is no proof to begin with don't count.
      reason: why, the last time.
    """

    full_decodes: int = 0
    reason: str = ""


def decode_clips(
    path: str | os.PathLike[str],
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    stats: DecodeStats | None = None,
    allocate: Allocate = allocate,
) -> Iterator[_Clip]:
    """Yields each clip as soon as it is whole; holds the frames of clips that are open at one time, no more.

    Args:
      path: a local file.
      media: what `probe` said of it; names the stream, and the key frames that decoding can start at.
      spans: the wanted clips, instants within the video's duration.
      geometry: size of the pictures.
      stats: told what had to be done.
      allocate: gives memory for a clip.

    Yields:
      (span, frames): the span has the true `num_real_frames`; frames is uint8 [T, size, size, 3], RGB, C-contiguous,
      and the caller's own.

    Raises:
      CorruptVideoError: after all whole clips, if any clip was lost. Lost are the spans that were not
        yielded.
      UnsupportedCodecError: instead, if all are lost and FFmpeg lacks what the stream needs.
      MediaError: as in `probe`, if the file changed since.
    """
    stretches = collections.deque(
        split_clips(media, spans) if media.key_frame_ticks else [list(spans)] if spans else []
    )
    losses = Losses(media.duration_seconds)
    while stretches:
        if media.key_frame_ticks:
            try:
                yield from _fast_clips(path, media, stretches, geometry, allocate)
                break
            except ShortcutError as error:
                if stats is not None:
                    stats.full_decodes += 1
                    stats.reason = str(error)
        yield from _full_clips(path, media, stretches.popleft(), geometry, allocate, losses)
    if losses.num_clips:
        is_unsupported = losses.is_unsupported and losses.num_clips == len(spans)
        kind = errors.UnsupportedCodecError if is_unsupported else errors.CorruptVideoError
        raise kind(losses.message(os.fspath(path), len(spans)))


def _fast_clips(
    path: str | os.PathLike[str],
    media: MediaInfo,
    stretches: collections.deque[list[ClipSpan]],
    geometry: Geometry,
    allocate: Allocate,
) -> Iterator[_Clip]:
    """Takes clips and stretches out of `stretches` as they are whole: where the proof fails, that one is the first."""
    with contextlib.closing(PacketReader(path, media, is_strict=True)) as reader:
        converter = PictureConverter(geometry, media.pixel_aspect_ratio, reader.cropping)
        while stretches:
            missing = stretches[0]
            assembly = ClipAssembly(tuple(missing), media.start_tick, media.time_base, converter, allocate)
            source = FastSource(reader, media, assembly.schedule.ticks)
            for span, frames in assembly.clips(source):
                if span not in missing:
                    raise ShortcutError("a clip begins before the first frame")
                missing.remove(span)
                yield span, frames
            if missing:
                raise ShortcutError(source.cause or "a clip was lost")
            stretches.popleft()


def _full_clips(
    path: str | os.PathLike[str],
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    allocate: Allocate,
    losses: Losses,
) -> Iterator[_Clip]:
    """Decodes everything from a key frame before the clips to their end; adds to the losses."""
    with contextlib.closing(PacketReader(path, media)) as reader:
        converter = PictureConverter(geometry, media.pixel_aspect_ratio, reader.cropping)
        timeline, entry_tick = _read_times(path, reader, media, spans)
        assembly = ClipAssembly(spans, timeline.origin, timeline.time_base, converter, allocate)
        watch = KeyFrameWatch() if entry_tick is None else None
        packets = reader.packets_from(entry_tick) if entry_tick is not None else reader.packets()
        if watch is not None:
            packets = watch.through(packets)
        reader.decoder.reorder_depth = max(reader.decoder.reorder_depth, reader.rules.reorder_depth)
        source = FullSource(packets, reader.stream, timeline)
        yield from assembly.clips(source)
    if assembly.schedule.num_lost:
        losses.add(assembly, timeline, source, watch)


def _read_times(
    path: str | os.PathLike[str], reader: PacketReader, media: MediaInfo, spans: Sequence[ClipSpan]
) -> tuple[Timeline, int | None]:
    """Returns the times of the packets to decode in full, and the key frame to start at; None: the stream's start."""
    first_tick = min(span.first_seconds for span in spans) // media.time_base
    last_tick = max(span.last_seconds for span in spans) // media.time_base
    # What is damaged is concealed with older frames: those have to be there, as when all is decoded.
    entry_tick = last_entry_before(media, media.start_tick + first_tick, margin=KEY_FRAMES_BEFORE)
    if entry_tick is not None and entry_tick > media.start_tick:
        with contextlib.suppress(ShortcutError, av.error.FFmpegError):
            timeline = timelines.read_timeline(
                reader.packets_from(entry_tick),
                reader.container,
                reader.stream,
                media.start_tick,
                media.start_tick + last_tick,
            )
            if timeline is not None:
                return timeline, entry_tick
    timeline = timelines.read_timeline(reader.packets(), reader.container, reader.stream)
    if timeline is None:
        raise errors.NoFramesError(f"{os.fspath(path)}: video stream {media.stream_index} has no frames any more")
    if timeline.is_doubtful and not media.clock_shifts:
        timeline = timelines.mend_timeline(timeline, reader.packets(), reader.container, reader.stream)
    return timeline, None
