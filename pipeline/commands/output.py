"""`reelbeam status`, `verify`, `diff`, `sql` and `compact`: what there is to see and to do on an output.

Flags are read here; whatever is slow to import is imported after that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from reelbeam.pipeline.flags.definitions import parse_time
from reelbeam.pipeline.flags.parser import Parser
from reelbeam.pipeline.terminal.streams import can_print

EXIT_DOES_NOT_ADD_UP = 4

_Found = TypeVar("_Found")


def status_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam status`'s own flags."""
    parser = _parser("status", "Tell what an output holds: its runs, what is under way, totals over current rows.")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="how many of the last runs; default 10")
    _add_json(parser)
    return parser


def status(argv: Sequence[str]) -> int:
    """Tells the last runs, what is under way, and what holds of every video."""
    args = _parse(status_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_status
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.inspection.overview import overview
    from reelbeam.transforms.output.tables import Output

    with WorkLine("reading") as line:
        found = overview(Output.read_any(args.output), max(args.runs, 0), line.show)
    _print(found, args.json, print_status)
    return 0


def verify_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam verify`'s own flags."""
    parser = _parser(
        "verify",
        "Count everything again from the files: rows, schemas, checksums. Exit code 4 where it does not add up.",
    )
    parser.add_argument("--run", action="append", default=[], metavar="ID", help="only this run; may be repeated")
    parser.add_argument("--last", action="store_true", help="only the last run, with all its parts: for scheduled runs")
    _add_json(parser)
    return parser


def verify(argv: Sequence[str]) -> int:
    """Counts everything again; returns 4 where it does not add up."""
    args = _parse(verify_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_faults
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.inspection.verification import Verification, find_faults

    with WorkLine("checking") as line:
        faults = find_faults(args.output, args.run, line.show, last=args.last)
    _print(Verification(args.output, tuple(faults)), args.json, print_faults)
    return EXIT_DOES_NOT_ADD_UP if faults else 0


def diff_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam diff`'s own flags."""
    parser = _parser("diff", "Tell how the rows of two runs differ.")
    parser.add_argument("before", metavar="RUN_A", help="name of a run, of a run with parts, or how a name begins")
    parser.add_argument("after", metavar="RUN_B")
    _add_json(parser)
    return parser


def diff(argv: Sequence[str]) -> int:
    """Tells how two runs differ."""
    args = _parse(diff_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_difference
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.inspection.comparison import compare
    from reelbeam.transforms.output.tables import Output

    with WorkLine("reading") as line:
        output = Output.read(args.output)
        found = compare(output, output.find(args.before), output.find(args.after), line.show)
    _print(found, args.json, print_difference)
    return 0


def sql_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam sql`'s own flags."""
    views = "current_videos, current_clips, current_errors, label_timeline"
    parser = _parser("sql", f"Print CREATE VIEW statements: {views}.")
    parser.add_argument("--dialect", choices=("duckdb", "bigquery", "spark"), default="duckdb", help="default duckdb")
    parser.add_argument(
        "--min_score", type=float, default=0.5, metavar="S", help="of a label in label_timeline; default 0.5"
    )
    parser.add_argument("--dataset", default="reelbeam", metavar="NAME", help="BigQuery's; default reelbeam")
    return parser


def sql(argv: Sequence[str]) -> int:
    """Prints statements that make views."""
    args = _parse(sql_parser(), argv)

    from reelbeam.transforms.errors import ConfigError
    from reelbeam.transforms.output.tables import Output
    from reelbeam.transforms.output.views import create_views

    if not 0 <= args.min_score <= 1:
        raise ConfigError(f"--min_score is {args.min_score}: it must be from 0 to 1")
    output = Output.read(args.output)  # a view of nothing would fail in the database, with a message of its own
    statements = create_views(output.uri, args.dialect, args.min_score, args.dataset)
    if not can_print(statements):  # escapes would name another folder
        raise ConfigError(
            f"{output.uri!a} cannot be written in stdout's encoding {sys.stdout.encoding}: set PYTHONIOENCODING=utf-8"
        )
    print(statements, end="")
    return 0


def compact_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam compact`'s own flags."""
    parser = _parser("compact", "Put the rows of many small runs into few files; each row keeps its run_id.")
    parser.add_argument(
        "--before", type=parse_time, metavar="TIME", help="only runs that were committed before: 2026-01-31 (UTC)"
    )
    parser.add_argument(
        "--wait_for_lock", action="store_true", help="wait while a run writes to the output; default: exit with 5"
    )
    return parser


def compact(argv: Sequence[str]) -> int:
    """Puts the rows of small runs into few files."""
    args = _parse(compact_parser(), argv)

    from reelbeam.pipeline.job.launch import hold_output
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output import compaction
    from reelbeam.transforms.output.lock.output_lock import LockTicket
    from reelbeam.transforms.output.tables import Output
    from reelbeam.transforms.wording import counted

    uri = Output.read(args.output).uri  # before the lock makes a folder
    lock = LockTicket(uri, compaction.compaction_id())
    with hold_output(lock, local=True, wait=args.wait_for_lock), WorkLine("putting together") as line:
        output = Output.read(uri)
        runs = compaction.small_runs(output, args.before)
        sizes = compaction.compact(output, runs, lock, line.show) if len(runs) > 1 else None
    if sizes is None:
        print(f"nothing to put together: {counted(len(runs), 'small run')}")
        return 0
    files = ", ".join(f"{table} {n} -> {sizes.after[table]}" for table, n in sizes.before.items())
    print(f"put {counted(len(runs), 'run')} together as {lock.holder}: files of {files}")
    return 0


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"reelbeam {command}",
        description=description,
        epilog="Beam's flags pass through, for stores that need some: --s3_endpoint_url, …",
        allow_abbrev=False,
    )
    parser.add_argument("output", metavar="OUTPUT", help="folder or prefix that was --output of `reelbeam label`")
    return parser


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parses flags, and gives Beam its own: a store may need them, `--s3_endpoint_url` for instance."""
    from reelbeam.pipeline.flags import options
    from reelbeam.pipeline.settings.config import require_name

    args, beam_flags = options.parse_label_flags(argv, parser)
    require_name("OUTPUT", args.output)

    from apache_beam.io.filesystems import FileSystems

    FileSystems.set_options(options.to_beam_options(beam_flags))
    return args


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _print(found: _Found, as_json: bool, show: Callable[[_Found], None]) -> None:
    if as_json:
        from reelbeam.transforms.storage.typed_json import to_json

        print(json.dumps(to_json(found), indent=2, ensure_ascii=False))
    else:
        show(found)
