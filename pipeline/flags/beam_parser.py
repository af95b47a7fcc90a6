"""Splits a command line into Reelbeam's words and Beam's, by what Beam's own parser says of its flags.

Decided word by word from the table of flags, and not by what argparse leaves over: how argparse passes words through
differs between versions of Python.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Sequence
from typing import Any

from reelbeam.pipeline.flags.parser import Parser

_NEGATIVE_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")


def beam_parser(own_flags: Collection[str], prog: str) -> argparse.ArgumentParser:
    """Returns a parser of every flag that Beam has, but for names that Reelbeam uses itself (Dataflow's --labels)."""
    from reelbeam.transforms import beam_compat

    own = set(own_flags)

    class BeamFlags(Parser, beam_compat.beam_argument_parser()):  # type: ignore[misc]  # a class made at run time
        def add_argument(self, *names: Any, **kwargs: Any) -> Any:
            return None if own & set(names) else super().add_argument(*names, **kwargs)

    parser = BeamFlags(prog=prog, allow_abbrev=False, add_help=False)
    beam_compat.add_beam_flags(parser)
    return parser


def flag_names(parser: argparse.ArgumentParser) -> set[str]:
    """Returns every name of a flag that a parser knows."""
    return {name for action in parser._actions for name in action.option_strings}


def split_words(argv: Sequence[str], parser: argparse.ArgumentParser) -> tuple[list[str], list[str]]:
    """Returns the words of a parser's flags with their values, and all other words, both in their order.

    A flag takes the next word as its value where it needs one, unless that word is a flag.
    """
    takes_value = {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}
    taken: list[str] = []
    others: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        if name not in takes_value:
            others.append(word)
            continue
        taken.append(word)
        if takes_value[name] and not equals and words and not _is_flag(words[0]):
            taken.append(words.pop(0))
    return taken, others


def _is_flag(word: str) -> bool:
    return len(word) > 1 and word.startswith("-") and " " not in word and not _NEGATIVE_NUMBER.match(word)
