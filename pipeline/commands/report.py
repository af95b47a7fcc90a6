"""`reelbeam report`: write an HTML page that shows an output."""

from __future__ import annotations

from collections.abc import Sequence

from reelbeam.pipeline.commands.parsing import parse
from reelbeam.pipeline.flags.parser import STORES_EPILOG, Parser, make_parser
from reelbeam.pipeline.settings.command_settings import REPORT_GROUPS
from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.label_settings import RemoteSettings
from reelbeam.pipeline.settings.report_settings import ReportSettings


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

    from reelbeam.pipeline.reports.html_report import ReportRequest, picture_options, write_report

    pictures = picture_options(from_values(RemoteSettings, vars(args)), args.allow_unconfined_decoder, None)
    request = ReportRequest(args.output, pictures, from_values(ReportSettings, vars(args)))
    print(write_report(request).to_line())
    return 0
