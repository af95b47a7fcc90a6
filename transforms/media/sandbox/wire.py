"""What a decoder process and its owner tell each other: JSON lines over a socket. No pickle: neither trusts the other.

Lists of numbers travel packed, see `pack`. So a message has few values, however long it is, and reading it takes memory
in proportion to its length.

owner    {"probe": NAME, "limits": {…}, "is_partial": BOOL, "size_bytes": N}     with the file's descriptor
         {"decode": NAME, "media": {…}, "spans": […], "geometry": […], "limits": {…}, "slot_bytes": N}     likewise
         {"release": 1}                                             a slot of the ring was copied out
         {"there": [START, STOP]}                                   the answer to "need": these bytes can be read
process  {"ready": true, "confined_by": [WALL, …]}                  once, after its start, see `confinement.WALLS`
         {"media": {…}}                                             the end of a probe
         {"need": [START, STOP]}                                    bytes of a partial file that it wants to read next
         {"clip": POSITION, "slot": NUMBER, "real": NUMBER}         a slot of the ring holds this span, with so many
                                                                    real frames
         {"full_decode": REASON, "stretches": NUMBER}               the proof of the fast way failed, see `decoder.py`
         {"bug": TEXT}                                              an exception that ends the process
         {"done": true}                                             the end of a decode
         {"error": [CODE, MESSAGE]}                                 the end of either
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.records import ClipSpan, MediaInfo

NUM_SLOTS = 3
"""Clips that fit the ring: so far ahead of its owner may the process be."""

_CHUNK_BYTES = 1 << 16
_MAX_PARTS = 10_000
"""Values, and brackets around them, in a message of the other side: each costs up to a hundred bytes here."""
_MAX_SHOWN_TEXT = 2000
FRACTIONS = ("pixel_aspect_ratio", "duration_seconds", "time_base")
"""Fields of a MediaInfo that are told as text."""

_SPAN_TIMES = ("start_seconds", "end_seconds", "interval_seconds")


Message: TypeAlias = dict[str, Any]
"""A message as it came. The parent checks each value of a child's (`replies.py`); a child believes its parent."""


class ProtocolError(Exception):
    """A message that no sane process sends. The words say what is wrong with it."""


class Channel:
    """One end of the socket.

    Args:
      end: the socket; its timeout holds for what is sent.
      max_line_bytes: a longer message is garbage; None: the other side is trusted.
    """

    def __init__(self, end: socket.socket, max_line_bytes: int | None = None) -> None:
        self._socket = end
        self.max_line_bytes = max_line_bytes
        self._unread = b""
        self.descriptors: list[int] = []

    def send(self, message: Mapping[str, object], descriptor: int | None = None) -> None:
        """Sends one message, and a copy of a descriptor along with it."""
        line = json.dumps(message).encode() + b"\n"
        if descriptor is not None:
            line = line[socket.send_fds(self._socket, [line[:_CHUNK_BYTES]], [descriptor]) :]
        self._socket.sendall(line)

    def receive(self, until: float | None = None, with_descriptors: bool = False) -> Message | None:
        """Returns the next message; None: the other end is closed. Descriptors go to `descriptors`.

        Args:
          until: how long to wait for all of it, on the monotonic clock; None: for ever.
          with_descriptors: whether descriptors may come along.

        Raises:
          ProtocolError: no JSON object, or too long.
          TimeoutError: it is not there in time.
        """
        chunks, num_bytes = [self._unread], len(self._unread)
        while b"\n" not in chunks[-1]:
            if self.max_line_bytes is not None and num_bytes > self.max_line_bytes:
                raise ProtocolError("a message without an end")
            if until is not None:  # anew for each piece: whoever sends a byte now and then must not live for ever
                left = until - time.monotonic()
                if left <= 0:  # and whoever floods would never be waited for
                    raise TimeoutError
                self._socket.settimeout(left)
            if with_descriptors:
                chunk, received, _, _ = socket.recv_fds(self._socket, _CHUNK_BYTES, 1)
                self.descriptors += received
            else:
                chunk = self._socket.recv(_CHUNK_BYTES)
            if not chunk:
                return None
            chunks.append(chunk)
            num_bytes += len(chunk)
        line, _, self._unread = b"".join(chunks).partition(b"\n")
        if self.max_line_bytes is not None and sum(map(line.count, (b",", b":", b"[", b"{"))) > _MAX_PARTS:
            raise ProtocolError("a message of too many parts")
        return _object(line)


def _object(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {shown(line[:40])}") from error
    if not isinstance(message, dict):
        raise ProtocolError(f"no JSON object: {shown(line[:40])}")
    return message


def shown(text: str | bytes) -> str:
    """Returns text of the other side as a message may show it: of bounded length, without control characters."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_MAX_SHOWN_TEXT])


def pack(numbers: Iterable[int]) -> str:
    """Returns whole numbers of 64 bits as text: little-endian, in base64."""
    return base64.b64encode(np.fromiter(numbers, "<i8").tobytes()).decode()


def unpack(text: object, max_numbers: int) -> npt.NDArray[np.int64]:
    """Returns the numbers that `pack` packed.

    Raises:
      ProtocolError: it is no such text, or holds more than `max_numbers`.
    """
    if not isinstance(text, str) or len(text) > packed_length(max_numbers):
        raise ProtocolError(f"a list of more than {max_numbers} numbers, or none")
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<i8")
    except ValueError as error:
        raise ProtocolError(f"no packed list: {shown(text[:40])}") from error


def packed_length(num_numbers: int) -> int:
    """Returns the length of a list's text."""
    return -(-8 * num_numbers // 3) * 4


def media_to_json(media: MediaInfo) -> Message:
    """Returns a MediaInfo as JSON values; fractions as text, lists packed."""
    values = {field.name: getattr(media, field.name) for field in dataclasses.fields(media)}
    values |= {name: str(values[name]) for name in FRACTIONS}
    shifts = pack(itertools.chain.from_iterable(media.clock_shifts))
    return values | {"key_frame_pts": pack(media.key_frame_pts), "clock_shifts": shifts}


def media_from_json(values: object) -> MediaInfo:
    """Returns the MediaInfo that `media_to_json` wrote; takes its owner's word for the values."""
    assert isinstance(values, dict)
    others: Message = {name: Fraction(values[name]) for name in FRACTIONS}
    others["key_frame_pts"] = tuple(unpack(values["key_frame_pts"], sys.maxsize).tolist())
    shifts = unpack(values["clock_shifts"], sys.maxsize).tolist()
    others["clock_shifts"] = tuple(zip(shifts[::2], shifts[1::2], strict=True))
    return MediaInfo(**(values | others))


def span_to_json(span: ClipSpan) -> Message:
    """Returns a span as JSON values."""
    values = {field.name: getattr(span, field.name) for field in dataclasses.fields(span)}
    return values | {name: str(values[name]) for name in _SPAN_TIMES}


def span_from_json(values: Message) -> ClipSpan:
    """Returns the span that `span_to_json` wrote."""
    others: Message = {name: Fraction(values[name]) for name in _SPAN_TIMES}
    others["sample_steps"] = tuple(values["sample_steps"])
    return ClipSpan(**(values | others))
