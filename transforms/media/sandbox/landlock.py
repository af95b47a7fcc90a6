"""Landlock, the second wall around a decoder process: no file, no TCP, no signal, whatever the system call.

It knows objects where `seccomp.py` knows calls, so a call that slips through there meets it here. Landlock came with
Linux 5.13, and each version of its interface refuses more: from 6.7 on TCP, from 6.12 on signals and abstract sockets.
Files that are open already stay usable.
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
"""By the first version that has them: how many rights over files there are, one a bit."""
_TCP_VERSION, _TCP_RIGHTS = 4, 0b11  # to bind, to connect
_SCOPE_VERSION, _SCOPES = 6, 0b11  # abstract sockets, signals

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def prepare() -> bytes | None:
    """Returns the rules for this kernel, which allow nothing; None where the kernel has no Landlock.

    The fork server calls it, so that its children find the answer.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, _GET_VERSION)
    return ruleset(version) if version >= 1 else None


def confine() -> bool:
    """Forbids this process, for good, all that the kernel's Landlock can forbid; PR_SET_NO_NEW_PRIVS must be set.

    Returns:
      Whether it is in force: an old kernel has no Landlock, and a container may forbid it.
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
