"""The memory between a decoder and its owner: every clip arrives, none is overwritten, nobody waits for ever."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest

from reelbeam.transforms.media.sandbox.ring import Ring, Slots
from reelbeam.transforms.media.sandbox.wire import NUM_SLOTS

SHAPE = (2, 4, 4, 3)
SIZE = 2 * 4 * 4 * 3


class Owner:
    """The other side: reads slots when it is waited for, in the order in which it was told of them."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, NUM_SLOTS * SIZE)
        self.told: collections.deque[int] = collections.deque()
        self.seen: list[int] = []
        self.slots: Slots = Ring(self.descriptor).slots(SIZE, self.copy_out)

    def copy_out(self) -> None:
        pixels = set(os.pread(self.descriptor, SIZE, self.told.popleft() * SIZE))
        assert len(pixels) == 1
        self.seen += pixels

    def hand_over(self, frames: np.ndarray) -> None:
        self.told.append(self.slots.hand_over(frames))


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    yield owner
    os.close(owner.descriptor)


def filled(slots: Slots, value: int) -> np.ndarray:
    frames = slots.allocate(SHAPE)
    frames[:] = value
    return frames


def test_a_clip_is_put_together_where_its_owner_reads_it(owner: Owner) -> None:
    frames = owner.slots.allocate(SHAPE)
    owner.hand_over(frames)
    frames[:] = 7  # no copy was made
    owner.copy_out()
    assert owner.seen == [7]


def test_the_decoder_works_ahead_until_the_ring_is_full(owner: Owner) -> None:
    for value in range(20):
        owner.hand_over(filled(owner.slots, value))
        assert owner.seen == list(range(value + 1 - NUM_SLOTS))
    while owner.told:
        owner.copy_out()
    assert owner.seen == list(range(20))


@pytest.mark.parametrize("order", itertools.permutations(range(5)))
def test_more_clips_than_slots_may_be_open_and_end_in_any_order(owner: Owner, order: tuple[int, ...]) -> None:
    owner.hand_over(filled(owner.slots, 99))
    clips = [filled(owner.slots, value) for value in range(5)]
    for value in order:
        owner.hand_over(clips[value])
    while owner.told:
        owner.copy_out()
    assert owner.seen == [99, *order]


def test_lost_clips_give_their_slots_back(owner: Owner) -> None:
    for _ in range(20):
        clips = [filled(owner.slots, 1) for _ in range(NUM_SLOTS)]
        del clips
    owner.hand_over(filled(owner.slots, 2))
    assert owner.told[0] in range(NUM_SLOTS)
    frames = filled(owner.slots, 3)
    owner.hand_over(frames)
    del frames  # its slot is the owner's now, whoever held it here
    owner.hand_over(filled(owner.slots, 4))
    while owner.told:
        owner.copy_out()
    assert owner.seen == [2, 3, 4]
