"""The parent's side of one decoder process: start it, send one request, wait until the deadline, kill it.

A process serves one request. A file that takes over the process can falsify its own results only.

The parent does not trust the process. It opens the file and passes the descriptor. Frames return in anonymous shared
memory, which disappears with the last process that has it open. If the file is still being downloaded from an object
store, the process requests the bytes that it is about to read, and the parent fetches them. The decoder's clock is
paused meanwhile; fetching has a time limit of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import files
from reelbeam.transforms.media.container.sparse_reading import Window
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.geometry import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import failures, protocol, responses, spawn
from reelbeam.transforms.media.sandbox.confinement import Bounds
from reelbeam.transforms.media.sandbox.deadline import Budget, allowed_fetch_seconds, allowed_seconds
from reelbeam.transforms.media.sandbox.ring import ParentRing
from reelbeam.transforms.records import ClipSpan, MediaInfo
from reelbeam.transforms.wording import counted

_START_SECONDS = 120
_SECONDS_TO_END = 1
_MAX_LINE_BYTES = 1 << 16  # for all messages except the response to a probe

_log = logging.getLogger(__name__)


class DecoderProcess:
    """A decoder process. One thread may use it, for one request.

    Attributes:
      is_idle: whether the process waits for its request.
      has_crashed: whether the process ended by a fault in native code.
      walls: what confines the process, of `confinement.WALLS`.
    """

    def __init__(self, server: spawn.ForkServer, bounds: Bounds, allow_unconfined: bool = False) -> None:
        """Starts the process and waits until it is confined.

        Args:
          server: the fork server.
          bounds: the resources that the process may use.
          allow_unconfined: whether to continue if the process cannot be confined.

        Raises:
          ServerGoneError: the fork server has ended.
          RunError: the process does not start. The video is not the cause.
          ConfigError: the process cannot be confined, and `allow_unconfined` is False.
        """
        self.server = server
        self.is_idle = False
        self.has_crashed = False
        self._name = "the decoder process"
        self._partial: files.PartialFile | None = None
        self._size_bytes = 0
        self._fetch_seconds_left = 0.0
        self._spent = DecodeStats()
        self._is_closed = False
        try:
            self._start(bounds)
        except OSError as error:  # no descriptor, no memory or no process left
            raise errors.RunError(f"the decoder process does not start: {error}") from error
        self._channel = protocol.Channel(self._socket, _MAX_LINE_BYTES)
        try:
            ready = self._receive(Budget(_START_SECONDS))
            self.walls = responses.check_walls(ready.get("confined_by"), allow_unconfined)
        except (errors.DecoderFailedError, protocol.ProtocolError) as error:
            self.close()
            if not server.is_alive():
                raise spawn.ServerGoneError(str(error)) from error
            raise errors.RunError(f"the decoder process does not start: {error}") from error
        except errors.ConfigError:
            self.close()
            raise
        self.is_idle = True

    def _start(self, bounds: Bounds) -> None:
        """Has the process forked. Closes all descriptors if that fails."""
        with contextlib.ExitStack() as stack:
            self._ring = stack.enter_context(contextlib.closing(ParentRing()))
            self._socket, theirs = socket.socketpair()
            stack.enter_context(self._socket)
            with theirs:
                theirs.setblocking(True)  # overrides socket.setdefaulttimeout, which Google's libraries call
                self._process = self.server.fork(theirs.fileno(), self._ring.descriptor, bounds)
            stack.pop_all()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of the process, user and system, after `close`. The kernel measures it, not the process."""
        return self._process.cpu_seconds

    def spent(self) -> DecodeStats:
        """Returns what the request has cost, after `close`: CPU time, fetched bytes and waiting."""
        return dataclasses.replace(
            self._spent,
            cpu_seconds=self.cpu_seconds,
            scale_cpu_seconds=min(self._spent.scale_cpu_seconds, self.cpu_seconds),
            bytes_fetched=0 if self._partial is None else self._partial.num_fetched_bytes,
        )

    def close(self) -> None:
        """Kills the process and frees its resources. The fork server reaps it."""
        if not self._is_closed:
            self._process.kill()
            self.forget()

    def forget(self) -> None:
        """Closes this process's ends without killing the decoder process, which belongs to the parent after a fork."""
        self._is_closed = True
        self.is_idle = False
        self._socket.close()
        self._ring.close()

    def probe(self, video: files.VideoFile, limits: DecoderLimits, windows: Sequence[Window] = ()) -> MediaInfo:
        """Runs `media.decoding.probe.probe` in the process. Raises its errors, or DecoderFailedError."""
        with self._request(video, {"probe": files.name_of(video), "windows": windows}, limits) as budget:
            return responses.media(self._receive(budget).get("media"), limits, self._size_bytes)

    def decode_clips(
        self,
        video: files.VideoFile,
        media: MediaInfo,
        spans: Sequence[ClipSpan],
        geometry: Geometry,
        limits: DecoderLimits,
        stats: DecodeStats | None = None,
    ) -> Iterator[tuple[ClipSpan, npt.NDArray[np.uint8]]]:
        """Runs `media.decoding.decoder.decode_clips` in the process. Raises its errors, or DecoderFailedError.

        A caller that stops early must close the process.
        """
        shapes = [(span.num_decoded_frames, *geometry.shape, 3) for span in spans]
        slot_bytes = max(int(np.prod(shape)) for shape in shapes)
        self._ring.reserve(slot_bytes)
        values, name = protocol.media_to_json(media), files.name_of(video)
        request = protocol.decode_request(name, values, spans, dataclasses.astuple(geometry), slot_bytes)
        missing = set(range(len(spans)))
        began = time.monotonic()
        with self._request(video, request, limits, spans, bool(media.key_frame_pts)) as budget:
            while "done" not in (response := self._receive(budget)):
                if "full_decode" in response:
                    num_ranges, reason = responses.full_decodes(response, len(spans))
                    if stats is not None:
                        stats.full_decodes, stats.reason = num_ranges, reason
                    continue
                if "spent" in response:
                    found = responses.spent(response["spent"], time.monotonic() - began)
                    self._spent.scale_cpu_seconds, self._spent.model_wait_seconds = found
                    continue
                position, slot, num_real_frames = responses.clip(response, missing, spans)
                frames = self._ring.copy_out(slot, shapes[position])
                missing.remove(position)
                self._send({"release": 1})
                with budget.paused():
                    yield dataclasses.replace(spans[position], num_real_frames=num_real_frames), frames
            if missing:
                raise protocol.ProtocolError(f"{len(missing)} of {counted(len(spans), 'clip')} are missing")

    @contextlib.contextmanager
    def _request(
        self,
        video: files.VideoFile,
        request: Mapping[str, object],
        limits: DecoderLimits,
        spans: Sequence[ClipSpan] = (),
        starts_anywhere: bool = True,
    ) -> Iterator[Budget]:
        """Sends the request with the opened file; gives its time budget for the block."""
        if not self.is_idle:
            raise RuntimeError("a decoder process serves one request: start another one")
        self._name = files.name_of(video)
        self._partial = None if isinstance(video, str | os.PathLike) else video
        with files.readable(video) as descriptor:
            self.is_idle = False
            self._size_bytes = size_bytes = os.fstat(descriptor).st_size
            budget = Budget(allowed_seconds(limits, size_bytes, spans, starts_anywhere))
            if "probe" in request:
                self._channel.max_line_bytes = responses.max_message_bytes(limits, size_bytes)
            self._fetch_seconds_left = allowed_fetch_seconds(limits, size_bytes)
            facts = {"limits": dataclasses.asdict(limits), "is_partial": self._partial is not None}
            self._send({**request, **facts, "size_bytes": size_bytes}, descriptor, budget.end())
        try:
            yield budget
        except protocol.ProtocolError as error:
            self.close()
            raise errors.DecoderProtocolError(
                f"{self._name}: the decoder sent an invalid message ({error}); treat the file as hostile, and report it"
            ) from error

    def _send(self, message: Mapping[str, object], descriptor: int | None = None, end: float | None = None) -> None:
        self._socket.settimeout(max((end or time.monotonic() + 10) - time.monotonic(), 0.01))
        try:
            self._channel.send(message, descriptor)
        except TimeoutError:
            self._timed_out()
        except OSError:  # the process has ended; the next `_receive` returns its last message
            _log.debug("decoder process %d has ended", self.pid)

    def _receive(self, budget: Budget) -> protocol.Message:
        """Returns the next message other than "need"; fetches the requested bytes until then."""
        while "need" in (response := self._next(budget.end())):
            self._fetch(response["need"], budget)
        return response

    def _fetch(self, needed: object, budget: Budget) -> None:
        """Fetches a part of the file and reports it to the process."""
        if self._partial is None:
            raise protocol.ProtocolError("a request for bytes of a complete file")
        start, stop = responses.byte_range(needed, self._partial.size_bytes)
        began = time.monotonic()
        with budget.paused():
            there = self._partial.fetch(start, stop)
        seconds = time.monotonic() - began
        self._spent.store_wait_seconds += seconds
        self._fetch_seconds_left -= seconds
        if self._fetch_seconds_left < 0:
            message = f"{self._name}: the storage is too slow: fetching timed out; run again later"
            raise errors.UnreadableVideoError(message)
        self._send({"there": there}, end=budget.end())

    def _next(self, end: float) -> protocol.Message:
        began = time.monotonic()
        try:
            response = self._channel.receive(until=end)
        except TimeoutError:
            self._timed_out()
        except ConnectionError:
            response = None
        finally:
            self._spent.decoder_wait_seconds += time.monotonic() - began
        if response is None:
            self._crashed()
        if "bug" in response:
            self._crashed(protocol.printable(str(response["bug"])))
        if "error" in response:
            raise responses.error(response["error"])
        return response

    def _timed_out(self) -> NoReturn:
        self.close()
        raise failures.timeout_error(self._name)

    def _crashed(self, bug: str = "") -> NoReturn:
        status = self._process.poll()
        end = time.monotonic() + _SECONDS_TO_END
        while status is None and time.monotonic() < end:
            time.sleep(0.005)  # it has closed its socket and is about to end
            status = self._process.poll()
        self.has_crashed = failures.is_native_crash(status)
        self.close()
        raise failures.crash_error(self._name, status, bug)
