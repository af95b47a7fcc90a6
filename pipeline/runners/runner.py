"""The interface of runners: everything in which one place for jobs differs from another."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms.errors import RunError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


class Watch(NamedTuple):
    """How one job is watched.

    Attributes:
      stage: returns the progress of the job; None if it is unknown.
      guard: is open while the job runs.
    """

    stage: Callable[[], Stage] | None = None
    guard: contextlib.AbstractContextManager[None] = contextlib.nullcontext()


class Runner(Protocol):
    """Executes Beam jobs. The methods' bodies suit a cluster that has no special features.

    Attributes:
      options: Beam's options, with this project's defaults.
      is_local: whether the workers are threads of this process.
      videos_per_part: the default of `--videos_per_part`.
      service: the name of the service in messages.
    """

    options: PipelineOptions
    is_local: ClassVar[bool] = False
    videos_per_part: ClassVar[int] = 0
    service: ClassVar[str] = "the runner"

    @property
    def submits_only(self) -> bool:
        """Whether jobs are only submitted, or saved as templates, even if the launcher would wait for their end."""
        return False

    @property
    def cancels_interrupted_jobs(self) -> bool:
        """Whether an interrupted launcher cancels its job. Otherwise, the job continues and commits."""
        return False

    @property
    def job_errors(self) -> tuple[type[Exception], ...]:
        """The exceptions, besides Beam's own, for a job that cannot be submitted, or that failed."""
        return ()

    def adapt(self, config: LabelingConfig) -> LabelingConfig:
        """Returns the configuration for this runner's workers.

        Raises:
          ConfigError: the workers cannot use it.
        """
        return config

    def check_machine(self, config: LabelingConfig) -> None:
        """Checks that this machine can do its share of a run.

        Raises:
          ConfigError: it cannot.
        """
        return

    def watch(self, options: PipelineOptions, tally: Callable[[], Stage]) -> Watch:
        """Prepares to watch the job that is submitted next.

        Args:
          options: the options of the job, a copy of the runner's. Its name may be changed.
          tally: returns the progress according to the counters of this process.
        """
        return Watch()

    def lost_watch(self, job: str, error: Exception) -> RunError | None:
        """Returns the error to report if an exception means that a job continues unwatched; None for any other one."""
        return None


@dataclasses.dataclass(frozen=True)
class OtherRunner(Runner):
    """A runner without any special features, such as Beam's PortableRunner."""

    options: PipelineOptions
