"""Texts for FFmpeg's errors. Some of FFmpeg's own texts are those of system calls and would mislead here."""

from __future__ import annotations

import errno

import av
import av.error

UNSUPPORTED_FEATURE = f"FFmpeg {av.ffmpeg_version_info} does not support a feature of it"
CONVERT = "convert the video, for example to H.264"
# A damaged file can look like one with an unsupported feature.
CONVERT_IF_SOUND = "if other programs play it, convert it, for example to H.264"

_WITHOUT_REASON = "FFmpeg gave up without a reason"
_TEXTS: dict[type[Exception], str] = {
    av.error.EOFError: "the data ends too early",
    av.error.PatchWelcomeError: UNSUPPORTED_FEATURE,
    av.error.BugError: "an internal error of FFmpeg",
    av.error.ExternalError: "the decoder's library rejected it",
    av.error.UnknownError: _WITHOUT_REASON,
    av.error.UndefinedError: _WITHOUT_REASON,
    av.error.ExperimentalError: UNSUPPORTED_FEATURE,
    av.error.BufferTooSmallError: "a part of it is larger than FFmpeg allows",
}
_NUMBERS = {
    errno.EINVAL: "a value in it is invalid",
    errno.ENOMEM: "FFmpeg found no memory for it",
    errno.ENOSYS: UNSUPPORTED_FEATURE,
    errno.ENOTSUP: UNSUPPORTED_FEATURE,
    errno.EPERM: _WITHOUT_REASON,  # -1, which old demuxers and decoders return for any failure
    errno.EIO: "the data ends too early",  # errors of reading the file are handled in `container.py`
    errno.EAGAIN: "a packet is missing",
    errno.ENOENT: "a part of it is missing",
    errno.ERANGE: "a number in it is out of range",
    errno.EOVERFLOW: "a number in it is out of range",
}


def error_text(error: Exception) -> str:
    """Returns the text for an FFmpeg error, or FFmpeg's own text without the path that PyAV appends."""
    if isinstance(error, av.error.FFmpegError):
        for kind, text in _TEXTS.items():
            if isinstance(error, kind):
                return text
        if error.errno in _NUMBERS:
            return _NUMBERS[error.errno]
    return str(getattr(error, "strerror", None) or error)


def remedy(error: Exception) -> str:
    """Returns the remedy for a file that FFmpeg cannot read."""
    return CONVERT_IF_SOUND if error_text(error) == UNSUPPORTED_FEATURE else "it may be truncated: check that it plays"
