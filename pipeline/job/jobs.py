"""One Beam job on any runner: an empty pipeline, the wait for the end, and the message of a failure."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shutil
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import NamedTuple, TextIO

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.runners.runner import PipelineResult

from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.runners.loopback import local_server
from reelbeam.pipeline.runners.proxies import keep_loopback_direct
from reelbeam.pipeline.runners.runner import Runner
from reelbeam.pipeline.terminal.progress import ProgressLine
from reelbeam.transforms import errors, redaction
from reelbeam.transforms.beam_compat import job_id, keep_views_and_specs, keep_worker_pool_local, staging_below

_LOGGER = logging.getLogger(__name__)


class JobEnd(NamedTuple):
    """How the watch over a job ended.

    Attributes:
      error: the exception of the runner for a failed job, or the reason why the job is not watched any more; None if
        there was no error.
      job: the runner's name of a job that continues by itself, as far as is known; None if the job has ended.
    """

    error: Exception | None = None
    job: str | None = None


def make_program(runner: Runner) -> beam.Pipeline:
    """Returns an empty pipeline.

    Raises:
      ConfigError: Beam rejects its own flags, for example an unknown runner.
      RunError: Beam asked the runner's service about a flag, and got no answer.
    """
    keep_views_and_specs()
    try:
        program = beam.Pipeline(options=runner.options)
    except ValueError as error:
        raise errors.ConfigError(" ".join(str(error).split())) from error
    except runner.job_errors as error:  # about the bucket that Dataflow uses by default, for example
        raise errors.RunError(f"{runner.service} cannot be asked: {' '.join(str(error).split())}") from error
    # Beam removes its folder when a pipeline has run; this one may never run, or may be interrupted.
    weakref.finalize(program, shutil.rmtree, program.local_tempdir, ignore_errors=True)
    return program


def run_job(program: beam.Pipeline, runner: Runner, wait: bool = True, progress: RunProgress | None = None) -> JobEnd:
    """Runs a job.

    Args:
      program: the job.
      runner: the runner.
      wait: whether to wait for the end of the job.
      progress: the progress of the run that the job belongs to.
    """
    keep_loopback_direct()
    keep_worker_pool_local(local_server)
    tally = (progress or RunProgress()).stage
    watch = runner.watch(program.options, tally)  # a copy of the runner's options, which Beam made
    try:
        with ProgressLine(watch.stage is not None, watch.stage or tally), quiet_stderr(), watch.guard:
            with staging_below(program.local_tempdir):
                result = program.run()
            if not wait or runner.submits_only:
                return JobEnd(job=job_name(result))
            try:
                result.wait_until_finish()
            except Exception as error:
                lost = runner.lost_watch(job_name(result), error)
                if lost is None:
                    raise
                _LOGGER.info("the job is not watched any more", exc_info=True)
                return JobEnd(lost, job_name(result))
    except (RuntimeError, BeamIOError, *runner.job_errors) as error:  # what runners raise for a failed job
        _LOGGER.info("the job failed", exc_info=True)
        return JobEnd(error)
    return JobEnd()


def job_name(result: PipelineResult) -> str:
    """Returns the runner's name of a submitted job; "template" if the job was only saved as a template."""
    return job_id(result) or "template"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps Beam's local workers from printing the traceback of a failed bundle, unless --verbose is given.

    After an interruption this is permanent: bundles continue and fail, each in its thread, until the process ends.
    """
    if logging.getLogger().isEnabledFor(logging.INFO):
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stderr(_OfThisThread(sys.stderr)))
        try:
            yield
        except KeyboardInterrupt:
            stack.pop_all()
            raise


class _OfThisThread(io.TextIOBase):
    """Passes on the output of the thread that created it, and drops the output of other threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        return self._stream.write(text) if threading.get_ident() == self._thread else len(text)

    def flush(self) -> None:
        # Python 3.13 flushes a stream that is garbage-collected, and prints errors.
        if not self._stream.closed:
            self._stream.flush()


def plain_message(text: str) -> str:
    """Returns the last line of our own error in a runner's error, which contains the worker's traceback as text."""
    own = re.findall(r"transforms\.errors\.(?:\w+\.)*\w+: (.+)", text)
    # Dataflow's text is "… State: CANCELLED, Error:", and "None" if there is no error.
    lines = [line.removesuffix(", Error:") for line in text.splitlines() if line.strip() not in ("", "None")]
    line = own[-1] if own else lines[-1] if lines else "the job failed"
    return redaction.without_query(re.sub(r" \[while running '[^']*'\]", "", line))
