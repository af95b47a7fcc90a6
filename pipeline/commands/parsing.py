"""Parse the flags of a command that may read from object stores."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from reelbeam.pipeline.flags.parser import Parser


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Returns the flags of a command, and passes Beam's flags to the stores, for example `--s3_endpoint_url`.

    Exits with 2 for a flag that neither the command nor Beam has.
    """
    from reelbeam.pipeline.flags import options

    args, beam_flags = options.parse_flags(argv, parser)

    from reelbeam.pipeline.runners.stores import reach_stores

    reach_stores(beam_flags)
    return args
