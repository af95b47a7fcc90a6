"""The decoder in a cage: `probe` and `decode_clips` as the library has them, carried out by a process of their own.

A file that crashes the decoder, hangs it or eats its memory costs that file's clips and one process; the next file
gets a new one. Processes are kept and lent to one thread at a time: a thread pays for one start, not for one a video.

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

from transforms.media.decoder import DecodeStats
from transforms.media.decoder_process import DecoderProcess
from transforms.media.files import VideoFile
from transforms.media.limits import DecoderLimits
from transforms.media.picture import Geometry
from transforms.records import ClipSpan, MediaInfo

__all__ = ["DecoderLimits", "borrow", "close_idle", "decode_clips", "probe"]

# After so many requests a process makes room for a fresh one: whatever leaks in native code leaks for so long.
_MAX_REQUESTS = 500

_lock = threading.Lock()
_idle: dict[int, list[DecoderProcess]] = {}
_all: set[DecoderProcess] = set()


def probe(video: VideoFile, limits: DecoderLimits) -> MediaInfo:
    """Returns what is known of a video, see `transforms.media.probe.probe`.

    Args:
      video: a local path, or a file that is still on its way to local disk.
      limits: what it may ask for.

    Raises:
      MediaError: as there, DecoderFailedError where the decoder process failed over the file, and what fetching raises.
    """
    with borrow(limits.memory_bytes) as process:
        return process.probe(video, limits)


def decode_clips(
    video: VideoFile,
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    geometry: Geometry,
    limits: DecoderLimits,
    stats: DecodeStats | None = None,
) -> Iterator[tuple[ClipSpan, npt.NDArray[np.uint8]]]:
    """Yields each clip as soon as it is whole, see `transforms.media.decoder.decode_clips`.

    The decoder works ahead of the caller, by a few clips.

    Raises:
      MediaError: as there, DecoderFailedError where the decoder process failed over the file, and what fetching raises;
        in any case after all clips that came out whole.
    """
    if not spans:
        return
    with borrow(limits.memory_bytes) as process:
        yield from process.decode_clips(video, media, spans, geometry, limits, stats)


@contextlib.contextmanager
def borrow(memory_bytes: int) -> Iterator[DecoderProcess]:
    """Lends a decoder process, an idle one or a new one; it is taken back, or closed if it is not idle."""
    process = _take(memory_bytes) or _start(memory_bytes)
    try:
        yield process
    finally:
        _give_back(process, memory_bytes)


def close_idle() -> None:
    """Ends the processes that nobody uses."""
    with _lock:
        processes = [process for kept in _idle.values() for process in kept]
        _idle.clear()
    for process in processes:
        _close(process)


def _take(memory_bytes: int) -> DecoderProcess | None:
    while True:
        with _lock:
            kept = _idle.get(memory_bytes)
            process = kept.pop() if kept else None
        if process is None or process.is_alive():
            return process
        _close(process)


def _start(memory_bytes: int) -> DecoderProcess:
    process = DecoderProcess(memory_bytes)
    with _lock:
        _all.add(process)
    return process


def _give_back(process: DecoderProcess, memory_bytes: int) -> None:
    if process.is_idle and process.num_requests < _MAX_REQUESTS:
        with _lock:
            kept = _idle.setdefault(memory_bytes, [])
            if len(kept) < (os.cpu_count() or 1):
                kept.append(process)
                return
    _close(process)


def _close(process: DecoderProcess) -> None:
    process.close()
    with _lock:
        _all.discard(process)


def _close_all() -> None:
    """Ends every process, in use or not: the program is over."""
    for process in list(_all):
        process.close()


def _forget_all() -> None:
    """Lets go of the parent's processes after a fork: as long as a copy is open here, they would outlive the parent."""
    global _lock
    _lock = threading.Lock()
    for process in _all:
        process.forget()
    _all.clear()
    _idle.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
