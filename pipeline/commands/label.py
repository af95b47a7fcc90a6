"""`reelbeam label`: label videos. Slow modules are imported after the flags were checked."""

from __future__ import annotations

from collections.abc import Sequence

from reelbeam.pipeline.flags.command_line import parse_flags
from reelbeam.pipeline.reports.summary_json import Progress
from reelbeam.pipeline.runners.heap import imports_without_collector


def label(progress: Progress, argv: Sequence[str]) -> int:
    """Labels videos. Returns the exit code of the run.

    Args:
      progress: gets the name, the output and the outcomes of the run, for the report of a run that an error or an
        interruption ends.
      argv: the flags of the command, and Beam's.

    Raises:
      ConfigError, ModelError: a flag must be changed.
      RunError: the run failed.
    """
    args, beam_flags = parse_flags(argv)

    with imports_without_collector():
        from reelbeam.pipeline.flags import options
        from reelbeam.pipeline.runners.registry import runner_of
        from reelbeam.pipeline.runners.stores import reach_stores
        from reelbeam.transforms import storage

    reach_stores(beam_flags)
    config = options.to_config(args)
    progress.output = storage.normalize(config.output).rstrip("/")
    runner = runner_of(beam_flags)
    if args.report:  # its modules, such as SciPy, take a second to import
        from reelbeam.pipeline.reports import run_report

        run_report.require_wait(args.no_wait or runner.submits_only)

    with imports_without_collector():
        from reelbeam.pipeline.job.execution import execute
        from reelbeam.pipeline.job.preparation import check_request, prepare
        from reelbeam.pipeline.reports import summary_json
        from reelbeam.pipeline.reports.summary import print_outcome, print_total
        from reelbeam.pipeline.terminal.console import make_console

    prepared = prepare(check_request(config, runner, wait=not args.no_wait))
    progress.begin(prepared.run.run_id)
    console = make_console()
    outcomes = progress.outcomes
    for outcome in execute(prepared):
        print_outcome(outcome, console, len(outcomes))
        outcomes.append(outcome)
    print_total(outcomes, console)
    report = run_report.report_run(config, outcomes) if args.report else None
    if args.summary_json:
        print(summary_json.of_outcomes(outcomes, report))
    return outcomes[-1].exit_code
