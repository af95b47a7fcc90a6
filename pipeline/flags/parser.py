"""How all commands read their flags: what is wrong is told in one line, and where to read more."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from reelbeam.pipeline.terminal.streams import printable


class FlagError(SystemExit):
    """Ends the program with 2, as argparse does; the message, which stderr has got already, can still be asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class Parser(argparse.ArgumentParser):
    """argparse's, without forty lines of usage before the one that matters.

    Attributes:
      choices_of: flag -> what there is to choose from, for whoever left out a flag that is required.
    """

    choices_of: dict[str, str] = {}

    def error(self, message: str) -> NoReturn:
        """Says what is wrong. Raises FlagError."""
        message = printable(message)
        _, colon, missing = message.partition("arguments are required: ")
        hints = [hint for flag, hint in self.choices_of.items() if colon and flag in missing.split(", ")]
        message += f" ({'; '.join(hints)})" if hints else ""
        print(f"{self.prog}: error: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise FlagError(message)
