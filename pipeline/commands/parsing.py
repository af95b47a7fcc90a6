"""Parse the flags of a command that may read from object stores."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from reelbeam.pipeline.flags.command_line import parse_flags
from reelbeam.pipeline.flags.parser import Parser
from reelbeam.pipeline.runners.stores import reach_stores


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Returns the flags of a command, and passes Beam's flags to the stores, for example `--s3_endpoint_url`.

    Exits with 2 for a flag that neither the command nor Beam has.
    """
    args, beam_flags = parse_flags(argv, parser)
    reach_stores(beam_flags)
    return args
