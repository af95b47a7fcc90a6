"""The decoders of this FFmpeg, which builds may leave out."""

from __future__ import annotations

import av.codec

DECODERS = {
    "H.264": ("h264",),
    "HEVC": ("hevc",),
    "VP8": ("vp8", "libvpx"),
    "VP9": ("vp9", "libvpx-vp9"),
    "AV1": ("libdav1d", "libaom-av1"),  # "av1" needs a GPU
    "MPEG-4": ("mpeg4",),
    "MPEG-2": ("mpeg2video",),
    "ProRes": ("prores",),
    "Motion JPEG": ("mjpeg",),
}
"""The codecs of most videos, and FFmpeg's decoders for each that run on a CPU."""


def missing_codecs() -> list[str]:
    """Returns the codecs of `DECODERS` that this FFmpeg cannot decode."""
    return [codec for codec, names in DECODERS.items() if not any(map(_exists, names))]


def _exists(name: str) -> bool:
    try:
        av.codec.Codec(name, "r")
    except ValueError:  # PyAV's UnknownCodecError
        return False
    return True
