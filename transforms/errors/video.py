"""Errors of one video: each becomes a row."""

from __future__ import annotations

from reelbeam.transforms.errors.base import ReelbeamError


class MediaError(ReelbeamError):
    """Any other fault of one video.

    The step that meets it catches it and turns it into a row.
    """

    code = "media_error"


class InvalidInputError(MediaError):
    """An element of another pipeline names no video, or its range is not one."""

    code = "invalid_input"


class VideoNotFoundError(MediaError):
    """Nothing is at the URI, or it disappeared after it was listed."""

    code = "not_found"


class VideoChangedError(MediaError):
    """The file or object was written again after it was listed, or had no version that could be compared."""

    code = "video_changed"
    transient = True


class UnreadableVideoError(MediaError):
    """The store refused the request, or the connection failed six times: permissions, network, time-out."""

    code = "storage_error"
    transient = True


class UnsupportedVideoUriError(MediaError):
    """There is no file system for the URI's scheme, or its client is not installed."""

    code = "unsupported_uri"


class EmptyFileError(MediaError):
    """The file has no bytes."""

    code = "empty_file"


class FileTooLargeError(MediaError):
    """The file is larger than `--max_video_bytes`, or is in an object store and larger than `--spool_bytes`."""

    code = "file_too_large"


class NotAVideoError(MediaError):
    """FFmpeg cannot read the file: text, a picture, noise, an MP4 truncated before its index, a media segment alone."""

    code = "not_a_video"


class NoVideoStreamError(MediaError):
    """The file has only sound, subtitles or cover art."""

    code = "no_video_stream"


class UnsupportedCodecError(MediaError):
    """This build of FFmpeg has no decoder for the codec."""

    code = "unsupported_codec"


class EncryptedVideoError(MediaError):
    """The video is encrypted: Common Encryption, FairPlay, Matroska, scrambled MPEG-TS, Windows Media DRM."""

    code = "encrypted_video"


class NoFramesError(MediaError):
    """The video stream has no frame: an interrupted recording, or an initialization segment alone."""

    code = "no_frames"


class CorruptVideoError(MediaError):
    """The stream is damaged where clips need it; whole clips are kept (`partial`)."""

    code = "corrupt_video"


class OverLimitError(MediaError):
    """The file exceeds a limit: pixels, duration, streams, packets or clips.

    The duration also counts as too long where it is absurd for the file's size.
    """

    code = "over_limit"


class RangeOutsideVideoError(MediaError):
    """The range that the list asks for begins or ends after the video does."""

    code = "range_outside_video"


class DecoderFailedError(MediaError):
    """Any other failure of the decoder process. It was killed; the next file gets a new one."""

    code = "decoder_failed"


class DecoderCrashedError(DecoderFailedError):
    """The decoder process ended: a fault in native code, or it was killed; whole clips are kept."""

    code = "decoder_crashed"


class DecoderTimeoutError(DecoderFailedError):
    """The decoder took longer than the deadline: the file, or a busy machine; whole clips are kept."""

    code = "decoder_timeout"
    transient = True


class DecoderOutOfMemoryError(DecoderFailedError):
    """Decoding takes more memory than `--decoder_memory_bytes`."""

    code = "decoder_out_of_memory"


class DecoderProtocolError(DecoderFailedError):
    """The decoder process sent an invalid message: the file may have taken it over."""

    code = "decoder_protocol_error"
