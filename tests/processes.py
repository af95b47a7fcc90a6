"""What /proc tells of other processes, and decoder processes that misbehave."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable

DECODER = "transforms.media.sandbox_child"


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def decoders_of(pid: int) -> list[int]:
    """Returns the running decoder processes that `pid` started."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = folder.joinpath("cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and DECODER in command and is_running(int(folder.name)):
            found.append(int(folder.name))
    return found


def open_descriptors() -> int:
    """Returns how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def wait_until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Waits for something to become true, and fails if it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
