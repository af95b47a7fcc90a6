"""How tables look on a terminal, and in the log of a nightly job."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Column, Table

_WIDTH_WITHOUT_TERMINAL = 110
_SECONDS_BETWEEN_LINES = 15.0


def printable(text: str) -> str:
    """Returns text as one line without control characters: a file's name must not command the terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def make_console() -> Console:
    """Returns a console that is as wide as the terminal, and wide enough for the tables where there is none."""
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    return console


def make_table(*columns: Column | str) -> Table:
    """Returns an empty table without frames: they cost width, and are in the way when text is copied."""
    return Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)


def right(name: str) -> Column:
    """Returns a column of numbers."""
    return Column(name, justify="right")


def whole(name: str) -> Column:
    """Returns a column of paths: one that is too long goes on below, since its end tells it from others."""
    return Column(name, overflow="fold")


class WorkLine:
    """While it is open, tells on stderr what is being done: over itself on a terminal, now and then in a log."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._console = Console(file=sys.stderr, highlight=False)
        self._status = Status(doing, console=self._console)
        self._told_at = time.monotonic()

    def __enter__(self) -> WorkLine:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()

    def show(self, what: str) -> None:
        """Tells of the next piece of work."""
        line = f"{self._doing} {printable(what)}"
        if self._console.is_terminal:
            self._status.update(line[: self._console.width - 4])
        elif time.monotonic() - self._told_at > _SECONDS_BETWEEN_LINES:
            self._told_at = time.monotonic()
            self._console.print(line, markup=False, soft_wrap=True)
