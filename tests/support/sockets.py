"""Which sockets a process and its children listen on, and a filter under which no program can listen."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import re
import struct

_LISTENING = "0A"

# Installs a seccomp filter that kills this process when it calls listen(2), then runs one command of the program.
DEAF = """
import ctypes, struct, sys
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, 50), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
header = struct.pack("@HP", len(lines), ctypes.addressof(program))
assert ctypes.CDLL(None).prctl(22, 2, header, 0, 0) == 0, "no seccomp here"
import logging, os
from reelbeam.pipeline.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
"""


def listeners(pid: int) -> set[tuple[str, int]]:
    """Returns the address and port of each TCP socket on which a process or a child of it listens."""
    inodes = set().union(*(_socket_inodes(process) for process in [pid, *_children(pid)]))
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = pathlib.Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]
        except OSError:  # it has ended
            return set()
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((_address(address), int(port, 16)))
    return found


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return ipaddress.ip_address(address).is_loopback


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            match = re.fullmatch(r"socket:\[(\d+)\]", _link(f"/proc/{pid}/fd/{descriptor}"))
            if match:
                found.add(match[1])
    except OSError:
        pass
    return found


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def _address(text: str) -> str:
    """Reads an address of /proc/net, which is written in words of the machine's byte order."""
    words = struct.pack(f"={len(text) // 8}I", *(int(text[at : at + 8], 16) for at in range(0, len(text), 8)))
    address = ipaddress.ip_address(words)
    return str(getattr(address, "ipv4_mapped", None) or address)
