"""The processes of a cluster: started independently of this process, found by a mark in their environment.

The mark is inherited, so a Python worker and its decoder are found as parts of the TaskManager that started them, even
after it was killed. Needs /proc.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

MARK = "REELBEAM_FLINK_PROCESS"
_SECONDS_TO_STOP = 10.0


class Process(NamedTuple):
    """A running process of a cluster.

    Attributes:
      pid: the process id.
      name: the name of the process, or of the process that started it: jobmanager, jobserver, taskmanager-1, …
      is_leader: whether it is the process with this name.
      command: its command line.
    """

    pid: int
    name: str
    is_leader: bool
    command: str


def start(
    folder: pathlib.Path, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own, which outlives this process. Its output goes to logs/NAME.out."""
    log = folder / "logs" / f"{name}.out"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment, MARK: f"{folder}:{name}"},
            start_new_session=True,
        )


def find(folder: pathlib.Path) -> list[Process]:
    """Returns the running processes of the cluster whose state is in `folder`, with their descendants."""
    found: dict[int, Process] = {}
    seen = {pid: facts for pid in _pids() if (facts := _facts(pid))}
    for pid in seen:
        mark, ancestor = "", pid
        while (
            not mark and ancestor in seen
        ):  # decoders are started without the environment: their parents bear the mark
            mark, ancestor = seen[ancestor].mark, seen[ancestor].parent
        where, _, name = mark.rpartition(":")
        if where == str(folder):
            found[pid] = Process(pid, name, seen[pid].session == pid, seen[pid].command)
    return [found[pid] for pid in sorted(found)]


class _Facts(NamedTuple):
    mark: str
    parent: int
    session: int
    command: str


def _pids() -> list[int]:
    return [int(entry.name) for entry in pathlib.Path("/proc").glob("[0-9]*")]


def _facts(pid: int) -> _Facts | None:
    """Returns facts about a process from /proc; None if it has ended or belongs to another user."""
    folder = pathlib.Path("/proc") / str(pid)
    try:
        variables = dict(item.partition(b"=")[::2] for item in (folder / "environ").read_bytes().split(b"\0"))
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if state == "Z":
        return None
    return _Facts(os.fsdecode(variables.get(MARK.encode(), b"")), int(parent), int(session), command)


def leaders(folder: pathlib.Path) -> dict[str, int]:
    """Returns the ids of the cluster's processes by name, without their children."""
    return {process.name: process.pid for process in find(folder) if process.is_leader}


def stop_all(folder: pathlib.Path) -> list[str]:
    """Ends every process of the cluster, with SIGKILL after a while. Returns the names of the processes that ran."""
    names = sorted(leaders(folder))
    deadline = time.monotonic() + _SECONDS_TO_STOP
    asked: set[int] = set()
    while running := find(folder):
        by_force = time.monotonic() > deadline
        _signal((process.pid for process in running if by_force or process.pid not in asked), by_force)
        asked |= {process.pid for process in running}
        time.sleep(0.1)
    return names


def _signal(pids: Iterable[int], by_force: bool) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL if by_force else signal.SIGTERM)
        except ProcessLookupError:
            continue
