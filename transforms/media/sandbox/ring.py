"""The shared memory for the clips of a decoder process: a ring of slots of equal size.

The process assembles clips in their slots, so handing them over copies nothing. Its parent copies them out.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import mmap
import os
import weakref
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.media.sandbox.protocol import NUM_SLOTS, ProtocolError

_Frames = npt.NDArray[np.uint8]

_MADV_POPULATE_WRITE = 23  # not in the module `mmap` of Python 3.11


def max_clips_in_memory(num_open: int) -> int:
    """Returns the maximum number of clips in the memory of a decoder process.

    Args:
      num_open: the number of clips that are assembled at once; more than one if clips overlap.
    """
    return NUM_SLOTS + max(num_open - (NUM_SLOTS - 1), 0)  # see `Slots`: one slot is never open


class ParentRing:
    """The parent's end.

    Attributes:
      descriptor: the descriptor of anonymous memory, which disappears with the last process that has it open.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("reelbeam-clips", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # The process must not shrink the memory while its parent reads it.
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        self._num_bytes = 0
        self._slot_bytes = 0

    def reserve(self, slot_bytes: int) -> None:
        """Makes room for a request whose largest clip has `slot_bytes` bytes."""
        self._slot_bytes = slot_bytes
        if self._num_bytes < slot_bytes * NUM_SLOTS:
            self._num_bytes = slot_bytes * NUM_SLOTS
            os.ftruncate(self.descriptor, self._num_bytes)

    def copy_out(self, slot: int, shape: tuple[int, ...]) -> _Frames:
        """Returns a copy of a clip. The memory is read, not mapped, so the two processes never share a page.

        Raises:
          ProtocolError: the memory is smaller than was reserved.
        """
        frames = np.empty(shape, np.uint8)
        target, offset = frames.data.cast("B"), slot * self._slot_bytes
        while len(target):
            num_read = os.preadv(self.descriptor, [target], offset)
            if num_read == 0:
                raise ProtocolError("the shared memory is too small")
            target, offset = target[num_read:], offset + num_read
        return frames

    def close(self) -> None:
        """Closes this end."""
        os.close(self.descriptor)


class Ring:
    """The decoder process's end, mapped for all requests."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def slots(self, slot_bytes: int, await_release: Callable[[], None]) -> Slots:
        """Divides the memory into slots for a request. The parent has made it large enough.

        Raises:
          MemoryError: the address space is exhausted.
        """
        size = slot_bytes * NUM_SLOTS
        if self._memory is None or len(self._memory) < size:
            self._memory = None  # unmap first, so that both mappings never exist at once
            try:
                self._memory = mmap.mmap(self._descriptor, size)
            except OSError as error:
                if error.errno != errno.ENOMEM:
                    raise
                raise MemoryError from error
        return Slots(self._memory, slot_bytes, await_release)


class Slots:
    """The slots during one request: free, open (a clip is being assembled in them) or handed over.

    One slot is never open. If more clips overlap, the others are assembled in other memory and copied, so a slot for
    them is always free or will be released.

    Args:
      memory: the memory of all slots.
      slot_bytes: the size of a slot.
      await_release: waits until the parent has copied the clip that was handed over first.
    """

    def __init__(self, memory: mmap.mmap, slot_bytes: int, await_release: Callable[[], None]) -> None:
        self._memory = memory
        self._slot_bytes = slot_bytes
        self._await_release = await_release
        self._free = list(range(NUM_SLOTS))
        self._open: dict[int, int] = {}  # by the array's id
        self._handed_over: collections.deque[int] = collections.deque()
        self._spare: _Frames | None = None
        self._populated: set[int] = set()

    def allocate(self, shape: tuple[int, ...]) -> _Frames:
        """Returns memory for a clip. Waits while all slots are handed over."""
        while not self._free and self._handed_over:
            self._release()
        if not self._free or len(self._open) == NUM_SLOTS - 1:
            return self._elsewhere(shape)
        slot = self._free.pop()
        frames = self._at(slot, shape)
        self._open[id(frames)] = slot
        weakref.finalize(frames, self._give_up, id(frames))
        return frames

    def hand_over(self, frames: _Frames) -> int:
        """Hands over a complete clip and returns the number of its slot."""
        slot = self._open.pop(id(frames), None)
        if slot is None:
            while not self._free:
                self._release()
            slot = self._free.pop()
            np.copyto(self._at(slot, frames.shape), frames)
            self._spare = frames
        self._handed_over.append(slot)
        return slot

    def _release(self) -> None:
        self._await_release()
        self._free.append(self._handed_over.popleft())

    def _give_up(self, key: int) -> None:
        """Frees the slot of a clip whose array was garbage-collected."""
        if key in self._open:
            self._free.append(self._open.pop(key))

    def _at(self, slot: int, shape: tuple[int, ...]) -> _Frames:
        num_bytes, start = int(np.prod(shape)), slot * self._slot_bytes
        if slot not in self._populated:
            self._populated.add(slot)
            self._populate(start, start + num_bytes)
        return np.frombuffer(self._memory, np.uint8, num_bytes, start).reshape(shape)

    def _populate(self, start: int, stop: int) -> None:
        """Makes the kernel provide a slot's pages at once. Single page faults take 1.5 times as long."""
        first_page = start - start % mmap.PAGESIZE
        with contextlib.suppress(OSError):  # Linux before 5.14, or out of memory, which writing into the slot reports
            self._memory.madvise(_MADV_POPULATE_WRITE, first_page, stop - first_page)

    def _elsewhere(self, shape: tuple[int, ...]) -> _Frames:
        """Returns other memory, reused if possible: new memory costs a page fault for every 4 KiB."""
        spare, self._spare = self._spare, None
        return spare if spare is not None and spare.shape == shape else np.empty(shape, np.uint8)
