"""How many clips of a report have pictures, and why the others do not."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping

from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip, Pictures
from reelbeam.transforms.output.report_content.shown_clips import ClipKey
from reelbeam.transforms.wording import counted

_TOO_LARGE = "too_large"
_REASONS = {
    "gone": "of videos that do not exist any more",
    "changed": "of videos that changed since they were labeled",
    "unreadable": "of videos that cannot be read now",
    _TOO_LARGE: "left out because of the size of the page",
}


@dataclasses.dataclass(frozen=True)
class PictureCounts:
    """How many clips have pictures.

    Attributes:
      num_clips: the number of clips.
      num_pictures: the number of clips with pictures.
      missing: the number of clips whose pictures are missing, by reason; empty if no pictures were requested.
    """

    num_clips: int
    num_pictures: int
    missing: Mapping[str, int]

    @classmethod
    def of(cls, pictures: Mapping[ClipKey, Pictures], num_dropped: int) -> PictureCounts:
        """Counts pictures.

        Args:
          pictures: of all clips.
          num_dropped: the number of clips whose pictures are left out because of the size of the page.
        """
        missing: collections.Counter[str] = collections.Counter(
            each.reason for each in pictures.values() if isinstance(each, NoFilmstrip)
        )
        num_pictures = len(pictures) - missing.total() - num_dropped
        missing[_TOO_LARGE] = num_dropped
        return cls(len(pictures), num_pictures, {name: missing[name] for name in _REASONS if missing[name]})

    def to_text(self) -> str:
        """Returns how many clips have pictures, and why the others do not; "" if no pictures are missing."""
        if not self.missing:
            return ""
        reasons = ", ".join(f"{number} {_REASONS[name]}" for name, number in self.missing.items())
        verb = "has" if self.num_clips == 1 else "have"
        return f"{self.num_pictures} of {counted(self.num_clips, 'clip')} {verb} pictures: {reasons}"
