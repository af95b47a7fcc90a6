"""The system calls that a decoder process may make, as a seccomp filter. Linux on x86-64 and aarch64.

The filter is an allow list. There are four classes of calls:

- `_ALLOWED` may be made with any arguments. They concern descriptors that the process holds, its own memory, the time,
  or its own end.
- `_CHECKED` may be made with certain arguments. With others they fail with EPERM.
- Every other call fails with ENOSYS, including future calls. If a new call is missing, libc falls back to an older one,
  so an update of libc or FFmpeg causes an error at worst and does not end the process.
- A call by another ABI of the machine (32 bits, x32) ends the process with SIGSYS. No program makes such a call by
  accident, and the numbers of these ABIs have other meanings.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import functools
import mmap
import platform
import struct
from collections.abc import Sequence

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1, 4

_X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigreturn": 15, "pread64": 17, "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35,
    "getpid": 39, "sendto": 44, "recvfrom": 45, "recvmsg": 47, "exit": 60, "fcntl": 72, "gettimeofday": 96,
    "gettid": 186, "time": 201, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318,
}  # fmt: skip
_AARCH64 = {
    "fcntl": 25, "close": 57, "read": 63, "write": 64, "writev": 66, "pread64": 67, "fstat": 80, "exit": 93,
    "exit_group": 94, "futex": 98, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "sched_yield": 124, "restart_syscall": 128, "rt_sigreturn": 139, "gettimeofday": 169,
    "getpid": 172, "gettid": 178, "sendto": 206, "recvfrom": 207, "recvmsg": 212, "brk": 214, "munmap": 215,
    "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278,
}  # fmt: skip

_ALLOWED = (
    # Descriptors that the process holds: the video, the ring, the socket. "write" and "writev" reach no file: the video
    # is open for reading only, and RLIMIT_FSIZE is 0. "sendmsg", which passes descriptors on, is not here.
    *("pread64", "read", "recvfrom", "recvmsg", "write", "writev", "close", "fstat"),
    # Its own memory, which RLIMIT_AS bounds.
    *("munmap", "madvise", "brk", "mremap"),
    # Waiting, the time and random numbers. Most of these are system calls only if the kernel has no vDSO for them.
    *("futex", "sched_yield", "nanosleep", "clock_nanosleep", "restart_syscall"),
    *("clock_gettime", "clock_getres", "gettimeofday", "time", "getrandom"),
    # The process itself. It cannot send signals, not even to itself.
    *("getpid", "gettid", "rt_sigreturn", "exit", "exit_group"),
)


@dataclasses.dataclass(frozen=True)
class _Check:
    """A condition for one half of an argument, by default the low one: one of `values`, or no bit of `mask`."""

    argument: int
    values: tuple[int, ...] = ()
    mask: int = 0
    is_high_half: bool = False


_CHECKED = {
    "mmap": [_Check(2, mask=mmap.PROT_EXEC)],
    "mprotect": [_Check(2, mask=mmap.PROT_EXEC)],
    # No MSG_OOB, which sends a signal, and no other flag; no address.
    "sendto": [_Check(3, (0,)), _Check(4, (0,)), _Check(4, (0,), is_high_half=True)],
    "fcntl": [_Check(1, (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_GETFL, fcntl.F_DUPFD_CLOEXEC))],
}


@dataclasses.dataclass(frozen=True)
class _Architecture:
    audit: int
    seccomp: int
    numbers: dict[str, int]
    first_foreign_number: int | None = None


_ARCHITECTURES = {
    "x86_64": _Architecture(0xC000003E, 317, _X86_64, first_foreign_number=0x40000000),  # x32 from there on
    "aarch64": _Architecture(0xC00000B7, 277, _AARCH64),
}

# BPF: load a word of the call's description, compare, return a verdict.
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
"""The verdicts of the filter."""

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def program(machine: str) -> bytes | None:
    """Returns the filter for a machine in the kernel's format; None for an unknown machine.

    The fork server calls this function, so that its children inherit the cached result.

    Args:
      machine: the machine type, as from `platform.machine`.
    """
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        return None
    lines = [
        _instruction(_LOAD, _ARCH_AT),
        _instruction(_JUMP_IF_EQUAL, architecture.audit, 1, 0),
        _instruction(_RETURN, KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture.first_foreign_number is not None:
        lines += _if(_JUMP_IF_AT_LEAST, architecture.first_foreign_number, KILL)
    for name in _ALLOWED:
        if name in architecture.numbers:
            lines += _if(_JUMP_IF_EQUAL, architecture.numbers[name], ALLOW)
    for name, checks in _CHECKED.items():
        lines += _checked(architecture.numbers[name], checks)
    return b"".join([*lines, _instruction(_RETURN, ENOSYS)])


def confine(machine: str = platform.machine()) -> bool:
    """Enables the filter for this process, for good. Needs PR_SET_NO_NEW_PRIVS.

    Returns:
      Whether the filter is in force. The machine may be unknown, and a kernel or a container may forbid filters.
    """
    instructions = program(machine)
    if instructions is None:
        return False
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    header = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(buffer))
    # prctl cannot pass the flag, without which older kernels slow the process down with unneeded mitigations.
    number, flag = _ARCHITECTURES[machine].seccomp, _SECCOMP_FILTER_FLAG_SPEC_ALLOW
    if _libc.syscall(number, _SECCOMP_SET_MODE_FILTER, flag, header) == 0:
        return True
    return _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0


def _if(jump: int, value: int, verdict: int) -> list[bytes]:
    return [_instruction(jump, value, 0, 1), _instruction(_RETURN, verdict)]


def _checked(number: int, checks: Sequence[_Check]) -> list[bytes]:
    """Returns instructions that allow a call if its arguments pass, and fail with EPERM otherwise."""
    body = [line for check in checks for line in _passes(check)] + [_instruction(_RETURN, ALLOW)]
    return [_instruction(_JUMP_IF_EQUAL, number, 0, len(body)), *body]


def _passes(check: _Check) -> list[bytes]:
    """Returns instructions that continue if an argument passes."""
    load = _instruction(_LOAD, _ARGS_AT + 8 * check.argument + 4 * check.is_high_half)
    if check.mask:
        return [load, *_if(_JUMP_IF_SET, check.mask, EPERM)]
    num_values = len(check.values)
    jumps = [_instruction(_JUMP_IF_EQUAL, value, num_values - i, 0) for i, value in enumerate(check.values)]
    return [load, *jumps, _instruction(_RETURN, EPERM)]


def _instruction(code: int, value: int, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)
