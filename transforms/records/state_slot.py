"""A slot for the state of a Stream model, which the clips of a segment hand from one to the next."""

from __future__ import annotations

import threading
from typing import NamedTuple


class ClipPlace(NamedTuple):
    """The place of a clip: the key of its video, its segment, and its number in the video."""

    video_key: str
    segment_index: int
    clip_index: int

    @property
    def predecessor(self) -> ClipPlace:
        """The place of the clip before, in the same segment."""
        return self._replace(clip_index=self.clip_index - 1)


class StateSlot:
    """The state of a Stream model after one clip of a segment, and the place of that clip.

    The step that decodes a segment creates a slot for each clip that continues no other, and the clips that continue it
    refer to the same slot. So the state lives as long as there are clips that need it, and a segment that is decoded a
    second time starts with an empty slot. A thread may use a slot while it holds `lock`.

    A copy of a slot, and one that was pickled or encoded, is empty: a state never reaches a process or a clip that it
    does not belong to.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._after: tuple[ClipPlace, object] | None = None
        self._crops: list[StateSlot] = []

    def of_crops(self, num_crops: int) -> list[StateSlot]:
        """Returns the slots of the crops of all clips of this segment, because each crop has a state of its own."""
        with self.lock:
            self._crops += [StateSlot() for _ in range(num_crops - len(self._crops))]
            return self._crops[:num_crops]

    def take_before(self, place: ClipPlace) -> object | None:
        """Removes and returns the state after the predecessor of a clip; None if the slot does not hold it.

        Another clip's state stays in the slot, so a clip that comes too early does not harm the clips before it.
        """
        if self._after is None or self._after[0] != place.predecessor:
            return None
        (_, state), self._after = self._after, None
        return state

    def put_after(self, place: ClipPlace, state: object) -> None:
        """Stores the state after a clip."""
        self._after = place, state

    def __reduce__(self) -> tuple[type[StateSlot], tuple[()]]:
        return StateSlot, ()
