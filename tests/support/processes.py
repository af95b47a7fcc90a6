"""What /proc shows of processes: children, decoders, open descriptors."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import time
from collections import Counter
from collections.abc import Callable

DECODER = "reelbeam.transforms.media.sandbox.child"
_FORK_SERVERS = (DECODER, "babbling_decoder")


def program(*arguments: object) -> list[str]:
    """Returns the command that starts `reelbeam` with these arguments, as a process of its own."""
    return [sys.executable, "-m", "reelbeam", *map(str, arguments)]


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def fork_servers_of(pid: int) -> list[int]:
    """Returns the running fork servers that `pid` started."""
    return [
        child
        for child in children_of(pid)
        if is_running(child) and any(module in _command_of(child) for module in _FORK_SERVERS)
    ]


def decoders_of(pid: int) -> list[int]:
    """Returns the running decoder processes that `pid` had forked."""
    return [child for server in fork_servers_of(pid) for child in children_of(server) if is_running(child)]


def decoding_of(pid: int, video: str = "") -> list[int]:
    """Returns the decoder processes of `pid` that decode clips, not probe, of a video whose name ends so."""
    found = [(decoder, _opened_by(decoder)) for decoder in decoders_of(pid)]
    return [
        decoder
        for decoder, opened in found
        if any(size for name, size in opened.items() if name.startswith("/memfd:"))
        and any(name.endswith(video) for name in opened)
    ]


def _opened_by(pid: int) -> dict[str, int]:
    """Returns the files that a process has open, with the size of each in bytes; empty if it has ended."""
    found = {}
    for path in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[os.readlink(path)] = path.stat().st_size
    return found


def children_of(pid: int) -> list[int]:
    """Returns the children of a process, zombies included."""
    return [child for child, (parent, _) in _parents_and_groups().items() if parent == pid]


def running_in_group(group: int) -> list[int]:
    """Returns the running processes of a process group: a fork server's is itself and all that it forked."""
    return [pid for pid, (_, other) in _parents_and_groups().items() if other == group and is_running(pid)]


def _parents_and_groups() -> dict[int, tuple[int, int]]:
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(folder.name)] = int(fields[1]), int(fields[2])
    return found


def _command_of(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def open_descriptors() -> Counter[str]:
    """Returns what the open descriptors of this process refer to, and how many refer to each.

    Compare two results by their difference: libraries such as gRPC close descriptors of their own at any time, and in
    the child of a fork.
    """
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing
            found[os.readlink(f"/proc/self/fd/{name}")] += 1
    return found


def wait_until(holds: Callable[[], object], seconds: float = 20, interval_seconds: float = 0.02) -> None:
    """Waits for something to become true, and fails if it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(interval_seconds)
