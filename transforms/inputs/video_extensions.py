"""The file extensions of videos in a folder: the common ones of each demuxer that reads video.

A file that is named directly, listed, or matched by a pattern may have any name.
"""

from __future__ import annotations

from reelbeam.transforms.storage.ignored import extension_of

EXTENSIONS_OF = {
    "mov": ".mp4 .m4v .mov .qt .3gp .3g2 .mj2 .f4v .ismv .m4s .cmfv .avif",
    "matroska": ".mkv .mk3d .webm",
    "avi": ".avi .divx",
    "asf": ".asf .wmv .dvr-ms",
    "flv": ".flv",
    "live_flv": ".flv",
    "kux": ".kux",
    "mpeg": ".mpg .mpeg .mpe .m2p .vob .evo .mod .tod",
    "mpegvideo": ".m1v .m2v .mpv",
    "mpegts": ".ts .mts .m2ts .m2t .trp",
    "mxf": ".mxf",
    "gxf": ".gxf",
    "lxf": ".lxf",
    "ogg": ".ogg .ogv .ogm",
    "rm": ".rm .rmvb",
    "nut": ".nut",
    "nuv": ".nuv",
    "wtv": ".wtv",
    "dv": ".dv .dif",
    "gif": ".gif",
    "apng": ".apng",
    "ivf": ".ivf",
    "m4v": ".m4v",
    "h261": ".h261 .261",
    "h263": ".h263 .263",
    "h264": ".h264 .264 .avc .h26l",
    "hevc": ".hevc .h265 .265",
    "vvc": ".vvc .h266 .266",
    "evc": ".evc",
    "av1": ".obu .av1",
    "obu": ".obu",
    "avs2": ".avs2",
    "avs3": ".avs3",
    "cavsvideo": ".cavs",
    "dirac": ".drc",
    "dnxhd": ".dnxhd .dnxhr",
    "vc1": ".vc1",
    "vc1test": ".rcv",
    "mjpeg": ".mjpeg .mjpg",
    "mjpeg_2000": ".mj2",
    "ingenient": ".mjpeg",
    "yuv4mpegpipe": ".y4m",
    "smjpeg": ".mjpg",
    "swf": ".swf",
    "dhav": ".dav",
    "ifv": ".ifv",
    "ipu": ".ipu",
    "iv8": ".iv8",
    "ivr": ".ivr",
    "mtv": ".mtv",
    "pmp": ".pmp",
    "pva": ".pva",
    "ty": ".ty .ty+",
    "vivo": ".viv",
    "xmv": ".xmv",
    "bink": ".bik .bk2",
    "smk": ".smk",
    "thp": ".thp",
    "roq": ".roq",
    "flic": ".fli .flc",
    "cine": ".cine",
    "film_cpk": ".cpk",
    "jpegxl_anim": ".jxl",
    "moflex": ".moflex",
    "usm": ".usm",
}
"""By FFmpeg's demuxer. Extensions that mostly belong to other files (`.avs`: scripts, `.cgi`, `.j2k`) are omitted."""

VIDEO_EXTENSIONS = frozenset(extension for text in EXTENSIONS_OF.values() for extension in text.split())

AMBIGUOUS_EXTENSIONS = frozenset(
    ".261 .263 .264 .265 .266 .apng .asf .av1 .avc .avif .cine .cpk .dif .drc .fli .gif .jxl .m4s .mod .mpv .mts .obu"
    " .ogg .pva .rm .swf .ts .ty .viv".split()
)
"""Extensions that other files also have: `.ts` and `.mts` (TypeScript), `.mod` (Go, trackers), `.ogg` (audio), …"""


def is_named_like_a_video(name: str) -> bool:
    """Returns whether a path or a URI has a video's extension."""
    return extension_of(name) in VIDEO_EXTENSIONS
