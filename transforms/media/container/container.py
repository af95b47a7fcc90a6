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
from av.stream import Discard
from av.video.stream import VideoStream

from reelbeam.transforms import errors
from reelbeam.transforms.media import limits
from reelbeam.transforms.media.container import boxes, description, ebml, encryption, files
from reelbeam.transforms.media.container.error_text import CONVERT, remedy, words
from reelbeam.transforms.media.container.stream_choice import choose_stream, moving_picture_streams

__all__ = ["decoder_version", "library_versions", "moving_picture_streams", "open_video", "words"]

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
      stream_index: the stream; None: the main moving picture, see `stream_choice.py`.

    Yields:
      The container and its stream. The demuxer discards the packets of all other streams. The decoder uses
      one thread: pipelines run one decoder per core, and its errors then belong to the packet just sent.

    Raises:
      VideoNotFoundError, StorageError, EmptyFileError, NotAVideoError, NoVideoStreamError,
      EncryptedVideoError, UnsupportedCodecError, OverLimitError.
    """
    name = os.fspath(path)
    caps = limits.current()
    with contextlib.closing(files.open_file(name)) as file, contextlib.closing(_open_container(file)) as container:
        caps.check_streams(name, len(container.streams))
        with contextlib.closing(files.open_file(name)) as header:  # the demuxer needs the other one's position
            stream = _planned_stream(name, container, stream_index) or choose_stream(name, container, header)
            if stream.codec_context is None:
                _refuse_codec(name, container, stream, header)
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
    except av.error.FFmpegError as error:
        _refuse_file(file, error)
    except OSError as error:  # from the file itself: FFmpeg's own are caught above
        raise errors.StorageError(f"{file.name}: cannot be read: {words(error)}") from error


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """Answers a demuxer that wants to open another file or an address."""
    raise PermissionError(errno.EACCES, "a video may not open other files", url)


def _refuse_file(file: files.LocalFile, error: av.error.FFmpegError) -> NoReturn:
    """Says what is wrong with a file that FFmpeg cannot open."""
    found = boxes.read_boxes(file)
    if scheme := encryption.encryption_of_boxes(found):
        raise errors.EncryptedVideoError(f"{file.name}: {encryption.message(scheme)}") from error
    if found.is_media_segment or ebml.is_media_segment(file):
        raise errors.NotAVideoError(
            f"{file.name}: a media segment without its initialization segment; join them, the initialization segment"
            " first, and label the joined file"
        ) from error
    if isinstance(error, av.error.ArgumentError):
        raise errors.NotAVideoError(
            f"{file.name}: not a video but a picture, a playlist, text, or a format that is not supported"
        ) from error
    raise errors.NotAVideoError(
        f"{file.name}: not a video that FFmpeg can read ({words(error)}); {remedy(error)}"
    ) from error


def _planned_stream(name: str, container: InputContainer, stream_index: int | None) -> VideoStream | None:
    """Returns the stream of that number; None for none."""
    if stream_index is None:
        return None
    for stream in moving_picture_streams(container):
        if stream.index == stream_index:
            return stream
    raise errors.CorruptVideoError(
        f"{name}: stream {stream_index} is no video stream; the file changed since it was planned"
    )


def _refuse_codec(name: str, container: InputContainer, stream: VideoStream, header: files.LocalFile) -> NoReturn:
    """Says why a stream has no decoder."""
    if scheme := encryption.encryption_of(header, container, stream):
        raise errors.EncryptedVideoError(f"{name}: {encryption.message(scheme)}")
    codec = description.codec_of(container, stream.index)
    if codec is None:
        raise errors.CorruptVideoError(
            f"{name}: the header does not say which codec video stream {stream.index} has; the file may be truncated:"
            " check that it plays"
        )
    raise errors.UnsupportedCodecError(
        f"{name}: FFmpeg {av.ffmpeg_version_info} has no decoder for video stream {stream.index} ({codec}); {CONVERT}"
    )


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
