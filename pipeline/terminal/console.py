"""Tables for terminals and log files."""

from __future__ import annotations

import os
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from reelbeam.pipeline.terminal.streams import printable

__all__ = ["make_console", "make_table", "make_wide_console", "printable", "right", "whole"]

_WIDTH_WITHOUT_TERMINAL = 110
_WIDTH_OF_PIPES = 10_000


class _PrintableConsole(Console):
    """A rich console that prints strings and texts without control characters."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints like rich."""
        super().print(*map(_shown, objects), **options)


class _PrintableTable(Table):
    """A rich table whose cells have no control characters."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Adds a row like rich."""
        super().add_row(*map(_shown, cells), **options)


def _shown(given: Any) -> Any:
    """Returns a string or a text without control characters, and any other value unchanged."""
    if isinstance(given, str):
        return printable(given)
    if isinstance(given, Text) and not given.plain.isprintable():
        given = given.copy()
        given.plain = printable(given.plain)  # the length is unchanged, so styles stay in place
    return given


def make_console() -> Console:
    """Returns a console as wide as the terminal, or wide enough for the tables if there is no terminal."""
    console = _PrintableConsole(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_WITHOUT_TERMINAL
    return console


def make_wide_console() -> Console:
    """Returns a console that does not truncate lines if its output is not a terminal."""
    console = make_console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_PIPES
    return console


def make_table(*columns: Column | str) -> Table:
    """Returns an empty table without frames, which cost width and disturb copied text."""
    return _PrintableTable(*columns, box=box.SIMPLE_HEAD, pad_edge=False)


def right(name: str) -> Column:
    """Returns a column for numbers."""
    return Column(name, justify="right")


def whole(name: str) -> Column:
    """Returns a column for paths: a long path wraps, because its end distinguishes it from others."""
    return Column(name, overflow="fold")
