"""What is checked: the model, the locations and the runner that the flags name, and the folders of this system."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING

from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.models.engine import EngineName, Precision

if TYPE_CHECKING:
    from reelbeam.transforms.models.registry.catalog import ModelSpec


@dataclasses.dataclass(frozen=True)
class System:
    """The folders and files in which Linux describes itself.

    Attributes:
      proc: where procfs is mounted.
      cgroups: where control groups are mounted.
      shared_memory: the folder of POSIX shared memory.
    """

    proc: pathlib.Path = pathlib.Path("/proc")
    cgroups: pathlib.Path = pathlib.Path("/sys/fs/cgroup")
    shared_memory: pathlib.Path = pathlib.Path("/dev/shm")


@dataclasses.dataclass(frozen=True)
class Subject:
    """What the flags name.

    Attributes:
      model: the name of the model; None if none is named.
      model_flags: the names and values of the flags that describe the model.
      inputs: files, folders, patterns and URIs.
      output: the output; None if none is named.
      spool_dir: the folder for copies of remote videos; None: the folder for temporary files.
      engine, precision: how the model runs.
      allow_unconfined: whether decoders may run unconfined.
      reach: whether checks may use the network.
      beam_flags: Beam's flags.
      system: this system.
    """

    model: str | None = None
    model_flags: tuple[tuple[str, object], ...] = ()
    inputs: tuple[str, ...] = ()
    output: str | None = None
    spool_dir: str | None = None
    engine: EngineName = "auto"
    precision: Precision = "float32"
    allow_unconfined: bool = False
    reach: bool = False
    beam_flags: tuple[str, ...] = ()
    system: System = System()

    @property
    def stored_model(self) -> str | None:
        """The address of the model, if it is in an object store."""
        from reelbeam.transforms.models.registry.resolver import is_stored

        return self.model if self.model and is_stored(self.model) else None

    @property
    def remote(self) -> list[str]:
        """The named locations that are not on local disk, except web addresses of models."""
        labels = dict(self.model_flags).get("labels")
        named = [*self.inputs, self.output, self.stored_model, labels if isinstance(labels, str) else None]
        return [each for each in named if each and "://" in each and not each.lower().startswith("file:")]

    @property
    def local_inputs(self) -> list[str]:
        """The inputs on local disk."""
        return [given for given in self.inputs if given not in self.remote]

    @property
    def names_runner(self) -> bool:
        """Whether a runner is named."""
        return any(flag.partition("=")[0] == "--runner" for flag in self.beam_flags)

    @property
    def num_threads(self) -> int:
        """The number of threads of a local run: that of --direct_num_workers, or one for each CPU."""
        from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

        is_given = any(flag.startswith("--direct_num_workers") for flag in self.beam_flags)
        named = PipelineOptions(list(self.beam_flags)).view_as(DirectOptions).direct_num_workers if is_given else 0
        return named or cpu_count(self.system.cgroups)

    def spec(self) -> ModelSpec:
        """Returns the model that the flags name.

        Raises:
          ConfigError, ModelError: as in `model_flags.to_model_spec`.
        """
        from reelbeam.pipeline.flags.model_flags import to_model_spec

        return to_model_spec(argparse.Namespace(**dict(self.model_flags), model=self.model))
