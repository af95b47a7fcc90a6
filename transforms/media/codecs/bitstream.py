"""Packet rules by codec: facts from a packet's bytes before it is decoded. Pure: bytes in, facts out.

The rules answer two questions. Tests prove the answers for each codec below by comparison with a full decode.
- Is this packet a random access point? The container's key flag is not enough: the packet must hold a picture that
  resets the decoder, and the headers that it needs. The answer holds for all frames that are stored from here on and
  have this packet's pts or a later one. Frames with an earlier pts (open GOP) may refer to older frames.
- Is the frame disposable: may the decoder leave it out (`skip_frame` NONREF) if it is not wanted?

    codec          random access point                                       disposable frames
    H.264          IDR, or a recovery point with exact frames at once        yes
    HEVC           IDR, CRA, BLA                                             yes, in the highest temporal layer: FFmpeg
                   tests only the frame's own layer, and higher layers may still refer to the frame
    MPEG-1, -2     I picture after a sequence header                         yes: B pictures
    MPEG-4 ASP     I-VOP                                                     yes: B-VOPs
    VP8, VP9       key frame                                                 no: even an unreferenced frame updates
                   probabilities, motion vectors and segment maps
    AV1            key frame after a sequence header                         no: libdav1d does not support it
    intra codecs   any packet                                                no

A third question is asked for every packet in order: do the rules still hold? They do not hold after a packet with no
frame or several frames (packed B-frames), after a header change that drops a frame waiting for display, or if decoders
keep state from the start of the stream (the fields of interlaced MPEG-4, the encoder version of lossless H.264).

If frames are not stored in display order, the rules also read the display order from the packets, because decoders
follow it (`display_order.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from reelbeam.transforms.media.codecs.h264 import H264Rules
from reelbeam.transforms.media.codecs.hevc import HevcRules
from reelbeam.transforms.media.codecs.mpeg import Mpeg4Rules, Mpeg12Rules
from reelbeam.transforms.media.codecs.packet_rules import PacketRules

_INTRA_CODECS = frozenset({"prores", "dnxhd", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png"})


def packet_rules(codec: str, extradata: bytes | None) -> PacketRules:
    """Returns the packet rules for a stream.

    Args:
      codec: FFmpeg's canonical codec name, for example "h264".
      extradata: the stream's headers from its container.
    """
    extradata = extradata or b""
    if codec in ("h264", "hevc"):
        return H264Rules(extradata) if codec == "h264" else HevcRules(extradata)
    if codec in ("mpeg1video", "mpeg2video"):
        return Mpeg12Rules()
    if codec == "mpeg4":
        return Mpeg4Rules(extradata)
    if codec in _INTRA_CODECS:
        return _IntraRules()
    simple = {
        "gif": _GifRules,
        "theora": _TheoraRules,
        "vp8": _Vp8Rules,
        "vp9": _Vp9Rules,
        "av1": _Av1Rules,
        "mjpeg": _MjpegRules,
    }
    return simple.get(codec, PacketRules)()


class _Vp8Rules(PacketRules):
    may_hide_frames = True
    may_lack_pictures = True

    def has_picture(self, data: memoryview) -> bool:
        """Rejects Ogg headers, which also appear inside a file that was concatenated from several."""
        return data[:5] != b"OVP80"

    def is_random_access_point(self, data: memoryview) -> bool:
        return len(data) > 6 and data[0] & 0x11 == 0x10 and data[3:6] == b"\x9d\x01\x2a"

    def is_shown(self, data: memoryview) -> bool:
        return len(data) == 0 or data[0] & 0x10 != 0


class _Vp9Rules(PacketRules):
    may_hide_frames = True

    def is_random_access_point(self, data: memoryview) -> bool:
        # show_existing_frame = 0, frame_type = 0 (key), show_frame = 1.
        return len(data) > 0 and data[0] >> 6 == 2 and self._flags(data) == 1

    def is_shown(self, data: memoryview) -> bool:
        """Returns whether the frame is shown. The last frame of a superframe always is."""
        return len(data) == 0 or data[-1] & 0xE0 == 0xC0 or self._flags(data) & 5 != 0

    def _flags(self, data: memoryview) -> int:
        """Returns three flag bits after the frame marker and the profile; profile 3 has one more bit."""
        return (data[0] if data[0] & 0x30 == 0x30 else data[0] >> 1) & 7


class _GifRules(PacketRules):
    may_lack_pictures = True

    def has_picture(self, data: memoryview) -> bool:
        """Looks for an image after the extensions; comments, XMP and control blocks also occur without one."""
        at = 0
        if data[:3] == b"GIF" and len(data) > 13:
            at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
        while at + 1 < len(data) and data[at] == 0x21:
            at += 2
            while at < len(data) and data[at]:
                at += 1 + data[at]
            at += 1
        return at < len(data) and data[at] == 0x2C


class _TheoraRules(PacketRules):
    may_lack_pictures = True

    def has_picture(self, data: memoryview) -> bool:
        """Rejects headers, which precede each recording of a file that was concatenated from several."""
        return len(data) > 0 and data[0] & 0x80 == 0


class _Av1Rules(PacketRules):
    def supports_fast_path(self, data: memoryview, is_key: bool) -> bool:
        """Requires at most one temporal unit: two would be two frames with one pts."""
        return sum(kind == 2 for kind, _ in _obus(data)) <= 1

    def is_random_access_point(self, data: memoryview) -> bool:
        """Looks for a sequence header and then, as the first frame, a shown key frame."""
        has_sequence = False
        for kind, payload in _obus(data):
            if kind == 1:
                has_sequence = True
            elif kind in (3, 6):
                # show_existing_frame = 0, frame_type = 0 (key), show_frame = 1.
                return has_sequence and len(payload) > 0 and payload[0] & 0xF0 == 0x10
        return False


def _obus(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields (type, payload) of the open bitstream units (OBUs) of a packet."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1
        size = len(data) - at
        if header & 2:
            size = shift = 0
            while at < len(data):
                byte = data[at]
                size |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if byte < 0x80 or shift > 56:
                    break
        yield header >> 3 & 15, data[at : at + size]
        at += size


class _IntraRules(PacketRules):
    is_intra = True

    def is_random_access_point(self, data: memoryview) -> bool:
        return True


class _MjpegRules(PacketRules):
    is_intra = True

    def is_random_access_point(self, data: memoryview) -> bool:
        """Requires quantization and Huffman tables in this picture, because tables may be in an earlier one."""
        head = bytes(data[:4096])
        return b"\xff\xdb" in head and b"\xff\xc4" in head
