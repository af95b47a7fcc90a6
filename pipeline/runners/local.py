"""Runs on this machine: the workers are threads of this process."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from reelbeam.pipeline.runners.runner import Runner, Watch
from reelbeam.pipeline.settings import bounds
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.settings.label_settings import LOCAL_VIDEOS_PER_PART
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms.beam_compat import pipeline_options
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.cpus import cpu_count

_BEAM_RUNNER = "reelbeam.pipeline.runners.guarded_runner.GuardedRunner"


@dataclasses.dataclass(frozen=True)
class LocalRunner(Runner):
    """This process. Its counters are those of the job, and the job ends with it."""

    options: PipelineOptions
    is_local: ClassVar[bool] = True
    videos_per_part: ClassVar[int] = LOCAL_VIDEOS_PER_PART

    @classmethod
    def of(cls, beam_flags: Sequence[str]) -> LocalRunner:
        """Returns the runner for Beam's flags; by default with one thread per core.

        Raises:
          ConfigError: `--direct_running_mode=multi_processing`, which hangs if a worker dies, or too many
            workers.
        """
        options = PipelineOptions(list(beam_flags))
        direct = options.view_as(DirectOptions)
        if direct.direct_running_mode == "multi_processing":
            raise ConfigError("--direct_running_mode=multi_processing hangs when a worker dies: leave the flag out")
        if not any(flag.startswith("--direct_num_workers") for flag in beam_flags) or not direct.direct_num_workers:
            direct.direct_num_workers = cpu_count()
        bounds.check({"direct_num_workers": direct.direct_num_workers})
        direct.direct_running_mode = "multi_threading"
        options.view_as(StandardOptions).runner = _BEAM_RUNNER
        return cls(options)

    @classmethod
    def in_this_thread(cls) -> LocalRunner:
        """Returns the runner with one worker in the calling thread, without ports. It reaches this process's stores."""
        options = copy.deepcopy(pipeline_options())
        direct = options.view_as(DirectOptions)
        direct.direct_running_mode = "in_memory"
        direct.direct_num_workers = 1
        options.view_as(StandardOptions).runner = _BEAM_RUNNER
        return cls(options)

    def check_machine(self, config: LabelingConfig) -> None:
        """Checks the address space, and that decoder processes can be confined."""
        num_threads = self.options.view_as(DirectOptions).direct_num_workers
        bounds.check_address_space(num_threads, config.decoder_limits.memory_bytes)
        sandboxed.check_confinement(config.decoder_limits)

    def watch(self, options: PipelineOptions, tally: Callable[[], Stage]) -> Watch:
        """Watches a job by the counters of this process."""
        return Watch(tally)
