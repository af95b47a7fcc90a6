"""Reads the lock of an output that must exist."""

from __future__ import annotations

from reelbeam.transforms.output.lock.lock_file import LockRecord, read_lock


def lock_record(output: str) -> LockRecord:
    """Returns the content of an output's lock file; fails if there is none."""
    found = read_lock(output)
    assert found is not None, f"{output} has no lock"
    return found
