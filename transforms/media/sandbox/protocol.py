"""The messages between a decoder process and its parent: JSON lines over a socket.

Pickle is not used, because the two sides do not trust each other. Lists of numbers are packed, see `pack`. A message
therefore has few values, and the memory to read it is proportional to its length.

parent   {"probe": NAME, "windows": [[START, END], …], "limits": {…}, "is_partial": BOOL, "size_bytes": N}
                                                                    with the file's descriptor
         {"decode": NAME, "media": {…}, "spans": […], "geometry": […], "limits": {…}, "slot_bytes": N}     likewise
         {"release": 1}                                             a slot of the ring was copied out
         {"there": [START, STOP]}                                   the response to "need": these bytes are available
process  {"ready": true, "confined_by": [NAME, …]}                  once, after its start, see `confinement.WALLS`
         {"media": {…}}                                             the end of a probe
         {"need": [START, STOP]}                                    bytes of a partial file to fetch
         {"clip": POSITION, "slot": NUMBER, "real": NUMBER}         the clip in a slot of the ring, and its number of
                                                                    real frames
         {"full_decode": REASON, "ranges": NUMBER}                  the fast path failed, see `decoder.py`
         {"spent": [SECONDS, SECONDS]}                              before the end of a decode: CPU time for scaling,
                                                                    and time waiting for a free slot of the ring
         {"bug": TEXT}                                              an exception that ends the process
         {"done": true}                                             the end of a decode
         {"error": [CODE, MESSAGE]}                                 the end of a probe or a decode
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
"""The number of clips in the ring. It limits how far the process works ahead of its parent."""

_CHUNK_BYTES = 1 << 16
_MAX_PARTS = 10_000
"""The maximum number of values and brackets in a received message. Each takes up to a hundred bytes of memory."""
_MAX_TEXT = 2000
FRACTIONS = ("pixel_aspect_ratio", "duration_seconds", "time_base")
"""The fields of a MediaInfo that are sent as text."""

_SPAN_TIMES = ("start_seconds", "end_seconds", "interval_seconds")


Message: TypeAlias = dict[str, Any]
"""A received message. The parent checks every value (`responses.py`); the decoder process trusts its parent."""


class ProtocolError(Exception):
    """A message violates the protocol. The text says how."""


class Channel:
    """One end of the socket.

    Args:
      end: the socket. Its timeout applies to sending.
      max_line_bytes: the maximum length of a received message; None: unlimited, because the other side is trusted.
    """

    def __init__(self, end: socket.socket, max_line_bytes: int | None = None) -> None:
        self._socket = end
        self.max_line_bytes = max_line_bytes
        self._unread = b""
        self.descriptors: list[int] = []

    def send(self, message: Mapping[str, object], descriptor: int | None = None) -> None:
        """Sends one message, optionally with a copy of a descriptor."""
        line = json.dumps(message).encode() + b"\n"
        if descriptor is not None:
            line = line[socket.send_fds(self._socket, [line[:_CHUNK_BYTES]], [descriptor]) :]
        self._socket.sendall(line)

    def receive(self, until: float | None = None, with_descriptors: bool = False) -> Message | None:
        """Returns the next message; None: the other end is closed. Adds received descriptors to `descriptors`.

        Args:
          until: the deadline for the whole message, on the monotonic clock; None: no deadline.
          with_descriptors: whether to accept descriptors.

        Raises:
          ProtocolError: the message is not a JSON object, or is too long.
          TimeoutError: the message did not arrive in time.
        """
        chunks, num_bytes = [self._unread], len(self._unread)
        while b"\n" not in chunks[-1]:
            if self.max_line_bytes is not None and num_bytes > self.max_line_bytes:
                raise ProtocolError("a message without an end")
            if (
                until is not None
            ):  # checked for each piece, so that neither single bytes nor a flood extend the deadline
                left = until - time.monotonic()
                if left <= 0:
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
            raise ProtocolError("a message with too many values")
        return _object(line)


def _object(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {printable(line[:40])}") from error
    if not isinstance(message, dict):
        raise ProtocolError(f"not a JSON object: {printable(line[:40])}")
    return message


def printable(text: str | bytes) -> str:
    """Returns received text for a message: truncated, without control characters."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_MAX_TEXT])


def pack(numbers: Iterable[int]) -> str:
    """Returns 64-bit integers as text: little-endian, in base64."""
    return base64.b64encode(np.fromiter(numbers, "<i8").tobytes()).decode()


def unpack(text: object, max_numbers: int) -> npt.NDArray[np.int64]:
    """Returns the numbers that `pack` packed.

    Raises:
      ProtocolError: the text is not such a list, or holds more than `max_numbers`.
    """
    if not isinstance(text, str) or len(text) > packed_length(max_numbers):
        raise ProtocolError(f"not a list, or a list of more than {max_numbers} numbers")
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<i8")
    except ValueError as error:
        raise ProtocolError(f"not a packed list: {printable(text[:40])}") from error


def packed_length(num_numbers: int) -> int:
    """Returns the length of the text of a packed list."""
    return -(-8 * num_numbers // 3) * 4


def decode_request(
    name: str, media: Message, spans: Iterable[ClipSpan], geometry: tuple[int | str, ...], slot_bytes: int
) -> Message:
    """Returns the request to decode clips.

    Args:
      name: the name of the file.
      media: the values of `media_to_json`.
      spans: the clips.
      geometry: the fields of the `Geometry`.
      slot_bytes: the size of a slot of the ring.
    """
    return {
        "decode": name,
        "media": media,
        "spans": [span_to_json(span) for span in spans],
        "geometry": list(geometry),
        "slot_bytes": slot_bytes,
    }


def media_to_json(media: MediaInfo) -> Message:
    """Returns a MediaInfo as JSON values; fractions as text, lists packed."""
    values = {field.name: getattr(media, field.name) for field in dataclasses.fields(media)}
    values |= {name: str(values[name]) for name in FRACTIONS}
    shifts = pack(itertools.chain.from_iterable(media.clock_shifts))
    return values | {"key_frame_pts": pack(media.key_frame_pts), "clock_shifts": shifts}


def media_from_json(values: object) -> MediaInfo:
    """Returns the MediaInfo that `media_to_json` wrote, without checking the values."""
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
