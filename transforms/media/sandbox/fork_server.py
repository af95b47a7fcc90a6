"""The fork server: a warm, clean process that forks a decoder process for each request.

Starting Python and importing PyAV takes a hundred times as long as a fork, so one process does it once. It reads no
file except the bundled clip of its rehearsal (`rehearsal.py`). It has one thread and only its own descriptors. It reads
nothing from its children. From its parent it receives the two descriptors of each child, and it keeps no copy of them.
Each child starts from that state.

The server and its parent (`spawn.py`) exchange JSON packets over the control socket:

parent   {"fork": {"memory_bytes": N, "cpu_seconds": N}}   with the child's descriptors: its socket and its ring
         {"status": SERIAL}                                request the exit status of a child
         {"end": SERIAL}                                   kill a child if it runs, and forget it; has no response
server   {"ready": true}                                   once, after its start
         {"serial": SERIAL, "pid": PID}                    the response to "fork"
         {"failed": TEXT}                                  the response to "fork" if it failed
         {"status": NUMBER or null}                        the response to "status", as in subprocess; null if the
                                                           child runs or is unknown

A serial number identifies one child as long as the server runs. A process id does not: the server reaps its children
immediately, and the system then reuses the id.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from reelbeam.transforms.media.sandbox import confinement

MAX_PACKET_BYTES = 4096

# os.fork also runs the hooks of threading, logging and random, which take as much CPU time as the fork itself. They
# renew locks that another thread may hold. This process has one thread, so it calls fork of the C library.
_libc = ctypes.PyDLL(None, use_errno=True)

Serve: TypeAlias = Callable[[int, int, confinement.Bounds, int], None]
"""Serves one request in a child. Arguments: its socket, its ring, its bounds and the server's process id."""


def run(serve: Serve) -> None:
    """Serves until the parent closes the control socket. `sys.argv` holds the control socket and the liveness pipe."""
    control, liveness = map(int, sys.argv[1:])
    confinement.die_with_parent(liveness)
    confinement.drop_privileges()
    confinement.prepare()
    num_threads = len(os.listdir("/proc/self/task"))
    if num_threads != 1:
        raise RuntimeError(
            f"the fork server has {num_threads} threads: its children would inherit locks that are never released"
        )
    _ForkServer(socket.socket(fileno=control), liveness, serve).run()


class _ForkServer:
    def __init__(self, control: socket.socket, liveness: int, serve: Serve) -> None:
        self._control = control
        self._liveness = liveness
        self._serve = serve
        self._serials = itertools.count(1)
        self._running: dict[int, int] = {}  # the serial numbers of the children that are not reaped, by process id
        self._pids: dict[int, int] = {}  # the process ids of the same children, by serial number
        self._statuses: dict[int, int] = {}  # the exit statuses of the others, until the parent forgets them
        self._child_ended, self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        signal.set_wakeup_fd(self._wakeup)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a byte arrives in the pipe
        gc.collect()
        gc.freeze()  # otherwise the collector of a child would copy every inherited page
        with contextlib.suppress(AttributeError):  # glibc only
            _libc.malloc_trim(0)  # otherwise a child would copy pages of freed memory
        self._send({"ready": True})
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._child_ended):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._child_ended in ready:
                os.read(self._child_ended, MAX_PACKET_BYTES)
                self._reap()
            if self._control.fileno() in ready:
                packet, descriptors, _, _ = socket.recv_fds(self._control, MAX_PACKET_BYTES, 2)
                if not packet:
                    return
                self._answer(json.loads(packet), descriptors)

    def _answer(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if "fork" in message:
            self._send(self._fork(confinement.Bounds(**message["fork"]), descriptors))
        elif "status" in message:
            self._reap()
            self._send({"status": self._statuses.get(message["status"])})
        else:
            self._end(message["end"])

    def _end(self, serial: int) -> None:
        self._statuses.pop(serial, None)
        pid = self._pids.pop(serial, None)
        if pid is not None:
            del self._running[pid]
            # The child is not reaped yet, so its process id cannot belong to another process.
            os.kill(pid, signal.SIGKILL)

    def _fork(self, bounds: confinement.Bounds, descriptors: list[int]) -> dict[str, Any]:
        server_pid = os.getpid()
        try:
            pid = _libc.fork()
            if pid < 0:
                return {"failed": os.strerror(ctypes.get_errno())}
        finally:
            if os.getpid() == server_pid:
                for descriptor in descriptors:
                    os.close(descriptor)
        if pid == 0:
            self._be_child(bounds, descriptors, server_pid)
        serial = next(self._serials)
        self._running[pid], self._pids[serial] = serial, pid
        return {"serial": serial, "pid": pid}

    def _be_child(self, bounds: confinement.Bounds, descriptors: list[int], server_pid: int) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            for descriptor in (self._liveness, self._child_ended, self._wakeup):
                os.close(descriptor)
            end, ring = descriptors
            self._serve(end, ring, bounds, server_pid)
            status = 0
        except BaseException as error:  # noqa: BLE001  a child must not return into the server's loop
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        """Records the exit statuses of ended children, except forgotten ones."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            serial = self._running.pop(pid, None)
            if serial is not None:
                del self._pids[serial]
                self._statuses[serial] = os.waitstatus_to_exitcode(status)

    def _send(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())
