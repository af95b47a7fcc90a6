"""Confine a decoder process before it reads the first byte of a video. Linux only; needs no privileges.

First, the fork server drops every capability and forbids new privileges, for itself and all its children
(`drop_privileges`). Each child then limits its memory (`limit_memory`). Finally (`confine`) it binds its life to the
server's, limits files, processes and CPU time, forbids tracing, and enables Landlock (`landlock.py`) and the allow list
of system calls (`seccomp.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import mmap
import os
import platform
import resource
import select
import signal
import struct
from collections.abc import Collection

from reelbeam.transforms.media.sandbox import landlock, seccomp

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_MAX_DESCRIPTORS = 32
_SECONDS_BEFORE_KILL = 5

WALLS = ("landlock", "seccomp")
"""The mechanisms that contain a process that a file has taken over. Resource limits alone do not."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The resources that one decoder process may use.

    Attributes:
      memory_bytes: address space in addition to that at the start.
      cpu_seconds: CPU time.
    """

    memory_bytes: int
    cpu_seconds: int


def die_with_parent(liveness: int) -> None:
    """Makes the kernel kill this process once the last write end of the pipe `liveness` is closed.

    This works even if this process is hung or stopped. PR_SET_PDEATHSIG is not enough: it fires when the parent's
    thread ends, not its process.
    """
    with contextlib.suppress(OSError):  # without kernel support, the process ends at its next message
        fcntl.fcntl(liveness, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(liveness, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(liveness, fcntl.F_SETFL, fcntl.fcntl(liveness, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(liveness, 0)
    if poll.poll(0):  # the parent ended before fcntl was called
        os._exit(0)


def drop_privileges() -> None:
    """Drops every capability for good, for this process and its children."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:  # fails after the last one, or without permission
        capability += 1
    _libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def prepare() -> None:
    """Computes what all children of this process share."""
    landlock.prepare()
    seccomp.program(platform.machine())


def confine(
    bounds: Bounds, parent_pid: int, walls: Collection[str] = WALLS, machine: str = platform.machine()
) -> list[str]:
    """Confines this process for good, except for its memory. Call `drop_privileges` before.

    Args:
      bounds: the resources that the process may use.
      parent_pid: the process id of its parent, with which it ends.
      walls: the walls to enable, if the kernel supports them.
      machine: the machine type, as from `platform.machine`.

    Returns:
      The enabled walls.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before prctl was called
        os._exit(0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _MAX_DESCRIPTORS)
    _limit(resource.RLIMIT_NPROC, 0)
    # SIGXCPU first, because SIGKILL counts as a cause outside the file.
    _limit(resource.RLIMIT_CPU, bounds.cpu_seconds, bounds.cpu_seconds + _SECONDS_BEFORE_KILL)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    in_force = []
    if "landlock" in walls and landlock.confine():
        in_force.append("landlock")
    if "seccomp" in walls and seccomp.confine(machine):
        in_force.append("seccomp")
    return in_force


def limit_memory(memory_bytes: int) -> int:
    """Limits the address space to its current size plus `memory_bytes`, unless a lower limit exists.

    Returns:
      The limit in bytes.
    """
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    used_bytes = int(os.read(statm, 100).split()[0]) * mmap.PAGESIZE
    os.close(statm)
    _limit(resource.RLIMIT_AS, used_bytes + memory_bytes)
    return resource.getrlimit(resource.RLIMIT_AS)[0]


def _limit(which: int, wanted: int, wanted_hard: int | None = None) -> None:
    """Lowers a limit, unless it is lower already."""
    old_soft, old_hard = resource.getrlimit(which)
    hard = _lower(old_hard, wanted if wanted_hard is None else wanted_hard)
    resource.setrlimit(which, (_lower(_lower(old_soft, wanted), hard), hard))


def _lower(old: int, wanted: int) -> int:
    return wanted if old == resource.RLIM_INFINITY else min(old, wanted)
