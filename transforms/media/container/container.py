"""Open a local file and choose its video stream.

A file can neither name another file nor reach the network. FFmpeg gets bytes and no path. The demuxers below include
no playlists, image sequences or devices. A demuxer may not open a second file, for example an external MOV track.

FFmpeg writes nothing to stderr. PyAV's log callback is off and stays off, because a callback into Python takes the
GIL inside decoder threads. FFmpeg's exceptions carry the error.
"""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeAlias

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import boxes, description, ebml, encryption, files
from reelbeam.transforms.media.container.error_text import CONVERT, error_text, remedy
from reelbeam.transforms.media.container.stream_choice import choose_stream, moving_picture_streams
from reelbeam.transforms.media.limits import DecoderLimits

__all__ = [
    "DEMUXERS",
    "decoder_version",
    "library_versions",
    "moving_picture_streams",
    "open_container",
    "open_video",
    "refuse_to_open",
]

av.logging.set_level(None)

# Demuxers that read one file of video, or of audio: an audio file gets its own error, not "not a video".
DEMUXERS = (
    "mov matroska avi asf flv live_flv kux mpeg mpegvideo mpegts mxf gxf lxf ogg rm nut nuv wtv dv gif apng ivf"
    " m4v h261 h263 h264 hevc vvc evc av1 obu avs2 avs3 cavsvideo dirac dnxhd vc1 vc1test mjpeg mjpeg_2000 ingenient"
    " yuv4mpegpipe smjpeg swf dhav ifv ipu iv8 ivr mtv pmp pva ty vivo xmv bink smk thp roq flic cine film_cpk"
    " jpegxl_anim moflex usm"
    " mp3 aac ac3 eac3 aiff ape caf flac wav w64 amr tta wv"
)

VideoPacket: TypeAlias = "Packet[VideoStream]"


def refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """Rejects a demuxer's attempt to open another file or a URL."""
    raise PermissionError(errno.EACCES, "a video may not open other files", url)


@contextlib.contextmanager
def open_video(
    video: files.LocalVideo, limits: DecoderLimits, stream_index: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a local file for reading one video stream and closes it at the end of the block.

    Args:
      video: a local file. A path is never interpreted as a URL.
      limits: the limits of the container and of its pictures.
      stream_index: the stream; None chooses the main video stream, see `stream_choice.py`.

    Yields:
      The container and its stream. The demuxer discards the packets of all other streams. The decoder uses one
      thread: a pipeline runs one decoder per core, and with one thread an error belongs to the packet just sent.

    Raises:
      VideoNotFoundError, UnreadableVideoError, EmptyFileError, NotAVideoError, NoVideoStreamError,
      EncryptedVideoError, UnsupportedCodecError, OverLimitError.
    """
    name = files.name_of(video)
    with contextlib.closing(files.open_file(video)) as file, contextlib.closing(open_container(file)) as container:
        limits.check_streams(name, len(container.streams))
        with contextlib.closing(files.open_file(video)) as header:  # the demuxer relies on the first file's position
            stream = _planned_stream(name, container, stream_index) or choose_stream(name, container, header)
            if stream.codec_context is None:
                _refuse_codec(name, container, stream, header)
        limits.check_picture(name, stream.width, stream.height)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        # Packets can carry a size that differs from the header's. Decoders include padding in max_pixels.
        stream.codec_context.options = {"max_pixels": str(2 * limits.max_pixels + (1 << 16))}
        stream.thread_count = 1
        stream.thread_type = "NONE"
        yield container, stream


def open_container(
    file: files.LocalFile,
    demuxers: str = DEMUXERS,
    open_another: Callable[[str, int, dict[str, str]], object] = refuse_to_open,
) -> InputContainer:
    """Opens a file of one of these demuxers.

    Args:
      file: a local file.
      demuxers: FFmpeg's names, with spaces between them.
      open_another: is called if a demuxer wants to open another file or a URL.

    Raises:
      DecoderOutOfMemoryError, UnreadableVideoError, NotAVideoError, EncryptedVideoError.
    """
    try:
        return av.open(
            file,
            mode="r",
            # Accept metadata with an invalid encoding.
            metadata_errors="replace",
            io_open=open_another,
            container_options={"format_whitelist": ",".join(demuxers.split()), "protocol_whitelist": "none"},
        )
    except MemoryError as error:
        raise errors.DecoderOutOfMemoryError(
            f"{file.name}: its headers ask for more memory than there is; the file is broken, or too large for"
            " --decoder_memory_bytes"
        ) from error
    except av.error.FFmpegError as error:
        _refuse_file(file, error)
    except OSError as error:  # an error of the file itself; FFmpeg's errors are caught above
        raise errors.UnreadableVideoError(f"{file.name}: cannot be read: {error_text(error)}") from error


def _refuse_file(file: files.LocalFile, error: av.error.FFmpegError) -> NoReturn:
    """Raises the error that describes why FFmpeg cannot open a file."""
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
        f"{file.name}: not a video that FFmpeg can read ({error_text(error)}); {remedy(error)}"
    ) from error


def _planned_stream(name: str, container: InputContainer, stream_index: int | None) -> VideoStream | None:
    """Returns the stream with this index; None if no index is given."""
    if stream_index is None:
        return None
    for stream in moving_picture_streams(container):
        if stream.index == stream_index:
            return stream
    raise errors.CorruptVideoError(
        f"{name}: stream {stream_index} is not a video stream; the file changed since it was planned"
    )


def _refuse_codec(name: str, container: InputContainer, stream: VideoStream, header: files.LocalFile) -> NoReturn:
    """Raises the error that describes why a stream has no decoder."""
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
    """Returns the versions of PyAV and its FFmpeg libraries, for the run document."""
    parts = {name: ".".join(str(n) for n in version) for name, version in sorted(av.library_versions.items())}
    return {"av": av.__version__, "ffmpeg": av.ffmpeg_version_info, **parts}


def decoder_version() -> str:
    """Returns the decoder's version as one line.

    The line includes patch levels: a new version may decode a file that the old one could not.
    """
    return f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
