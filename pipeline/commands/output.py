"""`reelbeam status`, `verify`, `diff`, `sql` and `compact`: the commands that read or compact an output.

Flags are parsed first. Modules that are slow to import are imported after that.
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
    parser = _parser("status", "Show an output's runs, its running and interrupted runs, and totals of current rows.")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="number of last runs to show; default 10")
    _add_json(parser)
    return parser


def status(argv: Sequence[str]) -> int:
    """Prints the last runs, the uncommitted runs, and totals over the current rows."""
    args = _parse(status_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_status
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.overview import overview
    from reelbeam.transforms.output.tables import Output

    with WorkLine("reading") as line:
        found = overview(Output.read_any(args.output), max(args.runs, 0), line.show)
    _print(found, args.json, print_status)
    return 0


def verify_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam verify`'s own flags."""
    parser = _parser(
        "verify",
        "Check rows, schemas and checksums of all files. Exit code 4 if they differ from the run documents.",
    )
    parser.add_argument("--run", action="append", default=[], metavar="ID", help="only this run; may be repeated")
    parser.add_argument("--last", action="store_true", help="only the last run with all its parts, for scheduled runs")
    _add_json(parser)
    return parser


def verify(argv: Sequence[str]) -> int:
    """Verifies an output. Returns 4 if there are faults, else 0."""
    args = _parse(verify_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_faults
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.verification import Verification, find_faults

    with WorkLine("checking") as line:
        faults = find_faults(args.output, args.run, line.show, last=args.last)
    _print(Verification(args.output, tuple(faults)), args.json, print_faults)
    return EXIT_DOES_NOT_ADD_UP if faults else 0


def diff_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam diff`'s own flags."""
    parser = _parser("diff", "Compare the rows of two runs.")
    parser.add_argument("before", metavar="RUN_A", help="name of a run, or the beginning of a name")
    parser.add_argument("after", metavar="RUN_B")
    _add_json(parser)
    return parser


def diff(argv: Sequence[str]) -> int:
    """Prints the differences between two runs."""
    args = _parse(diff_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_difference
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.comparison import compare
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
        "--min_score",
        type=float,
        default=0.5,
        metavar="S",
        help="minimum score of labels in label_timeline; default 0.5",
    )
    parser.add_argument("--dataset", default="reelbeam", metavar="NAME", help="BigQuery dataset; default reelbeam")
    return parser


def sql(argv: Sequence[str]) -> int:
    """Prints statements that create views."""
    args = _parse(sql_parser(), argv)

    from reelbeam.transforms.errors import ConfigError
    from reelbeam.transforms.output.tables import Output
    from reelbeam.transforms.output.views import create_views

    if not 0 <= args.min_score <= 1:
        raise ConfigError(f"--min_score is {args.min_score}: it must be from 0 to 1")
    output = Output.read(args.output)  # raises if there is no committed run, before the database does
    statements = create_views(output.uri, args.dialect, args.min_score, args.dataset)
    if not can_print(statements):  # with escapes, the statements would name another folder
        raise ConfigError(
            f"{output.uri!a} cannot be written in stdout's encoding {sys.stdout.encoding}: set PYTHONIOENCODING=utf-8"
        )
    print(statements, end="")
    return 0


def compact_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam compact`'s own flags."""
    parser = _parser("compact", "Merge the files of many small runs into few files. Each row keeps its run_id.")
    parser.add_argument(
        "--before",
        type=parse_time,
        metavar="TIME",
        help="only runs committed before this time, such as 2026-01-31 (UTC)",
    )
    parser.add_argument(
        "--wait_for_lock", action="store_true", help="wait while a run writes to the output; default: exit with 5"
    )
    return parser


def compact(argv: Sequence[str]) -> int:
    """Merges the files of small runs into few files."""
    args = _parse(compact_parser(), argv)

    from reelbeam.pipeline.job.launch import hold_output
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output import compaction
    from reelbeam.transforms.output.lock.output_lock import LockTicket
    from reelbeam.transforms.output.tables import Output
    from reelbeam.transforms.wording import counted

    uri = Output.read(args.output).uri  # before the lock makes a folder
    lock = LockTicket(uri, compaction.compaction_id())
    with hold_output(lock, local=True, wait=args.wait_for_lock), WorkLine("merging") as line:
        output = Output.read(uri)
        runs = compaction.small_runs(output, args.before)
        sizes = compaction.compact(output, runs, lock, line.show) if len(runs) > 1 else None
    if sizes is None:
        print(f"nothing to merge: {counted(len(runs), 'small run')}")
        return 0
    files = ", ".join(f"{table} {n} -> {sizes.after[table]}" for table, n in sizes.before.items())
    print(f"merged {counted(len(runs), 'run')} into {lock.holder}: files of {files}")
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
    """Parses flags and passes Beam's flags to its file systems, for example `--s3_endpoint_url`."""
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
