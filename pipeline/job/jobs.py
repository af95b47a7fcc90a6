"""Running a job on whatever runner it is: the empty pipeline, the wait for the end, and what is said of a failure."""

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
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from reelbeam.pipeline.flags.options import is_local
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.runners import dataflow
from reelbeam.pipeline.runners.flink_job import cancelled_on_error, next_job
from reelbeam.pipeline.runners.loopback import local_server
from reelbeam.pipeline.runners.proxies import keep_loopback_direct
from reelbeam.pipeline.terminal.progress import ProgressLine, Stage
from reelbeam.transforms import errors, redaction
from reelbeam.transforms.beam_compat import job_id, keep_worker_pool_local


class JobEnd(NamedTuple):
    """How far a job was followed.

    Attributes:
      error: what the runner raised for a failed job, or what broke the watch over it; None where nothing did.
      job: what the runner calls a job that goes on by itself, as far as is known; None where it came to its end.
    """

    error: Exception | None = None
    job: str | None = None


def make_program(options: PipelineOptions) -> beam.Pipeline:
    """Returns an empty pipeline.

    Raises:
      ConfigError: Beam refuses its own flags, such as an unknown runner.
      RunError: Beam asked Google Cloud about a flag, and got no answer.
    """
    try:
        program = beam.Pipeline(options=options)
    except ValueError as error:
        raise errors.ConfigError(" ".join(str(error).split())) from error
    except dataflow.job_errors(options) as error:  # a bucket of Google's own, where --temp_location names no good one
        raise errors.RunError(f"Google Cloud cannot be asked: {' '.join(str(error).split())}") from error
    # Beam removes its folder when a pipeline has run; this one may never, or be interrupted.
    weakref.finalize(program, shutil.rmtree, program.local_tempdir, ignore_errors=True)
    return program


def run_job(
    program: beam.Pipeline, options: PipelineOptions, wait: bool = True, progress: RunProgress | None = None
) -> JobEnd:
    """Runs a job, to its end if that is to be waited for.

    Args:
      program: the job.
      options: of the run.
      wait: whether to wait for the end.
      progress: of the run that the job belongs to.
    """
    keep_loopback_direct()
    keep_worker_pool_local(local_server)
    followed = next_job(program.options)  # the program's own: Beam has copied them
    try:
        source = (progress or RunProgress()).stage if followed is None else lambda: Stage(followed.progress())
        line = ProgressLine(is_local(options) or followed is not None, source)
        with line, quiet_stderr(), cancelled_on_error(followed):
            result = program.run()
            if not wait or dataflow.is_template_launch(options):
                return JobEnd(job=job_name(result))
            try:
                result.wait_until_finish()
            except dataflow.watch_errors(options) as error:
                logging.getLogger(__name__).info("nobody watches the job any more", exc_info=True)
                return JobEnd(dataflow.unwatched(job_name(result), error), job_name(result))
    except (RuntimeError, BeamIOError, *dataflow.job_errors(options)) as error:  # what runners raise for a failed job
        logging.getLogger(__name__).info("the job failed", exc_info=True)
        return JobEnd(error)
    return JobEnd()


def job_name(result: PipelineResult) -> str:
    """Returns what the runner calls a submitted job; "template" where it only wrote the job down."""
    return job_id(result) or "template"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps Beam's local workers from printing a failed bundle's traceback, unless --verbose asks for it.

    After an interruption for good: bundles go on and break, each in its thread, until the process has ended.
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
    """A stream that passes on what the thread that made it writes, and drops what others do."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        return self._stream.write(text) if threading.get_ident() == self._thread else len(text)

    def flush(self) -> None:
        # Python 3.13 prints what goes wrong when a stream is thrown away, and that flushes it.
        if not self._stream.closed:
            self._stream.flush()


def plain_message(text: str) -> str:
    """Returns the one line that matters of a runner's error, which holds the worker's traceback as text."""
    own = re.findall(r"transforms\.errors\.(?:\w+): (.+)", text)
    # Dataflow's is "… State: CANCELLED, Error:" and, where there is none, "None".
    lines = [line.removesuffix(", Error:") for line in text.splitlines() if line.strip() not in ("", "None")]
    line = own[-1] if own else lines[-1] if lines else "the job failed"
    return redaction.without_query(re.sub(r" \[while running '[^']*'\]", "", line))
