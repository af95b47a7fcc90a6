"""The C library's heap, where it can be told what to do (glibc)."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_BLOCK_BYTES = 1 << 20
_HIGHEST_BYTES = 32 << 20
"""What the threshold rises to by itself, as soon as such blocks have been freed."""


@contextlib.contextmanager
def blocks_given_back() -> Iterator[None]:
    """Gives blocks of a megabyte and more back to the system as soon as they are freed.

    Beam's local runner passes a stage's data on as a few large blocks, and copies them half a dozen times on the way.
    What it frees stays in the heap otherwise, with holes: a third of the memory of a long listing. Where pixels are
    passed on, it would cost time.

    glibc moves both thresholds by itself until one is set, and has no way back to that. So they stay where they would
    have been after the first clip. `malloc_trim` from a thread would leave them alone, but saves half as much: a
    listing of 500,000 videos takes 132 MB with this, 161 to 170 MB with that, and 206 MB with neither.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)
    set_option(_M_MMAP_THRESHOLD, _BLOCK_BYTES)
    try:
        yield
    finally:
        set_option(_M_MMAP_THRESHOLD, _HIGHEST_BYTES)
        set_option(_M_TRIM_THRESHOLD, 2 * _HIGHEST_BYTES)  # by itself it would have risen along
