"""`reelbeam status`, `verify`, `diff`, `sql` and `compact`: the commands that read or compact an output.

Flags are parsed first. Modules that are slow to import are imported after that.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from reelbeam.pipeline.commands.parsing import parse
from reelbeam.pipeline.flags.parser import STORES_EPILOG, Parser, make_parser
from reelbeam.pipeline.settings.command_settings import (
    COMPACT_GROUPS,
    DIFF_GROUPS,
    SQL_GROUPS,
    STATUS_GROUPS,
    VERIFY_GROUPS,
)
from reelbeam.pipeline.settings.declaration import Group
from reelbeam.pipeline.terminal.streams import can_print

EXIT_DOES_NOT_ADD_UP = 4

_Found = TypeVar("_Found")


def status_parser() -> Parser:
    """Returns the parser of `reelbeam status`'s own flags."""
    return _parser("status", "Show an output: its runs, the run in progress, totals over current rows.", STATUS_GROUPS)


def status(argv: Sequence[str]) -> int:
    """Prints the last runs, the uncommitted runs, and totals over the current rows."""
    args = parse(status_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_status
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.inspection.overview import overview
    from reelbeam.transforms.output.tables import Output

    with WorkLine("reading") as line:
        found = overview(Output.read_any(args.output), args.runs, line.show)
    _print(found, args.json, print_status)
    return 0


def verify_parser() -> Parser:
    """Returns the parser of `reelbeam verify`'s own flags."""
    return _parser(
        "verify",
        "Check rows, schemas and checksums of all files. Exit code 4 if they differ from the run documents.",
        VERIFY_GROUPS,
    )


def verify(argv: Sequence[str]) -> int:
    """Verifies an output. Returns 4 if there are faults, else 0."""
    args = parse(verify_parser(), argv)

    from reelbeam.pipeline.reports.output_tables import print_faults
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.inspection.verification import Verification, find_faults

    with WorkLine("checking") as line:
        faults = find_faults(args.output, args.run, line.show, last=args.last)
    _print(Verification(args.output, tuple(faults)), args.json, print_faults)
    return EXIT_DOES_NOT_ADD_UP if faults else 0


def diff_parser() -> Parser:
    """Returns the parser of `reelbeam diff`'s own flags."""
    parser = _parser("diff", "Show how two outputs differ, or two runs of one output.", DIFF_GROUPS)
    parser.usage = "reelbeam diff [OPTION ...] OUTPUT OTHER\n       reelbeam diff [OPTION ...] OUTPUT RUN_A RUN_B"
    return parser


def diff(argv: Sequence[str]) -> int:
    """Prints the differences between two outputs, or between two runs of one output."""
    args = parse(diff_parser(), argv)

    from reelbeam.pipeline.reports.difference_tables import print_differences
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output.comparison.differences import find_differences
    from reelbeam.transforms.output.comparison.selection import select_sides

    with WorkLine("reading") as line:
        before, after = select_sides(args.output, args.other, args.run, line.show)
        found = find_differences(before, after, args.min_drift, line.show)
    _print(found, args.json, print_differences)
    return 0


def sql_parser() -> Parser:
    """Returns the parser of `reelbeam sql`'s own flags."""
    views = "current_videos, current_clips, current_errors, label_timeline"
    more = "With --thresholds: passed_labels and video_answers, too."
    return _parser("sql", f"Print CREATE VIEW statements: {views}. {more}", SQL_GROUPS)


def sql(argv: Sequence[str]) -> int:
    """Prints statements that create views."""
    args = parse(sql_parser(), argv)

    from reelbeam.transforms.errors import ConfigError
    from reelbeam.transforms.output.label_thresholds import other_models_text, read_thresholds
    from reelbeam.transforms.output.sql.views import create_views
    from reelbeam.transforms.output.tables import Output

    output = Output.read(args.output)  # raises if there is no committed run, before the database does
    thresholds = None if args.thresholds is None else read_thresholds(args.thresholds)
    if thresholds is not None:
        models = dict.fromkeys(run.labeled.model for run in output.labeling_runs())
        if models and len(others := thresholds.other_models([*models])) == len(models):
            logging.getLogger(__name__).warning("%s", other_models_text(thresholds, others))
    statements = create_views(output.uri, args.dialect, args.min_score, args.dataset, thresholds)
    if not can_print(statements):  # with escapes, the statements would name another folder
        raise ConfigError(
            f"{output.uri!a} cannot be written in stdout's encoding {sys.stdout.encoding}: set PYTHONIOENCODING=utf-8"
        )
    print(statements, end="")
    return 0


def compact_parser() -> Parser:
    """Returns the parser of `reelbeam compact`'s own flags."""
    return _parser(
        "compact", "Merge the rows of many small runs into few files. Each row keeps its run_id.", COMPACT_GROUPS
    )


def compact(argv: Sequence[str]) -> int:
    """Merges the files of small runs into few files."""
    args = parse(compact_parser(), argv)

    from reelbeam.pipeline.job.output_access import hold_output
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.output import compaction
    from reelbeam.transforms.output.lock.output_lock import LockTicket
    from reelbeam.transforms.output.tables import Output
    from reelbeam.transforms.wording import counted

    uri = Output.read(args.output).uri  # before the lock makes a folder
    lock = LockTicket(uri, compaction.compaction_id())
    with hold_output(lock, ends_with_process=True, wait=args.wait_for_lock), WorkLine("merging") as line:
        output = Output.read(uri)
        runs = compaction.small_runs(output, args.before)
        sizes = compaction.compact(output, runs, lock, line.show) if len(runs) > 1 else None
    if sizes is None:
        print(f"nothing to merge: {counted(len(runs), 'small run')}")
        return 0
    files = ", ".join(f"{table} {n} -> {sizes.after[table]}" for table, n in sizes.before.items())
    print(f"merged {counted(len(runs), 'run')} into {lock.holder}: files of {files}")
    return 0


def _parser(command: str, description: str, groups: Sequence[Group]) -> Parser:
    return make_parser(f"reelbeam {command}", description, groups, STORES_EPILOG)


def _print(found: _Found, as_json: bool, show: Callable[[_Found], None]) -> None:
    if as_json:
        from reelbeam.transforms.typed_json import to_json

        print(json.dumps(to_json(found), indent=2, ensure_ascii=False))
    else:
        show(found)
