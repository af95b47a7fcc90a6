"""Tries system calls from inside a confined process: `python confined_calls.py WALLS MACHINE FOLDER PORT [NAME…]`.

Prints a JSON object: the walls that are in force, and for each attempt how it ended: "done", or the name of an errno.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import pathlib
import resource
import signal
import socket
import sys
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from syscall_tables import X86_64  # noqa: E402

from reelbeam.transforms.media.sandbox import confinement  # noqa: E402

_LIBC = ctypes.CDLL(None, use_errno=True)


def attempts(folder: str, port: int) -> dict[str, Callable[[], object]]:
    """Returns what a taken-over decoder would try, by name."""
    ours, theirs = socket.socketpair()
    pipe = os.pipe()
    file = os.open(f"{folder}/read", os.O_RDONLY)
    path = f"{folder}/read".encode()
    tcp = socket.socket()
    udp = socket.socket(type=socket.SOCK_DGRAM)

    def call(name: str, *arguments: object) -> Callable[[], object]:
        return lambda: _LIBC.syscall(X86_64[name], *arguments)

    return {
        "pread64": lambda: os.pread(file, 1, 0),
        "fcntl F_DUPFD_CLOEXEC": lambda: os.dup(file),
        "sendto": lambda: ours.send(b"x"),
        "recvfrom": lambda: theirs.recv(1),
        "getrandom": lambda: os.urandom(1),
        "mmap": call("mmap", 0, 4096, 3, 0x22, -1, 0),
        "open": lambda: os.open(f"{folder}/read", os.O_RDONLY),
        "open to write": lambda: os.open(f"{folder}/new", os.O_WRONLY | os.O_CREAT),
        "stat": lambda: os.stat(f"{folder}/read"),
        "newfstatat": call("newfstatat", file, b"", bytes(256), 0x1000),
        "utime": call("utime", path, 0),
        "utimensat": call("utimensat", -100, path, 0, 0),
        "futimesat": call("futimesat", -100, path, 0),
        "setxattr": call("setxattr", path, b"user.x", b"y", 1, 0),
        "setxattrat": call("setxattrat", -100, path, 0, b"user.x", bytes(16), 16),
        "file_setattr": call("file_setattr", -100, path, bytes(24), 24, 0),
        "lseek": lambda: os.lseek(file, 0, os.SEEK_SET),
        "socket": lambda: socket.socket(),
        "connect": lambda: tcp.connect(("127.0.0.1", port)),
        "bind": lambda: tcp.bind(("127.0.0.1", 0)),
        "sendto elsewhere": lambda: udp.sendto(b"x", ("127.0.0.1", port)),
        "socketpair": lambda: socket.socketpair(),
        "sendto MSG_OOB": lambda: ours.send(b"x", socket.MSG_OOB),
        "sendmsg": lambda: socket.send_fds(ours, [b"x"], [file]),
        "splice": call("splice", pipe[0], 0, pipe[1], 0, 1, 0),
        "memfd_create": lambda: os.memfd_create("x"),
        "memfd_secret": call("memfd_secret", 0),
        "clone": call("clone", signal.SIGCHLD, 0, 0, 0, 0),
        "clone a thread": call("clone", 0x10000, 0, 0, 0, 0),
        "clone3": call("clone3", bytes(64), 64),
        "execve": call("execve", b"/bin/true", 0, 0),
        "kill": lambda: os.kill(os.getpid(), 0),
        "kill itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "tgkill": call("tgkill", os.getpid(), os.getpid(), 0),
        "kill its parent": lambda: os.kill(1, 0),
        "pidfd_open": call("pidfd_open", os.getpid(), 0),
        "ptrace": call("ptrace", 0, 0, 0, 0),
        "process_vm_readv": call("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0),
        "prctl": call("prctl", 1, 0, 0, 0, 0),
        "setpriority": lambda: os.setpriority(os.PRIO_USER, 0, 19),
        "sched_setaffinity": call("sched_setaffinity", 0, 8, b"\xff" * 8),
        "ioprio_set": call("ioprio_set", 1, 0, 0),
        "shmget": call("shmget", 1, 4096, 0o1600),
        "msgget": call("msgget", 1, 0o1600),
        "semget": call("semget", 1, 1, 0o1600),
        "setrlimit": lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 1)),
        "mprotect PROT_EXEC": call("mprotect", 0, 0, 7),
        "mmap PROT_EXEC": call("mmap", 0, 4096, 7, 0x22, -1, 0),
        "modify_ldt": call("modify_ldt", 0, 0, 0),
        "io_setup": call("io_setup", 1, bytes(8)),
        "io_uring_setup": call("io_uring_setup", 1, bytes(120)),
        "userfaultfd": call("userfaultfd", 0),
        "sethostname": call("sethostname", b"x", 1),
        "syslog": call("syslog", 10, 0, 0),
        "reboot": call("reboot", 0, 0, 0, 0),
        "a call of the future": lambda: _LIBC.syscall(1999),
    }  # fmt: skip


def main() -> None:
    """Confines this process, tries everything and prints it."""
    walls, machine, folder, port, *names = sys.argv[1:]
    tried = attempts(folder, int(port))
    confinement.drop_privileges()
    walls_in_force = confinement.confine(confinement.Bounds(1 << 30, 60), os.getppid(), walls.split(","), machine)
    report: dict[str, object] = {"walls": walls_in_force}
    for name in names or tried:
        attempt = tried[name]
        ctypes.set_errno(0)
        try:
            result = attempt()
        except OSError as error:
            report[name] = errno.errorcode[error.errno or 0]
        else:
            report[name] = errno.errorcode[ctypes.get_errno()] if result == -1 else "done"
    os.write(1, json.dumps(report).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
