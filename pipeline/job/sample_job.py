"""The job of `plan`: it selects with the same steps as a run, in this process, and changes nothing."""

from __future__ import annotations

import pathlib
import tempfile

from reelbeam.pipeline.job.graph import build_sample
from reelbeam.pipeline.job.jobs import make_program
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.runners.heap import trim_malloc
from reelbeam.pipeline.runners.registry import in_process_runner
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.terminal.progress import ProgressLine
from reelbeam.transforms import metrics
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
        program = make_program(in_process_runner())
        build_sample(program, config, key, decoder_version, size, path)
        try:
            with ProgressLine(True, RunProgress().stage), trim_malloc():
                program.run().wait_until_finish()
        except ReelbeamError as error:
            original = _original(error)
            raise original from original.__cause__
        return read_sample(path)


def _original(error: ReelbeamError) -> BaseException:
    """Returns the error that a step raised. Beam handles it by raising a copy with the name of the step."""
    original = error.__context__
    return original if original is not None and str(error).startswith(f"{original} [while running ") else error
