"""What the bytes of a packet tell before it is decoded, codec by codec. Pure: bytes in, facts out.

Two questions, and for each codec of the list below the answers are proven by tests that compare with a full decode:
- Can decoding start here as if nothing had come before? A container's key flag is not enough: the packet has to hold
  a picture that resets the decoder, and the headers that it needs. The answer holds for all frames that are stored
  from here on and shown at this one's time or later; frames shown earlier (open GOP) may refer to older ones.
- May the decoder leave this packet's frame out, if nobody wants it and nothing refers to it (`skip_frame` NONREF)?

    H.264          IDR, or a recovery point that promises exact frames at once      yes
    HEVC           IDR, CRA, BLA                                                    yes, in the highest temporal layer:
                   FFmpeg's test is about the frame's own layer, and higher layers may still refer to it
    MPEG-1, -2     I picture behind a sequence header                               yes: B pictures
    MPEG-4 ASP     I-VOP                                                            yes: B-VOPs. One VOP a packet, or
                   none of it holds: packed B-frames
    VP8, VP9       key frame                                                        no: a frame without followers still
                   leaves probabilities, vectors and segment maps behind
    AV1            key frame behind a sequence header                               no: libdav1d doesn't know how
    intra codecs   any packet                                                       nothing to leave out
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from transforms.media.nal_rules import H264Rules, HevcRules
from transforms.media.packet_rules import PacketRules

_MPEG12_HEADERS = re.compile(rb"\x00\x00\x01([\x00\xb3])", re.DOTALL)
_INTRA_CODECS = frozenset({"prores", "dnxhd", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png"})


def packet_rules(codec: str, extradata: bytes | None) -> PacketRules:
    """Returns the rules for a stream.

    Args:
      codec: FFmpeg's canonical name ("h264").
      extradata: the stream's headers as its container has them.
    """
    extradata = extradata or b""
    if codec in ("h264", "hevc"):
        return H264Rules(extradata) if codec == "h264" else HevcRules(extradata)
    if codec in ("mpeg1video", "mpeg2video"):
        return _Mpeg12Rules()
    if codec in _INTRA_CODECS:
        return _IntraRules()
    simple = {"mpeg4": _Mpeg4Rules, "vp8": _Vp8Rules, "vp9": _Vp9Rules, "av1": _Av1Rules, "mjpeg": _MjpegRules}
    return simple.get(codec, PacketRules)()


class _Mpeg12Rules(PacketRules):
    can_skip = True

    def starts_clean(self, data: memoryview) -> bool:
        first = _MPEG12_HEADERS.search(data)
        return first is not None and first[1] == b"\xb3" and self._picture_type(data) == 1

    def may_skip(self, data: memoryview) -> bool:
        return self._picture_type(data) == 3

    def _picture_type(self, data: memoryview) -> int:
        """Returns 1 for I, 2 for P, 3 for B; of the first field, where there are two: I goes with P, B with B."""
        for header in _MPEG12_HEADERS.finditer(data):
            if header[1] == b"\x00" and len(data) > header.end() + 1:
                return data[header.end() + 1] >> 3 & 7
        return 0


class _Mpeg4Rules(PacketRules):
    can_skip = True

    def starts_clean(self, data: memoryview) -> bool:
        return self._vop_type(data) == 0

    def may_skip(self, data: memoryview) -> bool:
        return self._vop_type(data) == 2

    def _vop_type(self, data: memoryview) -> int:
        """Returns 0 for I, 1 for P, 2 for B, 3 for S."""
        at = bytes(data).find(b"\x00\x00\x01\xb6")
        return data[at + 4] >> 6 if at >= 0 and len(data) > at + 4 else -1

    def is_one_frame(self, data: memoryview) -> bool:
        return bytes(data).count(b"\x00\x00\x01\xb6") == 1


class _Vp8Rules(PacketRules):
    def starts_clean(self, data: memoryview) -> bool:
        return len(data) > 6 and data[0] & 0x11 == 0x10 and data[3:6] == b"\x9d\x01\x2a"

    def is_shown(self, data: memoryview) -> bool:
        return len(data) == 0 or data[0] & 0x10 != 0


class _Vp9Rules(PacketRules):
    def starts_clean(self, data: memoryview) -> bool:
        # show_existing_frame = 0, frame_type = 0 (key), show_frame = 1.
        return len(data) > 0 and data[0] >> 6 == 2 and self._flags(data) == 1

    def is_shown(self, data: memoryview) -> bool:
        """The last of several frames (a superframe) is shown; a lone one says whether it is."""
        return len(data) == 0 or data[-1] & 0xE0 == 0xC0 or self._flags(data) & 5 != 0

    def _flags(self, data: memoryview) -> int:
        """Returns three bits: they stand behind a marker and the profile, which has one more bit where it is 3."""
        return (data[0] if data[0] & 0x30 == 0x30 else data[0] >> 1) & 7


class _Av1Rules(PacketRules):
    def starts_clean(self, data: memoryview) -> bool:
        """Looks for a sequence header and then, as the first frame, a key frame that is shown."""
        has_sequence = False
        for kind, payload in _obus(data):
            if kind == 1:
                has_sequence = True
            elif kind in (3, 6):
                # show_existing_frame = 0, frame_type = 0 (key), show_frame = 1.
                return has_sequence and len(payload) > 0 and payload[0] & 0xF0 == 0x10
        return False


def _obus(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields (type, payload) of the open bitstream units of a packet."""
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
    def starts_clean(self, data: memoryview) -> bool:
        return True


class _MjpegRules(PacketRules):
    def starts_clean(self, data: memoryview) -> bool:
        """Tables may stand in an earlier picture: this one needs its own."""
        head = bytes(data[:4096])
        return b"\xff\xdb" in head and b"\xff\xc4" in head
