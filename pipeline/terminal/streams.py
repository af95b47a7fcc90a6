"""Standard streams that never fail, and text that cannot control a terminal. Imports no slow modules."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import logging
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from reelbeam.transforms.redaction import without_query

_JSON_ESCAPES = "reelbeam.json_escapes"

print_above: list[Callable[[str], None]] = []
"""Functions that print a line above the progress line of this terminal; empty if there is no progress line."""


def printable(text: str) -> str:
    """Returns text as one line without control characters, because a file's name must not control the terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def take_names_for_utf8() -> None:
    """Restarts the program in Python's UTF-8 mode if its locale has another encoding.

    File names are video names in the tables. They must not depend on whether a shell or a scheduler starts the run.
    Printed text stays in the locale's encoding.
    """
    again = ["-X", "utf8=1"]
    if sys.getfilesystemencoding() == "utf-8" or sys.orig_argv[1:3] == again:  # `python -X utf8=0` takes precedence
        return
    encodings = [stream.encoding for stream in (sys.stdout, sys.stderr) if stream is not None]
    environment = os.environ | ({"PYTHONIOENCODING": encodings[0]} if encodings else {})
    os.execve(sys.executable, [sys.executable, *again, *sys.orig_argv[1:]], environment)


def take_over_streams() -> None:
    """Makes stdout and stderr accept any text, wherever they lead, in any encoding.

    Closed standard descriptors are redirected to /dev/null. Otherwise a file that is opened later would get their
    numbers, and with them the messages of C libraries.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    codecs.register_error(_JSON_ESCAPES, _escaped)
    sys.stdout = _stream(sys.stdout, 1)
    sys.stderr = _stream(sys.stderr, 2)


def lost_output(stream: TextIO) -> OSError | None:
    """Returns why some output was lost; None if nothing was lost, or if its reader closed the pipe."""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _UnbreakableFile) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure


def print_path(path: str) -> None:
    """Prints a path for other programs: as the bytes in the file system, in any encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.flush()


def can_print(text: str) -> bool:
    """Returns whether stdout's encoding can encode a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes log records without control characters, above the progress line if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        if print_above:
            print_above[-1](self.format(record))
        else:
            super().emit(record)


class LogFormatter(logging.Formatter):
    """Makes log records printable: own messages as one line each, those of libraries and tracebacks line by line.

    Secrets in URLs are removed, also from messages of libraries.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Returns the message with its level and logger."""
        if record.name.startswith("reelbeam."):
            record.message = printable(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the complete text of a record."""
        text = super().format(record).expandtabs()
        return "\n".join(printable(without_query(line)) for line in text.split("\n"))


@contextlib.contextmanager
def quiet_root_logger() -> Iterator[None]:
    """Drops messages that are logged on the root logger itself, unless --verbose is given.

    Beam logs the messages of a job server there, including stack traces, and the level of a package has no effect.
    """
    root = logging.getLogger()
    if root.isEnabledFor(logging.INFO):
        yield
        return
    root.addFilter(_nothing)
    try:
        yield
    finally:
        root.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


class _UnbreakableFile(io.FileIO):
    """A descriptor for writing. Data that it does not accept is dropped, and the last error is kept."""

    failure: OSError | None = None

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        try:
            while (written := super().write(view)) is None:  # the descriptor is non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.failure = error
            return len(view)
        return written


def _stream(given: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    """Returns a stream like the one that Python created; None means that it was closed when Python started."""
    if given is None:
        return io.TextIOWrapper(io.BufferedWriter(_UnbreakableFile(os.devnull, "w")), "utf-8", _JSON_ESCAPES)
    given.flush()
    unbuffered = bool(getattr(given, "write_through", False) or getattr(given, "line_buffering", False))
    raw = _UnbreakableFile(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), given.encoding, _JSON_ESCAPES, line_buffering=unbuffered)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Writes characters that an encoding lacks as JSON escapes, so that JSON output stays JSON."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[k : k + 4]}" for k in range(0, len(units), 4)), error.end
