"""How tables look on a terminal, and in the log of a nightly job."""

from __future__ import annotations

import os
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from reelbeam.pipeline.terminal.streams import printable

__all__ = ["make_console", "make_table", "printable", "right", "whole"]

_WIDTH_WITHOUT_TERMINAL = 110


class _PrintableConsole(Console):
    """rich's, which prints strings and texts without control characters."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints as rich does."""
        super().print(*map(_shown, objects), **options)


class _PrintableTable(Table):
    """rich's, whose cells have no control characters."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Adds a row as rich does."""
        super().add_row(*map(_shown, cells), **options)


def _shown(given: Any) -> Any:
    """Returns a string or a text without control characters, and anything else as it is."""
    if isinstance(given, str):
        return printable(given)
    if isinstance(given, Text) and not given.plain.isprintable():
        given = given.copy()
        given.plain = printable(given.plain)  # as long as before: styles stay where they are
    return given


def make_console() -> Console:
    """Returns a console that is as wide as the terminal, and wide enough for the tables where there is none."""
    console = _PrintableConsole(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_WITHOUT_TERMINAL
    return console


def make_table(*columns: Column | str) -> Table:
    """Returns an empty table without frames: they cost width, and are in the way when text is copied."""
    return _PrintableTable(*columns, box=box.SIMPLE_HEAD, pad_edge=False)


def right(name: str) -> Column:
    """Returns a column of numbers."""
    return Column(name, justify="right")


def whole(name: str) -> Column:
    """Returns a column of paths: one that is too long goes on below, since its end tells it from others."""
    return Column(name, overflow="fold")
