"""The owner's side of one decoder process: start, ask once, wait no longer than allowed, kill.

A process serves one request. A file that takes it over can falsify its own results, and those of no other file.

Nothing that comes from the process is trusted. The file is opened here; the process gets its descriptor, and frames
come back in anonymous shared memory that disappears with the last process that has it open. Of a file that is still on
its way from an object store, the process asks for what it is about to read, and its owner fetches that: the clock of
the decoder stands still meanwhile, and one of its own runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import files
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import replies, spawn, walls, wire
from reelbeam.transforms.media.sandbox.confinement import Bounds
from reelbeam.transforms.media.sandbox.deadline import Budget, allowed_fetch_seconds, allowed_seconds
from reelbeam.transforms.media.sandbox.ring import OwnersRing
from reelbeam.transforms.records import ClipSpan, MediaInfo
from reelbeam.transforms.wording import counted

_START_SECONDS = 120
_SECONDS_TO_END = 1
_MAX_LINE_BYTES = 1 << 16  # before a video is known, and while it is decoded

_log = logging.getLogger(__name__)


class DecoderProcess:
    """A decoder process. One thread may use it, for one request.

    Attributes:
      is_idle: whether it waits for its request.
      has_crashed: whether it ended by a fault in native code.
    """

    def __init__(self, server: spawn.ForkServer, bounds: Bounds, allow_unconfined: bool = False) -> None:
        """Has the process forked and waits until it is confined.

        Args:
          server: what it is forked from.
          bounds: what it may use.
          allow_unconfined: whether to go on where it cannot be confined.

        Raises:
          ServerGoneError: the fork server has ended.
          RunError: the process does not start; that is no video's fault.
          ConfigError: it cannot be confined, and must be.
        """
        self.server = server
        self.is_idle = False
        self.has_crashed = False
        self._name = "the decoder process"
        self._partial: files.PartialFile | None = None
        self._size_bytes = 0
        self._fetch_seconds_left = 0.0
        self._is_closed = False
        try:
            self._start(bounds)
        except OSError as error:  # no descriptor, no memory or no process left
            raise errors.RunError(f"the decoder process does not start: {error}") from error
        self._channel = wire.Channel(self._socket, _MAX_LINE_BYTES)
        try:
            ready = self._receive(Budget(_START_SECONDS))
            walls.check(ready.get("confined_by"), allow_unconfined)
        except (errors.DecoderFailedError, wire.ProtocolError) as error:
            self.close()
            if not server.is_alive():
                raise spawn.ServerGoneError(str(error)) from error
            raise errors.RunError(f"the decoder process does not start: {error}") from error
        except errors.ConfigError:
            self.close()
            raise
        self.is_idle = True

    def _start(self, bounds: Bounds) -> None:
        """Has the process forked; leaves no descriptor behind where that fails."""
        with contextlib.ExitStack() as stack:
            self._ring = stack.enter_context(contextlib.closing(OwnersRing()))
            self._socket, theirs = socket.socketpair()
            stack.enter_context(self._socket)
            with theirs:
                theirs.setblocking(True)  # whatever socket.setdefaulttimeout says, which Google's libraries call
                self._process = self.server.fork(theirs.fileno(), self._ring.descriptor, bounds)
            stack.pop_all()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def close(self) -> None:
        """Kills the process and gives back everything that belongs to it; the fork server reaps it."""
        if not self._is_closed:
            self._process.kill()
            self.forget()

    def forget(self) -> None:
        """Closes this process's ends and lets the decoder process be: in a fork, it belongs to the parent."""
        self._is_closed = True
        self.is_idle = False
        self._socket.close()
        self._ring.close()

    def probe(self, video: files.VideoFile, limits: DecoderLimits) -> MediaInfo:
        """Does what `media.decoding.probe.probe` does, and raises what it raises, or DecoderFailedError."""
        with self._request(video, {"probe": files.name_of(video)}, limits) as budget:
            return replies.media(self._receive(budget).get("media"), limits, self._size_bytes)

    def decode_clips(
        self,
        video: files.VideoFile,
        media: MediaInfo,
        spans: Sequence[ClipSpan],
        geometry: Geometry,
        limits: DecoderLimits,
        stats: DecodeStats | None = None,
    ) -> Iterator[tuple[ClipSpan, npt.NDArray[np.uint8]]]:
        """Does what `media.decoding.decoder.decode_clips` does, and raises what it raises, or DecoderFailedError.

        A caller that stops early closes the process.
        """
        shapes = [(span.num_decoded_frames, geometry.size, geometry.size, 3) for span in spans]
        slot_bytes = max(int(np.prod(shape)) for shape in shapes)
        self._ring.reserve(slot_bytes)
        request = {
            "decode": files.name_of(video),
            "media": wire.media_to_json(media),
            "spans": [wire.span_to_json(span) for span in spans],
            "geometry": [geometry.resize, geometry.size],
            "slot_bytes": slot_bytes,
        }
        missing = set(range(len(spans)))
        with self._request(video, request, limits, spans, bool(media.key_frame_pts)) as budget:
            while "done" not in (reply := self._receive(budget)):
                if "full_decode" in reply:
                    num_stretches, reason = replies.full_decodes(reply, len(spans))
                    if stats is not None:
                        stats.full_decodes, stats.reason = num_stretches, reason
                    continue
                position, slot, num_real_frames = replies.clip(reply, missing, spans)
                frames = self._ring.copy_out(slot, shapes[position])
                missing.remove(position)
                self._send({"release": 1})
                with budget.paused():
                    yield dataclasses.replace(spans[position], num_real_frames=num_real_frames), frames
            if missing:
                raise wire.ProtocolError(f"{len(missing)} of {counted(len(spans), 'clip')} never came")

    @contextlib.contextmanager
    def _request(
        self,
        video: files.VideoFile,
        request: Mapping[str, object],
        limits: DecoderLimits,
        spans: Sequence[ClipSpan] = (),
        starts_anywhere: bool = True,
    ) -> Iterator[Budget]:
        """Sends the request with the opened file."""
        if not self.is_idle:
            raise RuntimeError("a decoder process serves one request: start another one")
        self._name = files.name_of(video)
        self._partial = None if isinstance(video, str | os.PathLike) else video
        with files.readable(video) as descriptor:
            self.is_idle = False
            self._size_bytes = size_bytes = os.fstat(descriptor).st_size
            budget = Budget(allowed_seconds(limits, size_bytes, spans, starts_anywhere))
            if "probe" in request:
                self._channel.max_line_bytes = replies.max_message_bytes(limits, size_bytes)
            self._fetch_seconds_left = allowed_fetch_seconds(limits, size_bytes)
            rest = {
                "limits": dataclasses.asdict(limits),
                "is_partial": self._partial is not None,
                "size_bytes": size_bytes,
            }
            self._send({**request, **rest}, descriptor, budget.end())
        try:
            yield budget
        except wire.ProtocolError as error:
            self.close()
            raise errors.DecoderProtocolError(
                f"{self._name}: the decoder sent garbage ({error}); treat the file as hostile, and report it"
            ) from error

    def _send(self, message: Mapping[str, object], descriptor: int | None = None, end: float | None = None) -> None:
        self._socket.settimeout(max((end or time.monotonic() + 10) - time.monotonic(), 0.01))
        try:
            self._channel.send(message, descriptor)
        except TimeoutError:
            self._timed_out()
        except OSError:  # it is gone; what it said before comes with the next `_receive`
            _log.debug("decoder process %d is gone", self.pid)

    def _receive(self, budget: Budget) -> wire.Message:
        """Returns the next message that is good news; fetches what the process asks for until then."""
        while "need" in (reply := self._next(budget.end())):
            self._fetch(reply["need"], budget)
        return reply

    def _fetch(self, needed: object, budget: Budget) -> None:
        """Fetches a part of the file and says so."""
        if self._partial is None:
            raise wire.ProtocolError("a request for bytes of a file that is there")
        start, stop = replies.byte_range(needed, self._partial.size_bytes)
        began = time.monotonic()
        with budget.paused():
            there = self._partial.fetch(start, stop)
        self._fetch_seconds_left -= time.monotonic() - began
        if self._fetch_seconds_left < 0:
            raise errors.StorageError(f"{self._name}: the storage is too slow: fetching was given up; run again later")
        self._send({"there": there}, end=budget.end())

    def _next(self, end: float) -> wire.Message:
        try:
            reply = self._channel.receive(until=end)
        except TimeoutError:
            self._timed_out()
        except ConnectionError:
            reply = None
        if reply is None:
            self._crashed()
        if "bug" in reply:
            self._crashed(wire.shown(str(reply["bug"])))
        if "error" in reply:
            raise replies.error(reply["error"])
        return reply

    def _timed_out(self) -> NoReturn:
        self.close()
        raise errors.DecoderTimeoutError(
            f"{self._name}: the decoder took too long; if the video plays, raise --decode_deadline_seconds"
        )

    def _crashed(self, bug: str = "") -> NoReturn:
        status = self._process.poll()
        end = time.monotonic() + _SECONDS_TO_END
        while status is None and time.monotonic() < end:
            time.sleep(0.005)  # it closed its socket and is not gone yet
            status = self._process.poll()
        self.has_crashed = status is not None and status < 0 and status != -signal.SIGKILL
        self.close()
        error = errors.DecoderCrashedError(
            f"{self._name}: the decoder process {_end(status, bug)}; check that the file plays, and report it"
        )
        # Whoever kills it so, the kernel for want of memory or a scheduler, hardly does it for the file's sake: the
        # process can send itself no signal.
        error.transient = status == -signal.SIGKILL
        raise error


def _end(status: int | None, bug: str) -> str:
    if bug:
        return f"broke off with {bug}"
    if status is not None and status < 0:
        hint = ", by the kernel for want of memory perhaps" if status == -signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-status).name}{hint}"
    return "closed its socket" if status is None else f"ended with exit code {status}"
