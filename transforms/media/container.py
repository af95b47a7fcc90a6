"""Opening a local file and choosing its video stream.

A file can neither name another one nor reach the network. FFmpeg gets bytes and no path; playlists, image
sequences and devices are not among the demuxers below; and what a demuxer wants to open beside the file
(external tracks of MOV, say) is refused.

FFmpeg writes nothing to stderr: PyAV's log callback is off, and it stays off because a callback into Python
takes the GIL inside decoder threads. What went wrong comes with FFmpeg's exceptions.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterator
from typing import NoReturn, TypeAlias

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from transforms import errors
from transforms.media import files, limits

av.logging.set_level(None)

# Demuxers that read one file of moving pictures, or of sound, which is told apart from what is no media at all.
_DEMUXERS = (
    "mov matroska avi asf flv live_flv kux mpeg mpegvideo mpegts mxf gxf lxf ogg rm nut nuv wtv dv gif apng ivf"
    " m4v h261 h263 h264 hevc vvc evc av1 obu avs2 avs3 cavsvideo dirac dnxhd vc1 vc1test mjpeg mjpeg_2000 ingenient"
    " yuv4mpegpipe smjpeg swf dhav ifv ipu iv8 ivr mtv pmp pva ty vivo xmv bink smk thp roq flic cine film_cpk"
    " jpegxl_anim moflex usm"
    " mp3 aac ac3 eac3 aiff ape caf flac wav w64 amr tta wv"
)

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
      UnsupportedCodecError, OverLimitError.
    """
    name = os.fspath(path)
    caps = limits.current()
    with contextlib.closing(files.open_file(name)) as file, contextlib.closing(_open_container(file)) as container:
        caps.check_streams(name, len(container.streams))
        stream = _choose_stream(name, container, stream_index)
        caps.check_picture(name, stream.width, stream.height)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        # The header's size is not the last word: packets carry their own. Decoders count their padding, too.
        stream.codec_context.options = {"max_pixels": str(2 * caps.max_pixels + (1 << 16))}
        stream.thread_count = 1
        stream.thread_type = "NONE"
        yield container, stream


def _open_container(file: files.LocalFile) -> InputContainer:
    try:
        return av.open(
            file,
            mode="r",
            # A title in an odd encoding is fine.
            metadata_errors="replace",
            io_open=_refuse_to_open,
            container_options={"format_whitelist": ",".join(_DEMUXERS.split()), "protocol_whitelist": "none"},
        )
    except MemoryError as error:
        raise errors.DecoderOutOfMemoryError(
            f"{file.name}: its headers ask for more memory than there is; the file is broken, or too large for"
            " --decoder_memory_bytes"
        ) from error
    except av.error.ArgumentError as error:
        raise errors.NotAVideoError(
            f"{file.name}: not a video but a picture, a playlist, text, or a format that is not supported"
        ) from error
    except av.error.FFmpegError as error:
        raise errors.NotAVideoError(
            f"{file.name}: not a video that FFmpeg can read ({words(error)}); it may be truncated"
        ) from error
    except OSError as error:  # from the file itself: FFmpeg's own are caught above
        raise errors.StorageError(f"{file.name}: cannot be read: {words(error)}") from error


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """Answers a demuxer that wants to open another file or an address."""
    raise PermissionError(errno.EACCES, "a video may not open other files", url)


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


def decoder_version() -> str:
    """Returns one line that changes with the decoder: a file that it cannot read, another version perhaps can.

    Patch levels count: a fixed decoder is what a failed video waits for.
    """
    return f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
