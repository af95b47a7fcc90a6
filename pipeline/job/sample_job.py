"""The job of `plan`: it selects with the same steps as a run, in this process, and changes nothing."""

from __future__ import annotations

import copy
import pathlib
import shutil
import tempfile
import weakref

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from reelbeam.pipeline.job.graph import build_sample
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.runners.guarded_runner import GuardedRunner
from reelbeam.pipeline.runners.heap import trim_malloc
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.terminal.progress import ProgressLine
from reelbeam.transforms import metrics
from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import ReelbeamError
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.selection.sample import SampledSelection, read_sample


def sample_selection(
    config: LabelingConfig, key: LabelingKey | None, decoder_version: str, size: int
) -> SampledSelection:
    """Returns what a run would select.

    Args:
      config: of the run.
      key: the labeling key of the run; None if the output has no rows.
      decoder_version: of the run.
      size: of the sample, at most.

    Raises:
      ConfigError, StorageError: an input or the output cannot be read.
    """
    metrics.reset_tally()
    with tempfile.TemporaryDirectory(prefix="reelbeam-plan-") as folder:
        path = str(pathlib.Path(folder) / "sample.json")
        program = beam.Pipeline(GuardedRunner(), _options())
        # Beam removes its folder after a run, but not after an interrupted one.
        weakref.finalize(program, shutil.rmtree, program.local_tempdir, ignore_errors=True)
        build_sample(program, config, key, decoder_version, size, path)
        try:
            with ProgressLine(True, RunProgress().stage), trim_malloc():
                program.run().wait_until_finish()
        except ReelbeamError as error:
            original = _original(error)
            raise original from original.__cause__
        return read_sample(path)


def _options() -> PipelineOptions:
    """Returns options that reach the same stores as this process, for one worker in this thread, without a port."""
    options = copy.deepcopy(pipeline_options())
    direct = options.view_as(DirectOptions)
    direct.direct_running_mode = "in_memory"
    direct.direct_num_workers = 1
    return options


def _original(error: ReelbeamError) -> BaseException:
    """Returns the error that a step raised. Beam handles it by raising a copy with the name of the step."""
    original = error.__context__
    return original if original is not None and str(error).startswith(f"{original} [while running ") else error
