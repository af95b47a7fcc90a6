"""The decoder in a sandbox: `probe` and `decode_clips` as the library has them, each call by a process of its own.

A file that crashes the decoder, hangs it or eats its memory costs that file's clips and one process. A file that takes
the process over meets no other file: the process serves one request and is killed. It is forked from a fork server,
which has seen no file (`fork_server.py`), so that a process costs milliseconds.

The deadline of a request is `limits.deadline_seconds`, plus 5 s for a second of video in its segment, plus what
reading the file takes. Only the time in which the caller waits for the decoder counts. Fetching a remote file does not:
it has 10 minutes of its own, and a second for each MiB of the file.
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

__all__ = ["DecoderLimits", "borrow", "check_confinement", "close_idle", "decode_clips", "probe"]

_MAX_STARTS = 3
_DAY_SECONDS = 24 * 3600

_lock = threading.Lock()
_server: ForkServer | None = None
_retired: set[ForkServer] = set()
_all: set[DecoderProcess] = set()


def probe(video: VideoFile, limits: DecoderLimits) -> MediaInfo:
    """Returns what is known of a video, see `reelbeam.transforms.media.decoding.probe.probe`.

    Args:
      video: a local path, or a file that is still on its way to local disk.
      limits: what it may ask for.

    Raises:
      MediaError: as there, DecoderFailedError where the decoder process failed over the file, and what fetching raises.
    """
    cpu_seconds = deadline.allowed_cpu_seconds(limits, files.size_of(video))
    with borrow(limits.memory_bytes, cpu_seconds, limits.allow_unconfined) as process:
        return process.probe(video, limits)


def decode_clips(
    video: VideoFile,
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    limits: DecoderLimits,
    stats: DecodeStats | None = None,
) -> Iterator[tuple[ClipSpan, npt.NDArray[np.uint8]]]:
    """Yields each clip as soon as it is whole, see `reelbeam.transforms.media.decoding.decoder.decode_clips`.

    The decoder works ahead of the caller, by a few clips.

    Raises:
      MediaError: as there, DecoderFailedError where the decoder process failed over the file, and what fetching raises;
        in any case after all clips that came out whole.
    """
    if not spans:
        return
    cpu_seconds = deadline.allowed_cpu_seconds(limits, files.size_of(video), spans, bool(media.key_frame_pts))
    with borrow(limits.memory_bytes, cpu_seconds, limits.allow_unconfined) as process:
        yield from process.decode_clips(video, media, spans, geometry, limits, stats)


def check_confinement(limits: DecoderLimits) -> None:
    """Starts a decoder process and ends it, so that a run finds out before its work.

    Raises:
      ConfigError: the process cannot be confined, and `limits` do not accept that.
      RunError: it does not start.
    """
    with borrow(limits.memory_bytes, allow_unconfined=limits.allow_unconfined):
        pass


@contextlib.contextmanager
def borrow(
    memory_bytes: int, cpu_seconds: int = _DAY_SECONDS, allow_unconfined: bool = False
) -> Iterator[DecoderProcess]:
    """Gives a new decoder process, for one request; it is closed at the end of the block."""
    process = _start(Bounds(memory_bytes, cpu_seconds), allow_unconfined)
    try:
        yield process
    finally:
        process.close()
        with _lock:
            _all.discard(process)
        if process.has_crashed:
            # All children of a server have one memory layout, which a file that crashes a decoder may have probed.
            _retire(process.server)
        _close_unused()


def close_idle() -> None:
    """Ends the fork server; one that is in use ends with the last of its decoder processes."""
    if _server is not None:
        _retire(_server)
    _close_unused()


def _start(bounds: Bounds, allow_unconfined: bool) -> DecoderProcess:
    """Starts a decoder process, with a new fork server where the old one has ended."""
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
    """Has no more processes forked from a server."""
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
    """Ends every process, in use or not: the program is over."""
    for server in [*_retired, *([_server] if _server else [])]:
        server.close()


def _forget_all() -> None:
    """Lets go of the parent's processes after a fork: as long as a copy is open here, they would outlive the parent."""
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
