"""What a decoder process gives up before it reads the first byte of a video. Linux only; needs no privileges.

Memory, files and descriptors are limited, new privileges ruled out, and a seccomp filter refuses the system calls that
would open a file, reach the network, start a program or touch another process. The filter lists what is refused, not
what is allowed, so that a new libc or kernel cannot break decoding. It is made for x86-64; on other machines, and where
a container forbids filters, the rest holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import platform
import resource
import select
import signal
import struct

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SECCOMP, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_SPEC_ALLOW = 317, 1, 4
_MAX_DESCRIPTORS = 32

# BPF: load a word of the call's description, compare, return a verdict.
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_AUDIT_ARCH_X86_64 = 0xC000003E
_X32_BIT = 0x40000000

# System calls of x86-64 that decoding has no use for.
_REFUSED = {
    "files": (2, 85, 257, 437, 303, 304),  # open, creat, openat, openat2, name_to_handle_at, open_by_handle_at
    "folders": (82, 83, 84, 86, 87, 88, 133, 258, 259, 263, 264, 265, 266, 316),  # rename … link, unlink, mknod, *at
    "attributes": (76, 77, 90, 91, 92, 93, 94, 188, 189, 190, 260, 268, 280, 452),  # truncate, chmod, chown, xattr …
    "network": (41, 42, 43, 49, 50, 53, 288),  # socket, connect, accept, bind, listen, socketpair, accept4
    "programs": (57, 58, 59, 322),  # fork, vfork, execve, execveat
    "processes": (62, 101, 129, 200, 297, 310, 311, 424, 434, 438, 440),  # kill, ptrace, tkill, process_vm_*, pidfd_*
    "namespaces": (
        155,
        161,
        165,
        166,
        272,
        308,
        428,
        429,
        430,
        432,
        442,
    ),  # pivot_root, chroot, mount, unshare, setns …
    "shared memory": (29, 30, 64, 68, 240, 319),  # shmget, shmat, semget, msgget, mq_open, memfd_create
    "kernel": (16, 175, 248, 249, 250, 253, 294, 298, 300, 313, 321, 323, 425),  # ioctl, modules, keys, bpf, io_uring …
}
_CLONE, _CLONE3, _TGKILL, _PRLIMIT, _FCNTL = 56, 435, 234, 302, 72
_CLONE_THREAD = 0x10000
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15


def die_with_parent(liveness: int) -> None:
    """Has the kernel kill this process once the last write end of the pipe `liveness` is closed.

    It needs no cooperation of this process, which may be deep in native code, hung or stopped. PR_SET_PDEATHSIG would
    not do: it fires when the parent's thread ends, not its process.
    """
    with contextlib.suppress(OSError):  # where the kernel cannot, the process ends with its next message
        fcntl.fcntl(liveness, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(liveness, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(liveness, fcntl.F_SETFL, fcntl.fcntl(liveness, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(liveness, 0)
    if poll.poll(0):  # the parent ended before the kernel was asked
        os._exit(0)


def confine(memory_bytes: int) -> bool:
    """Limits this process for good: `memory_bytes` more address space than now, no new files, no way out.

    Returns:
      Whether the seccomp filter is in force.
    """
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        used_bytes = int(statm.read().split()[0]) * mmap.PAGESIZE
    _limit(resource.RLIMIT_AS, used_bytes + memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _MAX_DESCRIPTORS)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or platform.machine() != "x86_64":
        return False
    instructions = _filter(os.getpid())
    program = ctypes.create_string_buffer(b"".join(instructions))
    header = struct.pack("@HP", len(instructions), ctypes.addressof(program))
    # By system call, for the flag: older kernels would slow the process down with mitigations that it has no use for.
    if libc.syscall(_SECCOMP, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_SPEC_ALLOW, header) == 0:
        return True
    return libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0


def _limit(which: int, wanted: int) -> None:
    """Lowers a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (value, value))


def _filter(own_pid: int) -> list[bytes]:
    """Returns the seccomp filter: instructions run from top to bottom until one returns a verdict."""
    program = [
        _instruction(_LOAD, _ARCH_AT),
        *_unless(_JUMP_IF_EQUAL, _AUDIT_ARCH_X86_64, _EPERM),
        _instruction(_LOAD, _NUMBER_AT),
        *_if(_JUMP_IF_AT_LEAST, _X32_BIT, _EPERM),
        *_if(_JUMP_IF_EQUAL, _CLONE3, _ENOSYS),  # its flags are out of sight: libc falls back to clone
    ]
    for number in sorted({number for numbers in _REFUSED.values() for number in numbers}):
        program += _if(_JUMP_IF_EQUAL, number, _EPERM)
    program += _arguments(_CLONE, 0, _unless(_JUMP_IF_SET, _CLONE_THREAD, _EPERM))  # threads, no processes
    program += _arguments(_TGKILL, 0, _unless(_JUMP_IF_EQUAL, own_pid, _EPERM))  # abort() only
    program += _arguments(_PRLIMIT, 0, _unless(_JUMP_IF_EQUAL, 0, _EPERM))  # own limits only
    owners = [_if(_JUMP_IF_EQUAL, command, _EPERM) for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX)]
    program += _arguments(_FCNTL, 1, [line for owner in owners for line in owner])  # no signals by way of a file
    return [*program, _instruction(_RETURN, _ALLOW)]


def _if(jump: int, value: int, verdict: int) -> list[bytes]:
    return [_instruction(jump, value, 0, 1), _instruction(_RETURN, verdict)]


def _unless(jump: int, value: int, verdict: int) -> list[bytes]:
    return [_instruction(jump, value, 1, 0), _instruction(_RETURN, verdict)]


def _arguments(number: int, argument: int, checks: list[bytes]) -> list[bytes]:
    """Runs checks on the low half of one call's argument; all that passes them is allowed."""
    body = [_instruction(_LOAD, _ARGS_AT + 8 * argument), *checks, _instruction(_RETURN, _ALLOW)]
    return [_instruction(_JUMP_IF_EQUAL, number, 0, len(body)), *body]


def _instruction(code: int, value: int, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)
