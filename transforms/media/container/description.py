"""What FFmpeg prints about a file: PyAV 18 has no attribute for some of it.

The text holds titles of the file as well. A title that imitates a line of FFmpeg can only mislead about its own file.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Protocol, cast

import av.logging
from av.container import InputContainer

_STREAM = re.compile(r"  Stream #\d+:(\d+)")
_CODEC = re.compile(r": Video: (\w+)(?: \([^/()]*\))*(?: \((\S+) / 0x[0-9A-F]+\))?")

_NUMBER = re.compile(r": Video: [^,]* / 0x([0-9A-F]+)\)")

# PyAV's log level is global.
_lock = threading.Lock()


class _Described(Protocol):
    def dumps_format(self) -> object: ...


def stream_lines(container: InputContainer, stream_index: int) -> list[str]:
    """Returns the lines about a stream, its heading first."""
    found: list[str] = []
    is_described = False
    for line in _describe(container).splitlines():
        if heading := _STREAM.match(line):
            is_described = int(heading[1]) == stream_index
        if is_described:
            found.append(line)
    return found


def codec_of(container: InputContainer, stream_index: int) -> str | None:
    """Returns what FFmpeg calls the codec of a video stream, or else the code that the container has for it.

    Returns:
      "codec evc" or 'code "zzz1"', for messages; None where the file has neither.
    """
    lines = stream_lines(container, stream_index)
    found = _CODEC.search(lines[0]) if lines else None
    if found is None:
        return None
    name, tag = found.groups()
    if name != "none":
        return f"codec {name}"
    return f'code "{tag}"' if tag else None


def codec_number(container: InputContainer, stream_index: int) -> int:
    """Returns the container's code of the codec of a video stream as a number; 0 for none. PyAV fails at some."""
    lines = stream_lines(container, stream_index)
    found = _NUMBER.search(lines[0]) if lines else None
    return int(found[1], 16) if found else 0


def _describe(container: InputContainer) -> str:
    logger = logging.getLogger("libav")
    with _lock:
        # Only this call is to be heard: other threads must not start to write to stderr.
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        av.logging.set_level(av.logging.INFO)
        try:
            return str(cast(_Described, container).dumps_format())  # missing in the type stubs of PyAV 18
        finally:
            av.logging.set_level(None)
            logger.setLevel(level)
