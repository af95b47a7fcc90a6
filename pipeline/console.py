"""How tables look on a terminal, and in the log of a nightly job."""

from __future__ import annotations

import os

from rich import box
from rich.console import Console
from rich.table import Column, Table

_WIDTH_WITHOUT_TERMINAL = 110


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
