"""A small interpreter of the classic BPF that seccomp filters are written in."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_WORD = 0xFFFFFFFF


def verdict(program: bytes, audit_arch: int, number: int, arguments: Sequence[int] = ()) -> int:
    """Returns what a filter answers to a call.

    Raises:
      ValueError: an instruction is not known, reads beyond the call's description, or jumps out of the program.
    """
    arguments = [*arguments, *[0] * (6 - len(arguments))]
    call = struct.pack("<IIQ6Q", number & _WORD, audit_arch, 0, *(value & (1 << 64) - 1 for value in arguments))
    instructions = [struct.unpack_from("<HBBI", program, offset) for offset in range(0, len(program), 8)]
    word, at = 0, 0
    while 0 <= at < len(instructions):
        code, skip_if_true, skip_if_false, value = instructions[at]
        at += 1
        if code == 0x20:  # load a word
            if value % 4 or value + 4 > len(call):
                raise ValueError(f"load from {value}")
            (word,) = struct.unpack_from("<I", call, value)
        elif code in (0x15, 0x35, 0x45):  # jump if equal, at least, with a bit in common
            holds = {0x15: word == value, 0x35: word >= value, 0x45: bool(word & value)}[code]
            at += skip_if_true if holds else skip_if_false
        elif code == 0x06:  # return
            return value
        else:
            raise ValueError(f"instruction {code:#x}")
    raise ValueError("the program does not return")
