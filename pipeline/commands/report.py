"""`reelbeam report`: write an HTML page that shows an output."""

from __future__ import annotations

from collections.abc import Sequence

from reelbeam.pipeline.commands.parsing import parse
from reelbeam.pipeline.flags.parser import STORES_EPILOG, Parser, make_parser
from reelbeam.pipeline.settings.command_settings import REPORT_GROUPS


def report_parser() -> Parser:
    """Returns the parser of `reelbeam report`'s own flags."""
    description = (
        "Write an HTML page that shows an output: charts, pictures of clips, timelines, failures, and what changed."
    )
    return make_parser("reelbeam report", description, REPORT_GROUPS, STORES_EPILOG)


def report(argv: Sequence[str]) -> int:
    """Writes the page, and prints where it is.

    Raises:
      ConfigError: the output has no such run, or the page cannot be written there.
      RunError: a store does not respond now.
    """
    args = parse(report_parser(), argv)

    from reelbeam.pipeline.commands.reporting import ReportRequest, write_report

    print(write_report(ReportRequest.of(args)).to_line())
    return 0
