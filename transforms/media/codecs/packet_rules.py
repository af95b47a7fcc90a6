"""What may be left out of a stream: the questions, which `bitstream.py` and its like answer codec by codec."""

from __future__ import annotations

from typing import NamedTuple

from reelbeam.transforms.media.codecs.display_order import DisplayOrder


class Field(NamedTuple):
    """One of the two fields of a frame.

    Attributes:
      is_bottom: which one.
      frame_num: the same for both.
    """

    is_bottom: bool
    frame_num: int

    def completes(self, first: Field | None) -> bool:
        """Whether this field, stored next to another one, is of the same frame."""
        return first is not None and self.is_bottom != first.is_bottom and self.frame_num == first.frame_num


class PacketRules:
    """The rules of one stream. This one knows nothing, so it allows nothing.

    Attributes:
      can_skip: whether there are frames that may be skipped at all.
      is_intra: whether each frame stands for itself.
      reorder_depth: how many frames a decoder has to hold back at least. Left alone, it would find out on the way where
        the stream doesn't say it, lose frames until then, and other ones where it starts elsewhere.
      may_have_fields: whether the fields of a frame may be packets of their own.
      may_lack_pictures: whether `has_picture` has to be asked.
      may_hide_frames: whether `is_shown` has to be asked.
      always_shows: whether each packet has a picture that is shown; MPEG-4 also says "nothing changed".
    """

    can_skip = False
    is_intra = False
    reorder_depth = 0
    may_have_fields = False
    may_lack_pictures = False
    may_hide_frames = False
    always_shows = False

    @property
    def is_known(self) -> bool:
        """Whether anything at all may be left out."""
        return type(self) is not PacketRules

    def starts_clean(self, data: memoryview) -> bool:
        """Whether decoding can start at this packet, which the container calls a key frame."""
        return False

    def has_picture(self, data: memoryview) -> bool:
        """Whether this packet has anything to decode: GIF's may hold comments only."""
        return True

    def is_shown(self, data: memoryview) -> bool:
        """Whether this packet's frame is meant to be seen: VP8 and VP9 also store frames to refer to only."""
        return True

    def may_skip(self, data: memoryview) -> bool:
        """Whether nothing refers to this packet's frame."""
        return False

    def field(self, data: memoryview) -> Field | None:
        """Returns the field that a packet begins with; None: it has whole frames."""
        return None

    def display_order(self) -> DisplayOrder | None:
        """Returns what compares times with the order of display; None: frames are shown as they are stored."""
        return None

    def resets(self, data: memoryview) -> bool:
        """Whether decoders take this packet, at which decoding can start, without a complaint about what is missing."""
        return self.starts_clean(data)

    def keeps_proof(self, data: memoryview, is_key: bool) -> bool:
        """Whether the rules hold on with this packet, the next one: it has one frame, and no headers that change them.

        Args:
          data: of the packet.
          is_key: whether the container calls it a key frame.
        """
        return True
