"""The fork server: a warm, clean process that forks a decoder process for each request.

Starting Python and importing PyAV takes a hundred times as long as a fork, so one process does it once. It reads no
file except the bundled clip of its rehearsal (`rehearsal.py`). It has one thread and only its own descriptors. It reads
nothing from its children. From its parent it receives the two descriptors of each child, and it keeps no copy of them.
Each child starts from that state.

The server and its parent (`spawn.py`) exchange JSON packets over the control socket:

parent   {"fork": {"memory_bytes": N, "cpu_seconds": N}}   with the child's descriptors: its socket and its ring
         {"status": SERIAL}                                request the exit status of a child
         {"end": SERIAL}                                   kill a child if it runs, and forget it
server   {"ready": true}                                   once, after its start
         {"serial": SERIAL, "pid": PID}                    the response to "fork"
         {"failed": TEXT}                                  the response to "fork" if it failed
         {"status": NUMBER or null}                        the response to "status", as in subprocess; null if the
                                                           child runs or is unknown
         {"cpu_seconds": NUMBER}                           the response to "end": the child's CPU time, see `_end`

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
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeAlias

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


class _Ended(NamedTuple):
    """An ended child: its exit status as in subprocess, and its CPU time."""

    status: int
    cpu_seconds: float


class _ForkServer:
    def __init__(self, control: socket.socket, liveness: int, serve: Serve) -> None:
        self._control = control
        self._liveness = liveness
        self._serve = serve
        self._serials = itertools.count(1)
        self._running: dict[int, int] = {}  # the serial numbers of the children that are not reaped, by process id
        self._pids: dict[int, int] = {}  # the process ids of the same children, by serial number
        self._ended: dict[int, _Ended] = {}  # the others by serial number, until the parent forgets them
        self._killed: dict[int, float] = {}  # the reported CPU-seconds of forgotten children, by process id
        self._late_seconds = 0.0  # the CPU time that forgotten children used after it was reported
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
            ended = self._ended.get(message["status"])
            self._send({"status": ended and ended.status})
        else:
            self._reap()
            self._send({"cpu_seconds": self._end(message["end"])})

    def _end(self, serial: int) -> float:
        """Kills a child if it runs, and forgets it.

        The kernel needs CPU time to end a process, milliseconds for a large one. The server does not wait for that. It
        adds this time to that of the next child that is ended, so that the sum is exact.

        Returns:
          The CPU-seconds of the child, user and system time, as the kernel measured them. 0.0 for an unknown child.
        """
        if serial in self._ended:
            return self._ended.pop(serial).cpu_seconds + self._take_late_seconds()
        pid = self._pids.pop(serial, None)
        if pid is None:
            return 0.0
        del self._running[pid]
        # The child is not reaped yet, so its process id cannot belong to another process.
        self._killed[pid] = _cpu_seconds_of(pid)
        os.kill(pid, signal.SIGKILL)
        return self._killed[pid] + self._take_late_seconds()

    def _take_late_seconds(self) -> float:
        late, self._late_seconds = self._late_seconds, 0.0
        return late

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
        """Records the exit statuses and the CPU time of ended children."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            cpu_seconds = usage.ru_utime + usage.ru_stime
            serial = self._running.pop(pid, None)
            if serial is None:
                self._late_seconds += max(0.0, cpu_seconds - self._killed.pop(pid))
            else:
                del self._pids[serial]
                self._ended[serial] = _Ended(os.waitstatus_to_exitcode(status), cpu_seconds)

    def _send(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())


def _cpu_seconds_of(pid: int) -> float:
    """Returns the CPU-seconds that a child has used so far; 0.0 if the kernel does not say."""
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)  # the clock of clock_getcpuclockid(3)
    return 0.0
