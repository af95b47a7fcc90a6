"""The decoder process, a child of the fork server `python -m reelbeam.transforms.media.sandbox.child CONTROL LIVENESS`.

Only `spawn.py` starts it. Each child confines itself, reads one request from its socket, decodes the file whose
descriptor is attached, and writes the clips into a ring of slots in shared memory, a little ahead of its parent. It
ends after its response, so a file that takes over a decoder cannot reach other files. It also ends when the socket is
closed, and the kernel kills it when the fork server or the parent dies.

Any other exception (a defect, or a file that provokes one) ends the process, and the parent reports an error for the
video.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib
import os
import pkgutil
import socket
import sys
import time
from collections.abc import Iterator
from types import TracebackType

import av

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import files
from reelbeam.transforms.media.container.sparse_reading import LeftOut, Window
from reelbeam.transforms.media.decoding.decoder import DecodeStats, Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import confinement, fork_server, protocol, rehearsal
from reelbeam.transforms.media.sandbox.ring import Ring
from reelbeam.transforms.records import ClipSpan

_MAX_BYTES_PER_PIXEL = 8


def main() -> None:
    """Runs the fork server in this process."""
    _import_all_of_av()
    rehearsal.rehearse(_rehearsed)
    fork_server.run(serve)


def serve(end: int, ring: int, bounds: confinement.Bounds, server_pid: int) -> None:
    """Confines this process and serves one request, see `fork_server.Serve`."""
    channel = protocol.Channel(socket.socket(fileno=end))
    sys.excepthook = _Reporter(channel)
    _offer_to_oom_killer()
    memory = _Memory(confinement.limit_memory(bounds.memory_bytes))
    channel.send({"ready": True, "confined_by": confinement.confine(bounds, server_pid)})
    _serve(channel, ring, memory)


def _rehearsed(channel: protocol.Channel, ring: int) -> None:
    """Serves one request in the fork server, see `rehearsal.Answer`."""
    with contextlib.closing(_Memory(sys.maxsize)) as memory:
        _serve(channel, ring, memory)


def _serve(channel: protocol.Channel, ring: int, memory: _Memory) -> None:
    request = channel.receive(with_descriptors=True)
    if request is not None:
        _Server(channel, ring, memory).serve(request)


def _import_all_of_av() -> None:
    """Imports all of PyAV, which imports some modules on first use: a confined process cannot open files."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            importlib.import_module(module.name)


def _offer_to_oom_killer() -> None:
    """Makes the kernel kill this process, rather than its parent, if the machine runs out of memory."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1000")
        finally:
            os.close(descriptor)


class _Reporter:
    """Reports the exception that ends this process to the parent."""

    def __init__(self, channel: protocol.Channel) -> None:
        self._channel = channel

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback else "nowhere"
        with contextlib.suppress(OSError):
            self._channel.send({"bug": f"{kind.__name__}: {error} (at {place})"[:1000]})


class _Server:
    """Executes one request."""

    def __init__(self, channel: protocol.Channel, ring: int, memory: _Memory) -> None:
        self._channel = channel
        self._ring = Ring(ring)
        self._memory = memory
        self._num_released = 0
        self._wait_seconds = 0.0

    def serve(self, request: protocol.Message) -> None:
        """Sends the clips of a request, then its result."""
        name = request["probe"] if "probe" in request else request["decode"]
        limits = DecoderLimits(**request["limits"])
        fetch = self._fetch if request["is_partial"] else None
        windows = [Window(*window) for window in request.get("windows", ())]
        left_out = LeftOut(windows) if request["is_partial"] and windows else None
        with _received(self._channel.descriptors.pop()) as descriptor:
            video = files.ReceivedFile(name, descriptor, request["size_bytes"], fetch, left_out)
            try:
                is_probe = "probe" in request
                self._channel.send(self._probe(video, limits) if is_probe else self._decode(video, limits, request))
            except errors.MediaError as error:
                if "media" in request and self._memory.was_short(request["media"]):
                    self._send_error(errors.DecoderOutOfMemoryError, f"{error}; {_short_of(limits)}")
                else:
                    self._send_error(type(error), str(error))
            except MemoryError:
                self._send_error(errors.DecoderOutOfMemoryError, f"{name}: {_short_of(limits)}")

    def _send_error(self, kind: type[errors.MediaError], message: str) -> None:
        self._channel.send({"error": [kind.code, message]})

    def _probe(self, video: files.ReceivedFile, limits: DecoderLimits) -> protocol.Message:
        return {"media": protocol.media_to_json(probe(video, limits))}

    def _decode(self, video: files.ReceivedFile, limits: DecoderLimits, request: protocol.Message) -> protocol.Message:
        spans = [protocol.span_from_json(values) for values in request["spans"]]
        positions: dict[ClipSpan, list[int]] = collections.defaultdict(list)
        for position, span in reversed(list(enumerate(spans))):
            positions[_planned(span)].append(position)
        media = protocol.media_from_json(request["media"])
        slots = self._ring.slots(request["slot_bytes"], self._await_release)
        stats = DecodeStats()
        geometry = Geometry(*request["geometry"])
        clips = decode_clips(video, media, spans, geometry, stats, limits=limits, allocate=slots.allocate)
        try:
            for span, frames in clips:
                clip = {"clip": positions[_planned(span)].pop(), "real": span.num_real_frames}
                self._channel.send({**clip, "slot": slots.hand_over(frames)})
        finally:
            if stats.full_decodes:
                self._channel.send({"full_decode": stats.reason, "ranges": stats.full_decodes})
            with contextlib.suppress(OSError):  # the parent does not want the rest
                self._channel.send({"spent": [stats.scale_cpu_seconds, self._wait_seconds]})
        return {"done": True}

    def _await_release(self) -> None:
        """Waits until the parent has copied a clip."""
        began = time.monotonic()
        while not self._num_released:
            self._receive()
        self._wait_seconds += time.monotonic() - began
        self._num_released -= 1

    def _fetch(self, start: int, stop: int) -> tuple[int, int]:
        """Waits until the parent has fetched the bytes."""
        self._channel.send({"need": [start, stop]})
        while "there" not in (message := self._receive()):
            pass
        first, end = message["there"]
        return first, end

    def _receive(self) -> protocol.Message:
        message = self._channel.receive()
        if message is None:
            sys.exit()
        self._num_released += "release" in message
        return message


@contextlib.contextmanager
def _received(descriptor: int) -> Iterator[int]:
    """Closes a descriptor at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _planned(span: ClipSpan) -> ClipSpan:
    """Returns the span as it was before decoding, as a key."""
    return dataclasses.replace(span, num_real_frames=0)


def _short_of(limits: DecoderLimits) -> str:
    return f"decoding takes more memory than --decoder_memory_bytes {limits.memory_bytes}"


class _Memory:
    """Detects that memory was short. FFmpeg's decoders do not report it: they reject the packet and continue.

    The status file is opened before the process is confined.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)

    def was_short(self, media: protocol.Message) -> bool:
        """Returns whether the address space came within one picture of its limit. This is a guess."""
        (line,) = [line for line in os.pread(self._status, 1 << 16, 0).splitlines() if line.startswith(b"VmPeak:")]
        return int(line.split()[1]) * 1024 > self._limit_bytes - _picture_bytes(media)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._status)


def _picture_bytes(media: protocol.Message) -> int:
    return int(media["width"] * media["height"] * _MAX_BYTES_PER_PIXEL)


if __name__ == "__main__":
    main()
