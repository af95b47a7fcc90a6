"""Landlock, the second restriction of a decoder process: no files, no TCP and no signals, by any system call.

Landlock restricts access to objects, and `seccomp.py` restricts calls, so a call that one misses meets the other.
Landlock needs Linux 5.13. Later versions restrict more: TCP from 6.7, signals and abstract sockets from 6.12. Files
that are already open stay usable.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct

# The same numbers on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_GET_VERSION = 1

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""The number of file access rights, one bit each, by the first version that has them."""
_TCP_VERSION, _TCP_RIGHTS = 4, 0b11  # to bind, to connect
_SCOPE_VERSION, _SCOPES = 6, 0b11  # abstract sockets, signals

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def prepare() -> bytes | None:
    """Returns the rules for this kernel, which allow nothing; None if the kernel has no Landlock.

    The fork server calls this function, so that its children inherit the cached result.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, _GET_VERSION)
    return ruleset(version) if version >= 1 else None


def confine() -> bool:
    """Forbids this process, for good, everything that the kernel's Landlock can forbid. Needs PR_SET_NO_NEW_PRIVS.

    Returns:
      Whether the rules are in force. Old kernels have no Landlock, and a container may forbid it.
    """
    rules = prepare()
    if rules is None:
        return False
    descriptor = _libc.syscall(_CREATE_RULESET, rules, len(rules), 0)
    if descriptor < 0:
        return False
    try:
        return _libc.syscall(_RESTRICT_SELF, descriptor, 0) == 0
    finally:
        os.close(descriptor)


def ruleset(version: int) -> bytes:
    """Returns struct landlock_ruleset_attr of a version: the rights that are denied unless a rule grants them."""
    num_rights = max(count for first, count in _FILE_RIGHTS.items() if first <= version)
    words = [(1 << num_rights) - 1]
    if version >= _TCP_VERSION:
        words.append(_TCP_RIGHTS)
    if version >= _SCOPE_VERSION:
        words.append(_SCOPES)
    return struct.pack(f"={len(words)}Q", *words)
