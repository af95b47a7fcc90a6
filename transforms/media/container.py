"""Opening a local file and choosing its video stream.

FFmpeg writes nothing to stderr: PyAV's log callback is off, and it stays off because a callback into Python
takes the GIL inside decoder threads. What went wrong comes with FFmpeg's exceptions.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import TypeAlias

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from transforms import errors

av.logging.set_level(None)

VideoPacket: TypeAlias = "Packet[VideoStream]"


@contextlib.contextmanager
def open_video(
    path: str | os.PathLike[str], stream_index: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a local file for reading one video stream; it is closed at the end of the block.

    Args:
      path: a local file; never taken for a URL.
      stream_index: the stream; None: FFmpeg's best one, attached pictures (cover art) left out.

    Yields:
      The container and its stream. The demuxer discards the packets of all other streams. The decoder uses
      one thread: pipelines run one decoder per core, and its errors then belong to the packet just sent.

    Raises:
      VideoNotFoundError, StorageError, EmptyFileError, NotAVideoError, NoVideoStreamError,
      UnsupportedCodecError.
    """
    name = os.fspath(path)
    container = _open_container(name)
    try:
        stream = _choose_stream(name, container, stream_index)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.thread_count = 1
        stream.thread_type = "NONE"
        yield container, stream
    finally:
        container.close()


def _open_container(name: str) -> InputContainer:
    try:
        size = os.stat(name).st_size
    except FileNotFoundError as error:
        raise errors.VideoNotFoundError(f"{name}: no such file") from error
    except OSError as error:
        raise errors.StorageError(f"{name}: cannot be read: {error.strerror}") from error
    if size == 0:
        raise errors.EmptyFileError(f"{name}: the file is empty (0 bytes); upload it again")
    try:
        # "file:" keeps a colon in a name from being read as a protocol. A title in an odd encoding is fine.
        container = av.open(
            f"file:{name}",
            mode="r",
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file"},
        )
    except OSError as error:
        raise errors.StorageError(f"{name}: cannot be read: {words(error)}") from error
    except av.error.FFmpegError as error:
        raise errors.NotAVideoError(
            f"{name}: not a video that FFmpeg can read ({words(error)}); it may be truncated"
        ) from error
    if _is_still_or_text(container.format.name):
        demuxer = container.format.name
        container.close()
        raise errors.NotAVideoError(f"{name}: not a video but a picture or text (FFmpeg's demuxer: {demuxer})")
    return container


def _is_still_or_text(demuxer: str) -> bool:
    """FFmpeg opens pictures as one-frame videos, and renders text files as an ANSI terminal would."""
    return demuxer in ("image2", "tty", "bin", "xbin", "idf") or demuxer.endswith("_pipe")


def _choose_stream(name: str, container: InputContainer, stream_index: int | None) -> VideoStream:
    moving = moving_picture_streams(container)
    if stream_index is not None:
        chosen = [stream for stream in moving if stream.index == stream_index]
        if not chosen:
            raise errors.CorruptVideoError(
                f"{name}: stream {stream_index} is no video stream; the file changed since it was planned"
            )
    elif not moving:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
        raise errors.NoVideoStreamError(
            f"{name}: no video stream (streams: {kinds}; cover art does not count); leave the file out"
        )
    else:
        best = container.streams.best("video")
        # FFmpeg may choose cover art where it decoded nothing of the film itself while opening.
        chosen = [s for s in moving if best is not None and s.index == best.index] or moving
    if chosen[0].codec_context is None:
        raise errors.UnsupportedCodecError(
            f"{name}: FFmpeg {av.ffmpeg_version_info} has no decoder for video stream {chosen[0].index};"
            " convert the video to H.264, say"
        )
    return chosen[0]


def moving_picture_streams(container: InputContainer) -> list[VideoStream]:
    """Returns the video streams that are not attached pictures."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def words(error: Exception) -> str:
    """Returns FFmpeg's own words for an error, without the path that PyAV appends."""
    return str(getattr(error, "strerror", None) or error)


@functools.cache
def library_versions() -> dict[str, str]:
    """Returns the versions of PyAV and of the FFmpeg libraries in it, for the run's summary."""
    parts = {name: ".".join(str(n) for n in version) for name, version in sorted(av.library_versions.items())}
    return {"av": av.__version__, "ffmpeg": av.ffmpeg_version_info, **parts}
