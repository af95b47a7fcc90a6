"""Choose the main video stream of a file.

A file may have other video streams: cover art, thumbnails, the transparency or depth of the main picture, layers that
cannot be decoded alone, a still picture next to an animation. FFmpeg's best stream is used if it is none of these.
"""

from __future__ import annotations

from collections.abc import Sequence

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import boxes
from reelbeam.transforms.media.container.files import LocalFile

_SIDE_PICTURES = Disposition.dependent | Disposition.still_image | Disposition.timed_thumbnails
# Reference types of tracks that belong to another track: auxiliary pictures (alpha), thumbnails, depth, and layers on
# top of another track.
_SIDE_REFERENCES = frozenset({"auxl", "thmb", "vdep", "sbas", "scal"})


def choose_stream(name: str, container: InputContainer, file: LocalFile) -> VideoStream:
    """Returns the main video stream of a file.

    Args:
      name: the file's name, for the message.
      container: the file, opened by FFmpeg.
      file: the same file, with its own position.

    Raises:
      NoVideoStreamError: the file has no video stream.
      NotAVideoError: the file holds only the tiles of a still picture.
    """
    moving = moving_picture_streams(container)
    if not moving:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
        raise errors.NoVideoStreamError(
            f"{name}: no video stream (streams: {kinds}; cover art does not count); leave the file out"
        )
    if all(stream.disposition & Disposition.dependent for stream in moving):
        raise errors.NotAVideoError(f"{name}: not a video but a still picture made of tiles; leave the file out")
    if len(moving) == 1:
        return moving[0]
    main = _main_pictures(moving, container, file)
    best = container.streams.best("video")
    # FFmpeg may choose cover art if it decoded no frame of the main stream while opening the file.
    chosen = [stream for stream in main if best is not None and stream.index == best.index]
    return chosen[0] if chosen else max(main, key=_rank)


def moving_picture_streams(container: InputContainer) -> list[VideoStream]:
    """Returns the video streams that are not attached pictures."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _main_pictures(moving: list[VideoStream], container: InputContainer, file: LocalFile) -> list[VideoStream]:
    """Returns the streams that are not side pictures; ignores a rule that would leave no stream."""
    side_tracks = _side_tracks(file) if "mp4" in container.format.name.split(",") else frozenset()
    main = _those(moving, [not _is_item(s) for s in moving])
    main = _those(main, [_is_item(s) or s.id not in side_tracks for s in main])
    return _those(main, [not s.disposition & _SIDE_PICTURES for s in main])


def _those(streams: list[VideoStream], are_wanted: Sequence[bool]) -> list[VideoStream]:
    return [s for s, is_wanted in zip(streams, are_wanted, strict=True) if is_wanted] or streams


def _is_item(stream: VideoStream) -> bool:
    """Whether this is an image item (AVIF, HEIF) and not a track. Items have a numbering of their own."""
    return stream.frames == 1 and stream.duration is None


def _side_tracks(file: LocalFile) -> frozenset[int]:
    tracks = boxes.read_boxes(file, beyond_index=False).tracks
    return frozenset(t.track_id for t in tracks if t.handler == "auxv" or t.references & _SIDE_REFERENCES)


def _rank(stream: VideoStream) -> tuple[bool, int, int, int]:
    """Returns the sort key, most important part first; the first stream wins a tie."""
    codec = stream.codec_context
    pixels = codec.width * codec.height if codec is not None else 0
    return bool(stream.disposition & Disposition.default), min(stream.frames, 2), pixels, -stream.index
