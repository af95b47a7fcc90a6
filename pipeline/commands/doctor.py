"""`reelbeam doctor`: what this machine and this installation can do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reelbeam.pipeline.flags.parser import Parser, make_parser
from reelbeam.pipeline.settings.command_settings import DOCTOR_GROUPS
from reelbeam.pipeline.settings.declaration import settings_of
from reelbeam.pipeline.settings.model_settings import ModelDescription

if TYPE_CHECKING:
    from reelbeam.pipeline.doctor.subject import Subject

_EPILOG = (
    "Without --reach, nothing is sent to a network; a cluster that --runner names gets a job. Beam's flags pass "
    "through. Exit codes: 0 no check failed, 1 a check failed, 2 doctor itself could not run."
)


def doctor_parser() -> Parser:
    """Returns the parser of `reelbeam doctor`."""
    description = "Check what this machine and this installation can do."
    return make_parser("reelbeam doctor", description, DOCTOR_GROUPS, _EPILOG)


def doctor(argv: Sequence[str]) -> int:
    """Runs the checks and prints their results. Returns the exit code.

    Raises:
      ConfigError: a flag is wrong.
    """
    from reelbeam.pipeline.flags.command_line import parse_flags

    parser = doctor_parser()
    args, beam_flags = parse_flags(argv, parser)

    from reelbeam.pipeline.doctor import tables
    from reelbeam.pipeline.doctor.registry import CHECKS, find_checks
    from reelbeam.pipeline.doctor.running import examine
    from reelbeam.pipeline.runners.stores import reach_stores
    from reelbeam.transforms.typed_json import to_json

    unknown = sorted(set(args.checks) - {check.id for check in CHECKS})
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}; --list prints the checks")
    if args.list:
        tables.print_list()
        return 0
    reach_stores(beam_flags)
    report = examine(find_checks(args.checks), _subject(args, beam_flags), args.strict, bool(args.checks))
    if args.json:
        print(json.dumps(to_json(report), indent=2, ensure_ascii=False))
    else:
        tables.print_report(report)
    return report.exit_code


def _subject(args: argparse.Namespace, beam_flags: Sequence[str]) -> Subject:
    from reelbeam.pipeline.doctor.subject import Subject

    return Subject(
        model=args.model,
        model_flags=tuple((each.name, getattr(args, each.name)) for each in settings_of(ModelDescription)),
        inputs=tuple(args.input),
        output=args.output,
        spool_dir=args.spool_dir,
        engine=args.engine,
        precision=args.precision,
        allow_unconfined=args.allow_unconfined_decoder,
        reach=args.reach,
        beam_flags=tuple(beam_flags),
    )
