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
    MPEG-4 ASP     I-VOP                                                            yes: B-VOPs
    VP8, VP9       key frame                                                        no: a frame without followers still
                   leaves probabilities, vectors and segment maps behind
    AV1            key frame behind a sequence header                               no: libdav1d doesn't know how
    intra codecs   any packet                                                       nothing to leave out

And one for every packet, in order: does all that hold on? Not where a packet has several frames or none (packed
B-frames), nor where headers change so that a frame is dropped which waits to be shown, nor for what decoders remember
from the stream's very start: the fields of interlaced MPEG-4, the encoder of lossless H.264.

Where frames are not stored in the order in which they are shown, packets are also asked for that order, which decoders
go by (`display_order.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from reelbeam.transforms.media.codecs.h264 import H264Rules
from reelbeam.transforms.media.codecs.hevc import HevcRules
from reelbeam.transforms.media.codecs.mpeg import Mpeg4Rules, Mpeg12Rules
from reelbeam.transforms.media.codecs.packet_rules import PacketRules

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
        """Ogg has headers, also amid a file that was joined from several."""
        return data[:5] != b"OVP80"

    def starts_clean(self, data: memoryview) -> bool:
        return len(data) > 6 and data[0] & 0x11 == 0x10 and data[3:6] == b"\x9d\x01\x2a"

    def is_shown(self, data: memoryview) -> bool:
        return len(data) == 0 or data[0] & 0x10 != 0


class _Vp9Rules(PacketRules):
    may_hide_frames = True

    def starts_clean(self, data: memoryview) -> bool:
        # show_existing_frame = 0, frame_type = 0 (key), show_frame = 1.
        return len(data) > 0 and data[0] >> 6 == 2 and self._flags(data) == 1

    def is_shown(self, data: memoryview) -> bool:
        """The last of several frames (a superframe) is shown; a lone one says whether it is."""
        return len(data) == 0 or data[-1] & 0xE0 == 0xC0 or self._flags(data) & 5 != 0

    def _flags(self, data: memoryview) -> int:
        """Returns three bits: they stand behind a marker and the profile, which has one more bit where it is 3."""
        return (data[0] if data[0] & 0x30 == 0x30 else data[0] >> 1) & 7


class _GifRules(PacketRules):
    may_lack_pictures = True

    def has_picture(self, data: memoryview) -> bool:
        """Looks for an image behind extensions: comments, XMP and control blocks also stand alone at the end."""
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
        """Headers stand in front of each recording of a file that was joined from several."""
        return len(data) > 0 and data[0] & 0x80 == 0


class _Av1Rules(PacketRules):
    def keeps_proof(self, data: memoryview, is_key: bool) -> bool:
        """One temporal unit: two of them are two frames at one time."""
        return sum(kind == 2 for kind, _ in _obus(data)) <= 1

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
    is_intra = True

    def starts_clean(self, data: memoryview) -> bool:
        return True


class _MjpegRules(PacketRules):
    is_intra = True

    def starts_clean(self, data: memoryview) -> bool:
        """Tables may stand in an earlier picture: this one needs its own."""
        head = bytes(data[:4096])
        return b"\xff\xdb" in head and b"\xff\xc4" in head
