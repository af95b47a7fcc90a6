"""Make the parsers of all commands from the declared settings."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from reelbeam.pipeline.flags import spelling
from reelbeam.pipeline.settings.declaration import Group, Setting
from reelbeam.pipeline.terminal.streams import printable

STORES_EPILOG = "Beam's flags pass through, for stores that need some: --s3_endpoint_url, …"


class FlagError(SystemExit):
    """Ends the program with 2, as argparse does. The message is on stderr already; a caller may still need it."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class Parser(argparse.ArgumentParser):
    """argparse's parser, but errors have one line, and flags may have hyphens instead of underscores.

    Attributes:
      groups: the settings that it parses, in addition to arguments that were added by hand.
    """

    groups: Sequence[Group] = ()
    _given: Sequence[str] = ()

    @property
    def settings(self) -> list[Setting]:
        """The settings that it parses."""
        return [each for group in self.groups for each in group.settings]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses as argparse does."""
        return super().parse_known_args(self._respelled(args), namespace)

    def parse_known_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses as argparse does."""
        return super().parse_known_intermixed_args(self._respelled(args), namespace)

    def _respelled(self, args: Sequence[str] | None) -> list[str]:
        """Returns the arguments with the spelling that the parser knows, and keeps them to find misspelled flags."""
        self._given = spelling.respelled(sys.argv[1:] if args is None else args, flag_names(self))
        return list(self._given)

    def _misspelled(self, missing: Sequence[str]) -> str:
        """Returns the error for a required flag that was given, but misspelled; "" if there is none."""
        known = flag_names(self)
        for word in itertools.takewhile(lambda word: word != "--", self._given):
            flag = word.partition("=")[0]
            if f"-{flag}" in missing:
                return f"unrecognized arguments: {word} (did you mean -{flag}? it begins with two hyphens)"
            near = spelling.nearest(flag, missing) if flag.startswith("--") else None
            if near and flag not in known:
                return f"unrecognized arguments: {word} (did you mean {near}?)"
        return ""

    def error(self, message: str) -> NoReturn:
        """Prints an error in one line. Raises FlagError."""
        message = printable(message)
        _, colon, missing = message.partition("arguments are required: ")
        flags = missing.split(", ") if colon else []
        message = printable(self._misspelled(flags)) or message
        hints = [each.flag.hint for each in self.settings if each.flag.hint and each.option in flags]
        message += f" ({'; '.join(hints)})" if hints and message.endswith(missing) else ""
        print(f"{self.prog}: error: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise FlagError(message)


def flag_names(parser: argparse.ArgumentParser) -> set[str]:
    """Returns the names of all flags of a parser."""
    return {name for action in parser._actions for name in action.option_strings}


def make_parser(prog: str, description: str, groups: Iterable[Group], epilog: str = "") -> Parser:
    """Returns the parser of a command.

    Args:
      prog: the name of the command.
      description: its purpose, for the help.
      groups: its settings. One without a title is shown as arguments and options.
      epilog: the last paragraph of the help.
    """
    parser = Parser(prog=prog, description=description, epilog=epilog, allow_abbrev=False, add_help=False)
    parser.groups = tuple(groups)
    for group in parser.groups:
        arguments = None if group.title else parser.add_argument_group("Arguments")
        shown = parser.add_argument_group(group.title or "Options")
        for each in group.settings:
            _add(arguments if arguments and each.flag.is_positional else shown, each)
    shown.add_argument("-h", "--help", action="help", help="Show this help message and exit")
    return parser


def _add(group: argparse._ArgumentGroup, setting: Setting) -> None:
    flag, text = setting.flag, setting.help.replace("%", "%%")
    if setting.is_switch:
        group.add_argument(setting.option, action="store_true", help=text)
    elif flag.is_positional and setting.collect is None:
        count = None if setting.is_required else "?"
        group.add_argument(setting.name, nargs=count, metavar=flag.metavar, type=setting.parse, help=text)
    elif flag.is_positional:
        count = "+" if setting.is_required else "*"
        group.add_argument(setting.name, nargs=count, metavar=flag.metavar, type=setting.parse, help=text)
    else:
        group.add_argument(
            setting.option,
            action="store" if setting.collect is None else "extend",
            type=setting.parse,
            choices=setting.choices or None,
            default=None if setting.is_required else setting.default if setting.collect is None else [],
            required=setting.is_required,
            metavar=flag.metavar or None,
            help=text,
        )
