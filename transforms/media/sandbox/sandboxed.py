"""The decoder in a sandbox: `probe` and `decode_clips` as in the library, each call in a process of its own.

A file that crashes or hangs the decoder, or exhausts its memory, costs that file's clips and one process. A file that
takes over the process cannot reach other files, because the process serves one request and is killed. Processes are
forked from a fork server that has read no file (`fork_server.py`). A fork takes milliseconds.

`Sandbox` holds a fork server and its processes. The functions of this module use the one sandbox of this process.

The deadline of a request is `limits.deadline_seconds`, plus 5 s for each second of video in its segment, plus the time
to read the file. Only the time in which the caller waits for the decoder counts. Fetching a remote file does not count.
Its own limit is `limits.fetch_seconds` plus one second for each MiB of the file.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import files
from reelbeam.transforms.media.container.files import VideoFile
from reelbeam.transforms.media.container.sparse_reading import Window
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import deadline
from reelbeam.transforms.media.sandbox.confinement import Bounds
from reelbeam.transforms.media.sandbox.decoder_process import DecoderProcess
from reelbeam.transforms.media.sandbox.spawn import DECODER_MODULE, ForkServer, ServerGoneError
from reelbeam.transforms.records import ClipSpan, MediaInfo

__all__ = ["DecoderLimits", "Sandbox", "acquire", "check_confinement", "close_idle", "decode_clips", "probe", "shared"]

_MAX_STARTS = 3
_DAY_SECONDS = 24 * 3600


class Sandbox:
    """A fork server, started when it is needed, and its decoder processes. Safe for use by several threads."""

    def __init__(self, module: str = DECODER_MODULE) -> None:
        """Starts nothing.

        Args:
          module: the program of the fork server, which decides how its processes respond, see `child.py`.
        """
        self._module = module
        self._lock = threading.Lock()
        self._server: ForkServer | None = None
        self._retired: set[ForkServer] = set()
        self._processes: set[DecoderProcess] = set()
        self._is_closed = False
        _sandboxes.append(self)

    def probe(
        self,
        video: VideoFile,
        limits: DecoderLimits,
        stats: DecodeStats | None = None,
        windows: Sequence[Window] = (),
    ) -> MediaInfo:
        """Returns the properties of a video, see `reelbeam.transforms.media.decoding.probe.probe`.

        Args:
          video: a local path, or a file that is still being downloaded to local disk.
          limits: the limits of the decoder process and of the video.
          stats: gets the CPU time of the decoder process, also if it fails.
          windows: the only parts to be decoded later. Of a remote MP4, other frames are then not fetched, and other
            key frames not listed.

        Raises:
          MediaError: as in `probe.probe`, DecoderFailedError if the decoder process failed, or an error of fetching.
        """
        cpu_seconds = deadline.allowed_cpu_seconds(limits, files.size_of(video))
        with self.acquire(limits.memory_bytes, cpu_seconds, limits.allow_unconfined, stats) as process:
            return process.probe(video, limits, windows)

    def decode_clips(
        self,
        video: VideoFile,
        media: MediaInfo,
        spans: Sequence[ClipSpan],
        geometry: Geometry,
        limits: DecoderLimits,
        stats: DecodeStats | None = None,
    ) -> Iterator[tuple[ClipSpan, npt.NDArray[np.uint8]]]:
        """Yields each clip as soon as it is complete, see `reelbeam.transforms.media.decoding.decoder.decode_clips`.

        The decoder works a few clips ahead of the caller. `stats` gets the CPU time of the decoder process, also if it
        fails.

        Raises:
          MediaError: as in `decoder.decode_clips`, DecoderFailedError if the decoder process failed, or an error of
            fetching. All complete clips are yielded first.
        """
        if not spans:
            return
        cpu_seconds = deadline.allowed_cpu_seconds(limits, files.size_of(video), spans, bool(media.key_frame_pts))
        with self.acquire(limits.memory_bytes, cpu_seconds, limits.allow_unconfined, stats) as process:
            yield from process.decode_clips(video, media, spans, geometry, limits, stats)

    def check_confinement(self, limits: DecoderLimits) -> None:
        """Starts and ends a decoder process, so that a run fails early if it cannot be confined.

        Raises:
          ConfigError: the process cannot be confined, and `limits` do not accept that.
          RunError: the process does not start.
        """
        with self.acquire(limits.memory_bytes, allow_unconfined=limits.allow_unconfined):
            pass

    @contextlib.contextmanager
    def acquire(
        self,
        memory_bytes: int,
        cpu_seconds: int = _DAY_SECONDS,
        allow_unconfined: bool = False,
        stats: DecodeStats | None = None,
    ) -> Iterator[DecoderProcess]:
        """Starts a decoder process for one request and closes it at the end of the block.

        `stats` gets what the process has cost, however it ended.
        """
        process = self._start(Bounds(memory_bytes, cpu_seconds), allow_unconfined)
        try:
            yield process
        finally:
            process.close()
            if stats is not None:
                stats.add(process.spent())
            with self._lock:
                self._processes.discard(process)
            if process.has_crashed:
                # All children of a server share one memory layout. A file that crashes a decoder may be exploring it.
                self._retire(process.server)
            self._close_unused()

    def close_idle(self) -> None:
        """Ends the fork server. A server in use ends after the last of its decoder processes."""
        if self._server is not None:
            self._retire(self._server)
        self._close_unused()

    def close(self) -> None:
        """Ends every process, in use or not. No other process can be started.

        Threads that wait for a decoder get DecoderFailedError or RunError.
        """
        self._is_closed = True
        for server in self._servers():
            server.close()
        with contextlib.suppress(ValueError):  # closed before
            _sandboxes.remove(self)

    def forget(self) -> None:
        """Closes the copies of the parent's descriptors after a fork, so that no process outlives the parent."""
        self._lock = threading.Lock()
        for process in self._processes:
            process.forget()
        for server in self._servers():
            server.forget()
        self._processes.clear()
        self._retired.clear()
        self._server = None

    def _servers(self) -> list[ForkServer]:
        return [*self._retired, *([self._server] if self._server else [])]

    def _start(self, bounds: Bounds, allow_unconfined: bool) -> DecoderProcess:
        """Starts a decoder process, with a new fork server if the old one has ended."""
        reason: Exception | None = None
        for _ in range(_MAX_STARTS):
            server = self._running_server()
            try:
                process = DecoderProcess(server, bounds, allow_unconfined)
            except ServerGoneError as error:
                reason = error
                self._retire(server)
                continue
            with self._lock:
                self._processes.add(process)
            return process
        raise errors.RunError(f"the decoder process does not start: {reason}") from reason

    def _running_server(self) -> ForkServer:
        with self._lock:
            if self._is_closed:
                raise errors.RunError("the decoder process does not start: the sandbox is closed")
            if self._server is None:
                self._server = ForkServer(self._module)
                if self._is_closed:  # by another thread, while the server started
                    self._server.close()
                    raise errors.RunError("the decoder process does not start: the sandbox is closed")
            return self._server

    def _retire(self, server: ForkServer) -> None:
        """Stops forking processes from a server."""
        with self._lock:
            if self._server is server:
                self._server = None
                self._retired.add(server)

    def _close_unused(self) -> None:
        with self._lock:
            unused = self._retired - {process.server for process in self._processes}
            self._retired.difference_update(unused)
        for server in unused:
            server.close()


_sandboxes: list[Sandbox] = []
shared = Sandbox()
"""The sandbox of this process."""

probe = shared.probe
decode_clips = shared.decode_clips
check_confinement = shared.check_confinement
acquire = shared.acquire
close_idle = shared.close_idle


def _close_all() -> None:
    """Ends every process at the end of the program."""
    for sandbox in list(_sandboxes):
        sandbox.close()


def _forget_all() -> None:
    for sandbox in _sandboxes:
        sandbox.forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
