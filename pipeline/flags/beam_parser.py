"""Split a command line into Beam's arguments and Reelbeam's, by the flags that Beam's own parser knows.

Each argument is looked up in the table of Beam's flags. What argparse does not recognize is not used for this, because
argparse returns such arguments differently in different versions of Python.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Sequence
from typing import Any

from reelbeam.pipeline.flags.parser import Parser

_NEGATIVE_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")


def beam_parser(own_flags: Collection[str], prog: str) -> argparse.ArgumentParser:
    """Returns a parser of all of Beam's flags except those whose names Reelbeam uses itself (Dataflow's --labels)."""
    from reelbeam.transforms import beam_compat

    own = set(own_flags)

    class BeamFlags(Parser, beam_compat.beam_argument_parser()):  # type: ignore[misc]  # a class made at run time
        def add_argument(self, *names: Any, **kwargs: Any) -> Any:
            return None if own & set(names) else super().add_argument(*names, **kwargs)

    parser = BeamFlags(prog=prog, allow_abbrev=False, add_help=False)
    beam_compat.add_beam_flags(parser)
    return parser


def split_arguments(argv: Sequence[str], parser: argparse.ArgumentParser) -> tuple[list[str], list[str]]:
    """Returns the arguments that are flags of a parser, with their values, and all other arguments, in their order.

    A flag that needs a value takes the next argument, unless that is a flag.
    """
    takes_value = {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}
    taken: list[str] = []
    others: list[str] = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        name, equals, _ = argument.partition("=")
        if name not in takes_value:
            others.append(argument)
            continue
        taken.append(argument)
        if takes_value[name] and not equals and rest and not _is_flag(rest[0]):
            taken.append(rest.pop(0))
    return taken, others


def _is_flag(text: str) -> bool:
    return len(text) > 1 and text.startswith("-") and " " not in text and not _NEGATIVE_NUMBER.match(text)
