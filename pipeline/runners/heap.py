"""Control the heap: that of the C library (glibc), and Python's collector of garbage."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_BLOCK_BYTES = 1 << 20
_HIGHEST_BYTES = 32 << 20
"""The threshold that glibc reaches by itself after blocks of this size were freed."""


@contextlib.contextmanager
def trim_malloc(library: object | None = None) -> Iterator[None]:
    """Returns blocks of a megabyte or more to the operating system as soon as they are freed.

    Beam's local runner passes a stage's data on as a few large blocks, and copies them half a dozen times on the way.
    Otherwise the freed blocks stay in a fragmented heap: a third of the memory of a long listing. Where pixels are
    passed on, this would cost time.

    glibc adapts both thresholds until one is set, and cannot return to that. So they are set to the values that they
    would have after the first clip. `malloc_trim` from a thread would leave them alone, but saves half as much: a
    listing of 500,000 videos takes 132 MB with this function, 161 to 170 MB with `malloc_trim`, and 206 MB with
    neither.

    Args:
      library: the C library; None: that of this process. One without `mallopt` is left alone.
    """
    set_option = getattr(library or ctypes.CDLL(None), "mallopt", lambda *_: 0)
    set_option(_M_MMAP_THRESHOLD, _BLOCK_BYTES)
    try:
        yield
    finally:
        set_option(_M_MMAP_THRESHOLD, _HIGHEST_BYTES)
        set_option(_M_TRIM_THRESHOLD, 2 * _HIGHEST_BYTES)  # glibc would have raised it together with the other


@contextlib.contextmanager
def imports_without_collector() -> Iterator[None]:
    """Turns off Python's collector of garbage for a block of imports, and keeps it from searching what they made.

    The modules of a run are hundreds of thousands of objects, and all of them stay until the process ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
