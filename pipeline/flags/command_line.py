"""Parse the command line of a command: its own flags, and Beam's.

A command takes its own flags and every flag of Beam. Both sets are checked: an unknown flag is an error. Beam alone
would only warn of it. Beam, which takes seconds to import, is imported only for a command line that needs its flags.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence

from reelbeam.pipeline.flags import spelling
from reelbeam.pipeline.flags.beam_parser import beam_parser, split_arguments
from reelbeam.pipeline.flags.label_parser import label_parser
from reelbeam.pipeline.flags.parser import Parser, flag_names


def parse_flags(argv: Sequence[str], parser: Parser | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Splits a command line into the flags of a command, which it parses, and Beam's, which it returns unchanged.

    Exits with 2, as argparse does, for an unknown flag.

    Args:
      argv: the command line after the command's name.
      parser: the parser of the command; None: that of `label`.

    Raises:
      ConfigError: a value is out of range, or a blank name.
    """
    parser = parser or label_parser()
    if {"-h", "--help"} & set(argv):
        parser.parse_args(["--help"])  # prints and exits
    own_flags = flag_names(parser)
    beams, ours = ([], argv) if _has_no_other_flag(argv, own_flags) else _split(argv, own_flags, parser.prog)
    args, unknown = parser.parse_known_intermixed_args(ours)
    if unknown:
        near = spelling.nearest(unknown[0], own_flags | flag_names(beam_parser(own_flags, parser.prog)))
        parser.error(f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {near}?)" if near else ""))
    for each in parser.settings:
        each.require(getattr(args, each.name))
    return args, beams


def _has_no_other_flag(argv: Sequence[str], own_flags: Collection[str]) -> bool:
    """Returns whether all words that begin with a hyphen are own flags, so that none can be Beam's."""
    words = spelling.respelled(argv, own_flags)
    return all(word.partition("=")[0] in own_flags for word in words if word.startswith("-"))


def _split(argv: Sequence[str], own_flags: set[str], prog: str) -> tuple[list[str], list[str]]:
    """Returns Beam's flags, which it checks, and all other arguments. Exits if a value is wrong."""
    theirs = beam_parser(own_flags, prog)
    beams, ours = split_arguments(spelling.respelled(argv, own_flags | flag_names(theirs)), theirs)
    theirs.parse_args(beams)
    return beams, ours
