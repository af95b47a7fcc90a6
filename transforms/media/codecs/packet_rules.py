"""The interface of packet rules. `bitstream.py` chooses the implementation for a codec."""

from __future__ import annotations

from typing import NamedTuple

from reelbeam.transforms.media.codecs.display_order import DisplayOrder


class Field(NamedTuple):
    """One of the two fields of a frame.

    Attributes:
      is_bottom: whether this is the bottom field.
      frame_num: the frame number, the same for both fields.
    """

    is_bottom: bool
    frame_num: int

    def completes(self, first: Field | None) -> bool:
        """Whether this field and the previous one belong to the same frame."""
        return first is not None and self.is_bottom != first.is_bottom and self.frame_num == first.frame_num


class PacketRules:
    """The packet rules of one stream. This base class is for unknown codecs and allows nothing.

    Attributes:
      can_skip: whether the stream may have disposable frames.
      is_intra: whether every frame is intra coded.
      reorder_depth: the minimum number of frames that a decoder must hold back. Without it, a decoder learns the depth
        while decoding if the stream does not declare it, and loses frames until then. Which frames it loses depends on
        where it starts.
      may_have_fields: whether the two fields of a frame may be separate packets.
      may_lack_pictures: whether `has_picture` must be called.
      may_hide_frames: whether `is_shown` must be called.
      always_shows: whether each packet has a shown picture. MPEG-4 has packets that repeat the last picture.
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
        """Whether the codec is known, so that packets may be left out."""
        return type(self) is not PacketRules

    def is_random_access_point(self, data: memoryview) -> bool:
        """Returns whether this key frame of the container is a random access point."""
        return False

    def has_picture(self, data: memoryview) -> bool:
        """Returns whether this packet has anything to decode. A GIF packet may hold comments only."""
        return True

    def is_shown(self, data: memoryview) -> bool:
        """Returns whether this packet's frame is shown. VP8 and VP9 also store reference-only frames."""
        return True

    def is_disposable(self, data: memoryview) -> bool:
        """Returns whether this packet's frame is disposable."""
        return False

    def field(self, data: memoryview) -> Field | None:
        """Returns the field that a packet begins with; None if it has whole frames."""
        return None

    def display_order(self) -> DisplayOrder | None:
        """Returns the check of pts against display order; None if frames are stored in display order."""
        return None

    def is_idr(self, data: memoryview) -> bool:
        """Returns whether this random access point is an IDR or equivalent: no later frame refers to an earlier one."""
        return self.is_random_access_point(data)

    def supports_fast_path(self, data: memoryview, is_key: bool) -> bool:
        """Returns whether the rules still hold with this packet, the next in order.

        They hold if it has one frame and no headers that change the rules.

        Args:
          data: the packet's bytes.
          is_key: whether the container marks it as a key frame.
        """
        return True
