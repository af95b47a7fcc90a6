"""The program `reelbeam`: commands, exit codes, signals. Slow modules are imported by the command that needs them."""

from __future__ import annotations

import argparse
import atexit
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from reelbeam.pipeline import __version__
from reelbeam.pipeline.commands import output
from reelbeam.pipeline.flags.parser import Parser, make_parser
from reelbeam.pipeline.flags.spelling import is_given
from reelbeam.pipeline.reports.summary_json import Progress
from reelbeam.pipeline.settings import bounds
from reelbeam.pipeline.settings.command_settings import PROBE_GROUPS
from reelbeam.pipeline.terminal import streams
from reelbeam.transforms.storage.stores import optional_modules

EXIT_OK, EXIT_FAILED, EXIT_BAD_FLAGS, EXIT_LOCKED = 0, 1, 2, 5
_EXIT_INTERRUPTED = 130
_SECONDS_TO_CLEAN_UP = 5.0
_SIGNS_OF_NO_MEMORY = ("memoryerror", "cannot allocate memory", "can't start new thread", "bad_alloc")
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

_DESCRIPTION = """\
Label the actions in a whole corpus of videos.

  reelbeam label INPUT… --model NAME --output DIR
                                       Label videos, write Parquet
  reelbeam plan INPUT… --model NAME --output DIR
                                       Show what `label` would do, and what it would cost
  reelbeam status OUTPUT               Show runs, totals, errors, progress
  reelbeam verify OUTPUT               Count everything again from the files
  reelbeam report OUTPUT               Write an HTML page with charts and pictures of clips
  reelbeam evaluate OUTPUT --truth FILE
                                       Measure how right the labels are
  reelbeam diff OUTPUT OTHER           Show how two outputs differ
  reelbeam diff OUTPUT RUN_A RUN_B     Show how two runs of an output differ
  reelbeam sql OUTPUT                  Print views for DuckDB, BigQuery or Spark
  reelbeam compact OUTPUT              Merge many small runs into few files
  reelbeam models                      List the models
  reelbeam models fetch NAME           Download a model
  reelbeam models export NAME --to DIR
                                       Write a folder of a model, for workers without a hub
  reelbeam probe FILE…                 Print the streams of a file, or its error
  reelbeam doctor                      Check this machine and this installation

Example: reelbeam label ~/videos --model a0-base --output ~/labels

`reelbeam COMMAND --help` lists the flags of a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0 done, 1 failed, 2 bad flags, 3 too many inputs failed, 4 an output does not add up, 5 the output is in use.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    progress = Progress()
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "label": functools.partial(_label, progress),
        "plan": _plan,
        "models": _models,
        "probe": _probe,
        "doctor": _doctor,
        "report": _report,
        "evaluate": _evaluate,
        "status": output.status,
        "verify": output.verify,
        "diff": output.diff,
        "sql": output.sql,
        "compact": output.compact,
    }
    if argv and argv[0] in commands:
        _set_up_logging(is_given("--verbose", argv))
        return _guarded(commands[argv[0]], argv[1:], progress)
    parser = Parser(prog="reelbeam", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"reelbeam {__version__}")
    parser.add_argument("command", choices=sorted(commands), metavar="COMMAND", help=", ".join(sorted(commands)))
    parser.parse_args(argv or ["--help"])  # prints the help, the version or an error, and exits
    return EXIT_BAD_FLAGS


def _label(progress: Progress, argv: Sequence[str]) -> int:
    from reelbeam.pipeline.commands import label

    return label.label(progress, argv)


def _plan(argv: Sequence[str]) -> int:
    from reelbeam.pipeline.commands import plan
    from reelbeam.pipeline.flags.command_line import parse_flags

    args, beam_flags = parse_flags(argv, plan.plan_parser())
    return plan.plan(args, beam_flags)


def _models(argv: Sequence[str]) -> int:
    from reelbeam.pipeline.commands import models

    models.models(argv)
    return EXIT_OK


def _report(argv: Sequence[str]) -> int:
    from reelbeam.pipeline.commands import report

    return report.report(argv)


def _evaluate(argv: Sequence[str]) -> int:
    from reelbeam.pipeline.commands import evaluate

    return evaluate.evaluate(argv)


def probe_parser() -> Parser:
    """Returns the parser of `reelbeam probe`."""
    return make_parser("reelbeam probe", "Print the streams of video files, or their errors.", PROBE_GROUPS)


def _probe(argv: Sequence[str]) -> int:
    args = probe_parser().parse_args(argv)
    from reelbeam.pipeline.commands import probe

    return probe.probe_files(args.files, args.allow_unconfined_decoder)


def _doctor(argv: Sequence[str]) -> int:
    """Runs checks. Whatever keeps `doctor` itself from running is exit code 2: 1 means that a check failed."""
    from reelbeam.transforms.errors import ReelbeamError

    try:
        from reelbeam.pipeline.commands import doctor

        return doctor.doctor(argv)
    except ReelbeamError as error:
        _complain(error)
    except ImportError as error:
        from reelbeam.pipeline.doctor.installation import check_packages

        found = check_packages()
        remedy = "pip install --force-reinstall reelbeam" if found.status == "ok" else f"{found.found}: {found.remedy}"
        print(f"reelbeam: doctor cannot run: {error}; {remedy}", file=sys.stderr)
    return EXIT_BAD_FLAGS


def _guarded(command: Callable[[Sequence[str]], int], argv: Sequence[str], progress: Progress) -> int:
    """Runs a command. Errors of our tree become one line and an exit code; any other exception is a bug.

    Args:
      command: the command.
      argv: its flags.
      progress: the progress of the run, which the command updates.
    """
    from reelbeam.pipeline.reports import summary_json
    from reelbeam.transforms import errors

    as_json = is_given("--summary_json", argv)
    try:
        bounds.require_start()
        return command(argv)
    except SystemExit as stop:  # from argparse, which has printed an error or the help
        if as_json and stop.code:
            print(summary_json.of_bad_flags(getattr(stop, "message", "see stderr"), EXIT_BAD_FLAGS))
        raise
    except errors.ReelbeamError as error:
        code = _exit_code(error)
        _complain(error)
        if as_json:
            print(summary_json.of_error(error, code, progress))
        return code
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # native modules make an ImportError of it
            _end_interrupted(as_json, progress)
        if not any(sign in f"{error!r}".lower() for sign in _SIGNS_OF_NO_MEMORY):
            raise
        _complain(errors.RunError(f"out of memory ({error!r}): free some, or raise the limit of `ulimit -v`"))
        return EXIT_FAILED
    except KeyboardInterrupt:
        _end_interrupted(as_json, progress)


def _end_interrupted(as_json: bool, progress: Progress) -> NoReturn:
    from reelbeam.pipeline.reports import summary_json

    remedy = ": the next run labels what was not committed" if progress.output else ""
    print(f"\ninterrupted{remedy}", file=sys.stderr)
    if as_json:
        print(summary_json.of_interrupt(_EXIT_INTERRUPTED, progress), flush=True)
    # A normal exit would wait for runner threads, which may be inside native code.
    _exit_at_once(_EXIT_INTERRUPTED)


def _exit_code(error: Exception) -> int:
    """Returns the exit code of an error: 2 if flags or credentials must be changed, 1 if a retry may help."""
    from reelbeam.transforms import errors

    if isinstance(error, errors.OutputLockedError):
        return EXIT_LOCKED
    if isinstance(error, errors.ConfigError | errors.ModelError) and not error.transient:
        return EXIT_BAD_FLAGS
    return EXIT_BAD_FLAGS if isinstance(error, errors.CredentialsError) else EXIT_FAILED


def _complain(error: Exception) -> None:
    from reelbeam.transforms.redaction import without_query

    print(f"reelbeam: {streams.printable(without_query(str(error)))}", file=sys.stderr)


def _set_up_logging(verbose: bool) -> None:
    """Shows warnings of Reelbeam only, and with --verbose the logs of Beam and the engines, too."""
    handler = streams.LogHandler()
    handler.setFormatter(streams.LogFormatter(f"%(levelname)s{' %(name)s' if verbose else ''}: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])
    logging.getLogger("apache_beam").setLevel(logging.INFO if verbose else logging.CRITICAL)
    logging.getLogger("reelbeam.pipeline").setLevel(logging.DEBUG if verbose else logging.WARNING)
    logging.getLogger("reelbeam.transforms").setLevel(logging.INFO if verbose else logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")
    os.environ.setdefault("GRPC_VERBOSITY", "INFO" if verbose else "ERROR")


def _exit_at_once(code: int) -> NoReturn:
    """Ends the process without waiting for its threads.

    Exit handlers run first, for at most five seconds. They remove copies of remote videos and Beam's temporary folders,
    and end decoder processes and a job server that Beam started here.
    """
    for number in (signal.SIGINT, *_ENDING_SIGNALS):
        signal.signal(number, signal.SIG_IGN)  # a second signal would interrupt the cleanup
    try:
        cleanup = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
        cleanup.start()
        cleanup.join(_SECONDS_TO_CLEAN_UP)
    finally:
        os._exit(code)


def entry_point() -> NoReturn:
    """The entry point of the command `reelbeam`: runs `main` and ends the process.

    SIGTERM, which schedulers send, and SIGHUP, which a closing terminal sends, act like Ctrl-C. By default they would
    end the program without removing its files, or do nothing in a pod, where the program is process 1.
    """
    _leave_out_modules(sys.argv[1:])
    streams.take_names_for_utf8()
    streams.take_over_streams()
    for number in _ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, signal.default_int_handler)
    try:
        code = main()
    except SystemExit as stop:  # from argparse; its code is a number
        code = int(stop.code or 0)
    code = _after_output(code)
    if code == EXIT_FAILED:
        # A failed job may leave the runner's threads in native code, which aborts a normal interpreter exit.
        _exit_at_once(code)
    sys.exit(code)


def _leave_out_modules(argv: Sequence[str]) -> None:
    """Keeps modules from being imported that the command does not need, or not at once, see `optional_modules`."""
    optional_modules.leave_out(optional_modules.UNUSED)
    needs_clients = any("://" in word or "runner" in word.lower() for word in argv)
    if argv[:1] in (["label"], ["plan"]) and not needs_clients:
        optional_modules.leave_out([*optional_modules.SERVICES, *optional_modules.FILE_SYSTEMS])


def _after_output(code: int) -> int:
    """Returns the exit code of a command, with a check that all of its output was written.

    Lost output does not change the result of a commit. The only result of other commands is their output.
    """
    lost = streams.lost_output(sys.stdout)
    if lost is None:
        return code
    print(f"reelbeam: stdout cannot be written: {lost.strerror}; free the disk, or name another file", file=sys.stderr)
    is_committed = sys.argv[1:2] in (["label"], ["compact"])
    return code if code or is_committed else EXIT_FAILED
