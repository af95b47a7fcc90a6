"""What a decoder process gives up before it reads the first byte of a video. Linux only; needs no privileges.

In this order: the fork server, once and for all its children, gives up new privileges and every capability
(`drop_privileges`). Each child then limits its memory (`limit_memory`), binds its life to the server's, limits files,
processes and CPU time, hides from tracers, and puts Landlock (`landlock.py`) and the allow list of system calls
(`seccomp.py`) in force (`confine`).
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
"""What keeps a process in that a file has taken over. Limits alone do not."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What one decoder process may use.

    Attributes:
      memory_bytes: address space, beyond what it starts with.
      cpu_seconds: CPU time.
    """

    memory_bytes: int
    cpu_seconds: int


def die_with_parent(liveness: int) -> None:
    """Has the kernel kill this process once the last write end of the pipe `liveness` is closed.

    It needs no cooperation of this process, which may be hung or stopped. PR_SET_PDEATHSIG would not do: it fires when
    the parent's thread ends, not its process.
    """
    with contextlib.suppress(OSError):  # where the kernel cannot, the process ends with its next message
        fcntl.fcntl(liveness, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(liveness, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(liveness, fcntl.F_SETFL, fcntl.fcntl(liveness, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(liveness, 0)
    if poll.poll(0):  # the parent ended before the kernel was asked
        os._exit(0)


def drop_privileges() -> None:
    """Gives up every capability, and every way to get one back, for this process and its children."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:  # until there is none, or it is not permitted
        capability += 1
    _libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def prepare() -> None:
    """Works out what is the same for all children of this process."""
    landlock.prepare()
    seccomp.program(platform.machine())


def confine(
    bounds: Bounds, parent: int, walls: Collection[str] = WALLS, machine: str = platform.machine()
) -> list[str]:
    """Confines this process for good, except for its memory; `drop_privileges` was called before.

    Args:
      bounds: what it may use.
      parent: the process id of its parent, with which it is to end.
      walls: those to put up, if the kernel has them.
      machine: as `platform.machine` names it.

    Returns:
      The walls that are in force.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _MAX_DESCRIPTORS)
    _limit(resource.RLIMIT_NPROC, 0)
    # SIGXCPU first: an end by SIGKILL would look like the work of somebody else.
    _limit(resource.RLIMIT_CPU, bounds.cpu_seconds, bounds.cpu_seconds + _SECONDS_BEFORE_KILL)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    in_force = []
    if "landlock" in walls and landlock.confine():
        in_force.append("landlock")
    if "seccomp" in walls and seccomp.confine(machine):
        in_force.append("seccomp")
    return in_force


def limit_memory(memory_bytes: int) -> int:
    """Limits the address space to so many bytes more than now; returns the limit. A limit that is lower stays."""
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    used_bytes = int(os.read(statm, 100).split()[0]) * mmap.PAGESIZE
    os.close(statm)
    _limit(resource.RLIMIT_AS, used_bytes + memory_bytes)
    return resource.getrlimit(resource.RLIMIT_AS)[0]


def _limit(which: int, wanted: int, wanted_hard: int | None = None) -> None:
    """Lowers a limit; one that is lower already stays."""
    old_soft, old_hard = resource.getrlimit(which)
    hard = _lower(old_hard, wanted if wanted_hard is None else wanted_hard)
    resource.setrlimit(which, (_lower(_lower(old_soft, wanted), hard), hard))


def _lower(old: int, wanted: int) -> int:
    return wanted if old == resource.RLIM_INFINITY else min(old, wanted)
