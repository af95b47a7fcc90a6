"""The parent's side of the fork server: start it, have it fork decoder processes, read their exit statuses."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from reelbeam.transforms import errors
from reelbeam.transforms.media.sandbox.confinement import Bounds
from reelbeam.transforms.media.sandbox.fork_server import MAX_PACKET_BYTES

DECODER_MODULE = "reelbeam.transforms.media.sandbox.child"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONHOME")  # no credentials in there
_START_SECONDS = 120


class ServerGoneError(Exception):
    """The fork server has ended, or does not respond. Its children end with it."""


class ForkServer:
    """A fork server. Safe for use by several threads."""

    def __init__(self, module: str = DECODER_MODULE) -> None:
        """Starts the server and waits until it is ready.

        Args:
          module: the program that becomes the server, see `fork_server.run`.

        Raises:
          RunError: the server does not start.
        """
        self._lock = threading.RLock()
        try:
            self._start(module)
        except OSError as error:  # no descriptor, no memory or no process left
            raise errors.RunError(f"the decoder process does not start: {error}") from error
        try:
            ready = self._receive()
        except ServerGoneError as error:
            raise errors.RunError(f"the decoder process does not start: {error}") from error
        except KeyboardInterrupt:
            self.close()
            raise
        if "bug" in ready:
            self.close()
            raise errors.RunError(f"the decoder process does not start: {ready['bug']}")

    def _start(self, module: str) -> None:
        """Starts the server. Closes all descriptors if that fails."""
        with contextlib.ExitStack() as opened:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.enter_context(self._control)
            with theirs:
                self._control.settimeout(_START_SECONDS)
                theirs.setblocking(True)  # overrides socket.setdefaulttimeout, which Google's libraries call
                liveness, self._liveness = os.pipe()
                opened.callback(os.close, self._liveness)
                try:
                    self._process = _start(module, theirs.fileno(), liveness)
                finally:
                    os.close(liveness)
            opened.pop_all()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Returns whether the server runs."""
        return self._liveness >= 0 and self._process.poll() is None

    def fork(self, end: int, ring: int, bounds: Bounds) -> Child:
        """Forks a decoder process.

        Args:
          end: the descriptor of its socket; the caller closes its own copy.
          ring: the descriptor of its ring; likewise.
          bounds: the resources that the process may use.

        Raises:
          ServerGoneError: the server has ended.
          RunError: the system has no room for one more process.
        """
        response = self._ask({"fork": dataclasses.asdict(bounds)}, [end, ring])
        if "failed" in response:
            raise errors.RunError(f"the decoder process does not start: {response['failed']}")
        return Child(self, response["serial"], response["pid"])

    def status(self, serial: int) -> int | None:
        """Returns the exit status of a child as in `subprocess`; None: it runs. Raises ServerGoneError."""
        return self._ask({"status": serial})["status"]

    def end(self, serial: int) -> float:
        """Kills a child if it runs, and forgets it. Does not wait for its end.

        Returns:
          The CPU-seconds of the child, user and system time.

        Raises:
          ServerGoneError: the server has ended, and its children with it.
        """
        return self._ask({"end": serial})["cpu_seconds"]

    def close(self) -> None:
        """Kills and reaps the server. Its children end with it. A thread that waits for the server gets an error."""
        self._process.kill()
        self._process.wait()
        with self._lock:  # until no other thread reads from the descriptor
            self.forget()

    def forget(self) -> None:
        """Closes this process's ends without killing the server, which belongs to the parent after a fork."""
        self._control.close()
        if self._liveness >= 0:
            os.close(self._liveness)
            self._liveness = -1

    def _ask(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
                return self._receive()
            except OSError as error:
                raise ServerGoneError(f"the fork server has ended: {error}") from error
            except KeyboardInterrupt:
                self.close()  # its response would be taken for the next request's
                raise

    def _receive(self) -> dict[str, Any]:
        try:
            packet = self._control.recv(MAX_PACKET_BYTES)
        except OSError as error:  # including timeouts: the server is hung or stopped
            self.close()
            raise ServerGoneError(f"the fork server does not respond: {error}") from error
        if not packet:
            self.close()
            raise ServerGoneError("the fork server has ended")
        return json.loads(packet)


class Child:
    """A decoder process.

    Attributes:
      pid: its process id. The process may have ended.
      cpu_seconds: its user and system time, measured by the kernel; 0.0 until `kill`, and if its server has ended.
    """

    def __init__(self, server: ForkServer, serial: int, pid: int) -> None:
        self.pid = pid
        self.cpu_seconds = 0.0
        self._server = server
        self._serial = serial
        self._status: int | None = None
        self._is_ended = False

    def poll(self) -> int | None:
        """Returns the exit status as in `subprocess`; None: the process runs."""
        if self._status is None and not self._is_ended:
            try:
                self._status = self._server.status(self._serial)
            except ServerGoneError:
                self._status = -signal.SIGKILL  # with its server
        return self._status

    def kill(self) -> None:
        """Kills the process if it runs. Does not wait for its end."""
        if not self._is_ended:
            self._is_ended = True
            with contextlib.suppress(ServerGoneError):
                self.cpu_seconds = self._server.end(self._serial)


def _start(module: str, control: int, liveness: int) -> subprocess.Popen[bytes]:
    """Starts a server as a new program without a shell.

    The server gets a process group of its own, so that Ctrl-C does not reach it.
    It stays in its parent's session: Linux would schedule another session without regard to the parent's niceness.
    """
    root = str(pathlib.Path(__file__).absolute().parents[4])  # of the package `reelbeam`, through its links
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment |= {
        "PYTHONPATH": os.pathsep.join([root, *(entry for entry in sys.path if entry)]),
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "1048576",
        "MALLOC_TRIM_THRESHOLD_": "4194304",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-S", "-m", module, str(control), str(liveness)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        pass_fds=(control, liveness),
        process_group=0,
    )
