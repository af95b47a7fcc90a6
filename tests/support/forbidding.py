"""Runs a program as in a container that forbids parts of the kernel: `python forbidding.py WALLS COMMAND…`.

WALLS are those of `reelbeam.transforms.media.sandbox.confinement` that it may not have, with a comma between. A real
filter refuses them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_ARCHITECTURES = {"x86_64": (0xC000003E, 317, 157), "aarch64": (0xC00000B7, 277, 167)}  # audit, seccomp, prctl
_LANDLOCK_CREATE_RULESET = 444
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def _line(code: int, value: int, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)


def main() -> None:
    """Installs the filter and becomes the program."""
    walls, command = sys.argv[1].split(","), sys.argv[2:]
    _, seccomp, prctl = _ARCHITECTURES[platform.machine()]
    lines = [_line(0x20, 0)]
    if "landlock" in walls:
        lines += [_line(0x15, _LANDLOCK_CREATE_RULESET, 0, 1), _line(0x06, _ENOSYS)]
    if "seccomp" in walls:
        lines += [_line(0x15, seccomp, 0, 1), _line(0x06, _EPERM)]
        lines += [_line(0x15, prctl, 0, 3), _line(0x20, 16), _line(0x15, _PR_SET_SECCOMP, 0, 1), _line(0x06, _EPERM)]
    lines.append(_line(0x06, _ALLOW))
    program = ctypes.create_string_buffer(b"".join(lines))
    header = struct.pack("@HP", len(lines), ctypes.addressof(program))
    libc = ctypes.CDLL(None)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.syscall(seccomp, 1, 0, header) == 0
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
