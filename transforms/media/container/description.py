"""Parse FFmpeg's printed description of a file, for fields that PyAV 18 does not expose.

The text also holds titles from the file. A title that imitates FFmpeg's output can only affect its own file.
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

# PyAV's log level is process-wide.
_lock = threading.Lock()


class _Described(Protocol):
    def dumps_format(self) -> object: ...


def stream_lines(container: InputContainer, stream_index: int) -> list[str]:
    """Returns the lines about a stream, starting with its heading."""
    found: list[str] = []
    is_described = False
    for line in _describe(container).splitlines():
        if heading := _STREAM.match(line):
            is_described = int(heading[1]) == stream_index
        if is_described:
            found.append(line)
    return found


def codec_of(container: InputContainer, stream_index: int) -> str | None:
    """Returns FFmpeg's name for the codec of a video stream, or the container's code for it.

    Returns:
      "codec evc" or 'code "zzz1"', for messages; None if the file has neither.
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
    """Returns the container's codec tag of a video stream; 0 if there is none. PyAV fails on some tags."""
    lines = stream_lines(container, stream_index)
    found = _NUMBER.search(lines[0]) if lines else None
    return int(found[1], 16) if found else 0


def _describe(container: InputContainer) -> str:
    logger = logging.getLogger("libav")
    with _lock:
        # Other threads must not write to stderr while the log level is raised for this call.
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        av.logging.set_level(av.logging.INFO)
        try:
            return str(cast(_Described, container).dumps_format())  # missing in the type stubs of PyAV 18
        finally:
            av.logging.set_level(None)
            logger.setLevel(level)
