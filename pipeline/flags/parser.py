"""How all commands read their flags: what is wrong is told in one line, and where to read more."""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

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
    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses as argparse does; keeps the words, to tell a misspelled flag from a missing one."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def parse_known_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `parse_known_args`."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_intermixed_args(args, namespace)

    def _misspelled(self, missing: Sequence[str]) -> str:
        """Returns what is wrong where a flag that is required was given, but misspelled; "" where none was."""
        known = {name for action in self._actions for name in action.option_strings}
        for word in itertools.takewhile(lambda word: word != "--", self._given):
            flag = word.split("=")[0]
            near = difflib.get_close_matches(flag, missing, n=1) if flag.startswith("--") else []
            if near and flag not in known:
                return f"unrecognized arguments: {word} (did you mean {near[0]}?)"
        return ""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong. Raises FlagError."""
        message = printable(message)
        _, colon, missing = message.partition("arguments are required: ")
        flags = missing.split(", ") if colon else []
        message = printable(self._misspelled(flags)) or message
        hints = [hint for flag, hint in self.choices_of.items() if message.endswith(missing) and flag in flags]
        message += f" ({'; '.join(hints)})" if hints else ""
        print(f"{self.prog}: error: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise FlagError(message)
