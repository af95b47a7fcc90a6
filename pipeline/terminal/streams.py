"""Standard streams that never break the program, and text that cannot command a terminal. Imports nothing slow."""

from __future__ import annotations

import codecs
import errno
import io
import logging
import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

from reelbeam.transforms.errors import without_query

_JSON_ESCAPES = "reelbeam.json_escapes"

print_above: list[Callable[[str], None]] = []
"""What prints a line above the progress line of this terminal; empty while there is no progress line."""


def printable(text: str) -> str:
    """Returns text as one line without control characters: a file's name must not command the terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def take_names_for_utf8() -> None:
    """Starts the program again in Python's UTF-8 mode, where its locale has another encoding.

    A file's name is a video's name in the tables: it must not depend on whether a shell or a schedule starts the run.
    What is printed stays in the locale's encoding.
    """
    again = ["-X", "utf8=1"]
    if sys.getfilesystemencoding() == "utf-8" or sys.orig_argv[1:3] == again:  # `python -X utf8=0` has the last word
        return
    encodings = [stream.encoding for stream in (sys.stdout, sys.stderr) if stream is not None]
    environment = os.environ | ({"PYTHONIOENCODING": encodings[0]} if encodings else {})
    os.execve(sys.executable, [sys.executable, *again, *sys.orig_argv[1:]], environment)


def take_over_streams() -> None:
    """Makes stdout and stderr take whatever is written, wherever they lead, in any encoding.

    Standard descriptors that are closed lead to /dev/null from now on: a file that is opened later would get their
    numbers, and messages of C libraries with them.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    codecs.register_error(_JSON_ESCAPES, _escaped)
    sys.stdout = _stream(sys.stdout, 1)
    sys.stderr = _stream(sys.stderr, 2)


def lost_output(stream: TextIO) -> OSError | None:
    """Returns why a part of what was written is nowhere; None where nothing is lost, or its reader wanted no more."""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _UnbreakableFile) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure


def print_path(path: str) -> None:
    """Prints a path for programs that read it: as the bytes that the file system has, in any encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.flush()


def can_print(text: str) -> bool:
    """Returns whether stdout's encoding has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes log records without control characters, above the progress line where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        if print_above:
            print_above[-1](self.format(record))
        else:
            super().emit(record)


class LogFormatter(logging.Formatter):
    """Makes what is logged printable: our own messages one line each, those of others and tracebacks line by line.

    Secrets in addresses are removed, also from what libraries log.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Returns the message with its level and logger."""
        if record.name.startswith("reelbeam."):
            record.message = printable(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the whole text of a record."""
        text = super().format(record).expandtabs()
        return "\n".join(printable(without_query(line)) for line in text.split("\n"))


class _UnbreakableFile(io.FileIO):
    """A descriptor to write to. What it does not take is dropped, and the last reason is kept."""

    failure: OSError | None = None

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        try:
            while (written := super().write(view)) is None:  # somebody made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.failure = error
            return len(view)
        return written


def _stream(given: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    """Returns a stream like the one that Python made; None stands for one that was closed when Python started."""
    if given is None:
        return io.TextIOWrapper(io.BufferedWriter(_UnbreakableFile(os.devnull, "w")), "utf-8", _JSON_ESCAPES)
    given.flush()
    unbuffered = bool(getattr(given, "write_through", False) or getattr(given, "line_buffering", False))
    raw = _UnbreakableFile(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), given.encoding, _JSON_ESCAPES, line_buffering=unbuffered)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Writes characters that an encoding lacks as JSON does: what is JSON stays JSON."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[k : k + 4]}" for k in range(0, len(units), 4)), error.end
