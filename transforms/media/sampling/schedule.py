"""Assign decoded frames to the clips that want them. Pure: no file, no pixels.

Wanted instants are converted once to ticks of the stream's time base, rounded down. A frame's pts is at or before the
instant exactly if it is at or before that tick. After that, all comparisons are between integers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from reelbeam.transforms.records import ClipSpan


def sample_instants(span: ClipSpan, origin: int, time_base: Fraction) -> list[int]:
    """Returns the instants of a clip in ticks, rounded down. Uses integers only, because fractions are slow.

    Args:
      span: the clip.
      origin: the tick of the video's second 0.
      time_base: the length of a tick in seconds.
    """
    start, interval = span.start_seconds / time_base, span.interval_seconds / time_base
    unit = math.lcm(start.denominator, interval.denominator)
    first, step = int(start * unit), int(interval * unit)
    return [origin + (first + count * step) // unit for count in span.sample_steps]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One frame that one clip still needs.

    Attributes:
      instant: the wanted instant in the stream's time base. The frame at that instant has the largest pts <= instant.
      clip: the position of the clip among the spans.
      frame: the position of the frame in the clip.
    """

    instant: int
    clip: int
    frame: int


class FrameSchedule:
    """The slots of some clips, in the order in which a decoder outputs frames.

    A clip is open from its first frame until it is complete or lost. The caller learns both once, so that it can hold
    the pixels of open clips only.
    """

    def __init__(self, spans: Sequence[ClipSpan], origin: int, time_base: Fraction) -> None:
        """Prepares the slots.

        Args:
          spans: the wanted clips.
          origin: the pts of the stream's first frame, which is second 0 of the spans.
          time_base: the length of a tick in seconds.
        """
        clips = [sample_instants(span, origin, time_base) for span in spans]
        slots = [
            Slot(instant, clip, frame) for clip, instants in enumerate(clips) for frame, instant in enumerate(instants)
        ]
        self._slots = sorted(slots, key=lambda slot: slot.instant)  # stable: then by clip and frame
        self._next = 0
        self._missing = [span.num_decoded_frames for span in spans]
        self._last_instants = [max(instants) for instants in clips]
        self._lost: set[int] = set()

    @property
    def is_done(self) -> bool:
        """Whether no clip needs another frame."""
        self._skip_lost()
        return self._next == len(self._slots)

    @property
    def next_instant(self) -> int:
        """The earliest instant that is still wanted. Valid only while not done."""
        self._skip_lost()
        return self._slots[self._next].instant

    @property
    def instants(self) -> list[int]:
        """All wanted instants, ascending, with repetitions."""
        return [slot.instant for slot in self._slots]

    @property
    def num_lost(self) -> int:
        """The number of lost clips."""
        return len(self._lost)

    def take_before(self, pts: int | Fraction | None) -> Iterator[Slot]:
        """Yields every slot with an instant before `pts`, earliest first; None yields all remaining slots."""
        while not self.is_done and (pts is None or self.next_instant < pts):
            self._next += 1
            yield self._slots[self._next - 1]

    def last_instant(self, clip: int) -> int:
        """Returns the latest instant that a clip shows."""
        return self._last_instants[clip]

    def fill(self, slot: Slot) -> bool:
        """Marks a slot as filled; returns whether its clip is now complete."""
        self._missing[slot.clip] -= 1
        return self._missing[slot.clip] == 0

    def lose(self, clip: int) -> None:
        """Marks a clip as lost: its remaining slots are not yielded."""
        self._lost.add(clip)

    def _skip_lost(self) -> None:
        while self._next < len(self._slots) and self._slots[self._next].clip in self._lost:
            self._next += 1
