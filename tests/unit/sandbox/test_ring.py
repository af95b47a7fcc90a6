"""The memory between a decoder and its parent: every clip arrives, none is overwritten, no side waits forever."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest

from reelbeam.transforms.media.sandbox.protocol import NUM_SLOTS
from reelbeam.transforms.media.sandbox.ring import Ring, Slots

SHAPE = (2, 4, 4, 3)
SIZE = 2 * 4 * 4 * 3


class Parent:
    """The other side: copies slots out when the decoder waits, in the order in which they were handed over."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, NUM_SLOTS * SIZE)
        self.handed_over: collections.deque[int] = collections.deque()
        self.seen: list[int] = []
        self.slots: Slots = Ring(self.descriptor).slots(SIZE, self.copy_out)

    def copy_out(self) -> None:
        pixels = set(os.pread(self.descriptor, SIZE, self.handed_over.popleft() * SIZE))
        assert len(pixels) == 1
        self.seen += pixels

    def hand_over(self, frames: np.ndarray) -> None:
        self.handed_over.append(self.slots.hand_over(frames))


@pytest.fixture
def parent() -> Iterator[Parent]:
    parent = Parent()
    yield parent
    os.close(parent.descriptor)


def filled(slots: Slots, value: int) -> np.ndarray:
    frames = slots.allocate(SHAPE)
    frames[:] = value
    return frames


def test_a_clip_is_put_together_where_its_parent_reads_it(parent: Parent) -> None:
    frames = parent.slots.allocate(SHAPE)
    parent.hand_over(frames)
    frames[:] = 7  # no copy was made
    parent.copy_out()
    assert parent.seen == [7]


def test_the_decoder_works_ahead_until_the_ring_is_full(parent: Parent) -> None:
    for value in range(20):
        parent.hand_over(filled(parent.slots, value))
        assert parent.seen == list(range(value + 1 - NUM_SLOTS))
    while parent.handed_over:
        parent.copy_out()
    assert parent.seen == list(range(20))


@pytest.mark.parametrize("order", itertools.permutations(range(5)))
def test_more_clips_than_slots_may_be_open_and_end_in_any_order(parent: Parent, order: tuple[int, ...]) -> None:
    parent.hand_over(filled(parent.slots, 99))
    clips = [filled(parent.slots, value) for value in range(5)]
    for value in order:
        parent.hand_over(clips[value])
    while parent.handed_over:
        parent.copy_out()
    assert parent.seen == [99, *order]


def test_lost_clips_give_their_slots_back(parent: Parent) -> None:
    for _ in range(20):
        clips = [filled(parent.slots, 1) for _ in range(NUM_SLOTS)]
        del clips
    parent.hand_over(filled(parent.slots, 2))
    assert parent.handed_over[0] in range(NUM_SLOTS)
    frames = filled(parent.slots, 3)
    parent.hand_over(frames)
    del frames  # the slot now belongs to the parent
    parent.hand_over(filled(parent.slots, 4))
    while parent.handed_over:
        parent.copy_out()
    assert parent.seen == [2, 3, 4]
