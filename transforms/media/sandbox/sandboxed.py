"""The decoder in a sandbox: `probe` and `decode_clips` as in the library, each call in a process of its own.

A file that crashes or hangs the decoder, or exhausts its memory, costs that file's clips and one process. A file that
takes over the process cannot reach other files, because the process serves one request and is killed. Processes are
forked from a fork server that has read no file (`fork_server.py`). A fork takes milliseconds.

The deadline of a request is `limits.deadline_seconds`, plus 5 s for each second of video in its segment, plus the time
to read the file. Only the time in which the caller waits for the decoder counts. Fetching a remote file does not count.
Its own limit is 10 minutes plus one second for each MiB of the file.
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
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import deadline
from reelbeam.transforms.media.sandbox.confinement import Bounds
from reelbeam.transforms.media.sandbox.decoder_process import DecoderProcess
from reelbeam.transforms.media.sandbox.spawn import ForkServer, ServerGoneError
from reelbeam.transforms.records import ClipSpan, MediaInfo

__all__ = ["DecoderLimits", "acquire", "check_confinement", "close_idle", "decode_clips", "probe"]

_MAX_STARTS = 3
_DAY_SECONDS = 24 * 3600

_lock = threading.Lock()
_server: ForkServer | None = None
_retired: set[ForkServer] = set()
_all: set[DecoderProcess] = set()


def probe(video: VideoFile, limits: DecoderLimits) -> MediaInfo:
    """Returns the properties of a video, see `reelbeam.transforms.media.decoding.probe.probe`.

    Args:
      video: a local path, or a file that is still being downloaded to local disk.
      limits: the limits of the decoder process and of the video.

    Raises:
      MediaError: as in `probe.probe`, DecoderFailedError if the decoder process failed, or an error of fetching.
    """
    cpu_seconds = deadline.allowed_cpu_seconds(limits, files.size_of(video))
    with acquire(limits.memory_bytes, cpu_seconds, limits.allow_unconfined) as process:
        return process.probe(video, limits)


def decode_clips(
    video: VideoFile,
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    limits: DecoderLimits,
    stats: DecodeStats | None = None,
) -> Iterator[tuple[ClipSpan, npt.NDArray[np.uint8]]]:
    """Yields each clip as soon as it is complete, see `reelbeam.transforms.media.decoding.decoder.decode_clips`.

    The decoder works a few clips ahead of the caller.

    Raises:
      MediaError: as in `decoder.decode_clips`, DecoderFailedError if the decoder process failed, or an error of
        fetching. All complete clips are yielded first.
    """
    if not spans:
        return
    cpu_seconds = deadline.allowed_cpu_seconds(limits, files.size_of(video), spans, bool(media.key_frame_pts))
    with acquire(limits.memory_bytes, cpu_seconds, limits.allow_unconfined) as process:
        yield from process.decode_clips(video, media, spans, geometry, limits, stats)


def check_confinement(limits: DecoderLimits) -> None:
    """Starts and ends a decoder process, so that a run fails early if it cannot be confined.

    Raises:
      ConfigError: the process cannot be confined, and `limits` do not accept that.
      RunError: the process does not start.
    """
    with acquire(limits.memory_bytes, allow_unconfined=limits.allow_unconfined):
        pass


@contextlib.contextmanager
def acquire(
    memory_bytes: int, cpu_seconds: int = _DAY_SECONDS, allow_unconfined: bool = False
) -> Iterator[DecoderProcess]:
    """Starts a decoder process for one request and closes it at the end of the block."""
    process = _start(Bounds(memory_bytes, cpu_seconds), allow_unconfined)
    try:
        yield process
    finally:
        process.close()
        with _lock:
            _all.discard(process)
        if process.has_crashed:
            # All children of a server share one memory layout. A file that crashes a decoder may be exploring it.
            _retire(process.server)
        _close_unused()


def close_idle() -> None:
    """Ends the fork server. A server in use ends after the last of its decoder processes."""
    if _server is not None:
        _retire(_server)
    _close_unused()


def _start(bounds: Bounds, allow_unconfined: bool) -> DecoderProcess:
    """Starts a decoder process, with a new fork server if the old one has ended."""
    reason: Exception | None = None
    for _ in range(_MAX_STARTS):
        server = _running_server()
        try:
            process = DecoderProcess(server, bounds, allow_unconfined)
        except ServerGoneError as error:
            reason = error
            _retire(server)
            continue
        with _lock:
            _all.add(process)
        return process
    raise errors.RunError(f"the decoder process does not start: {reason}") from reason


def _running_server() -> ForkServer:
    global _server
    with _lock:
        if _server is None:
            _server = ForkServer()
        return _server


def _retire(server: ForkServer) -> None:
    """Stops forking processes from a server."""
    global _server
    with _lock:
        if _server is server:
            _server = None
            _retired.add(server)


def _close_unused() -> None:
    with _lock:
        unused = _retired - {process.server for process in _all}
        _retired.difference_update(unused)
    for server in unused:
        server.close()


def _close_all() -> None:
    """Ends every process at the end of the program, in use or not."""
    for server in [*_retired, *([_server] if _server else [])]:
        server.close()


def _forget_all() -> None:
    """Closes the copies of the parent's descriptors after a fork, so that no process outlives the parent."""
    global _lock, _server
    _lock = threading.Lock()
    for process in _all:
        process.forget()
    for server in [*_retired, *([_server] if _server else [])]:
        server.forget()
    _all.clear()
    _retired.clear()
    _server = None


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
