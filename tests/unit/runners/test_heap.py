"""The heap returns free blocks to the system for a while, where the C library supports it."""

from __future__ import annotations

import ctypes
import pathlib
import resource
import subprocess
import sys
import types

import pytest

from reelbeam.pipeline.runners.heap import trim_malloc


def test_the_threshold_is_low_inside_and_at_its_highest_afterwards() -> None:
    calls: list[tuple[int, int]] = []
    library = types.SimpleNamespace(mallopt=lambda *option: calls.append(option))
    with pytest.raises(KeyError), trim_malloc(library):
        assert calls == [(-3, 1 << 20)]
        raise KeyError
    assert calls == [(-3, 1 << 20), (-3, 32 << 20), (-1, 64 << 20)]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_afterwards_blocks_of_clips_are_used_again() -> None:
    """What was freed is not given back and faulted in again, page by page, for each clip."""
    program = """
import resource
from reelbeam.pipeline.runners.heap import trim_malloc
with trim_malloc():
    pass
for turn in range(220):
    if turn == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(5 << 20)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    root = pathlib.Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert int(done.stdout) < 20 * (5 << 20) // resource.getpagesize(), "of 200 blocks"


def test_another_c_library_is_left_alone() -> None:
    with trim_malloc(types.SimpleNamespace()):
        pass
