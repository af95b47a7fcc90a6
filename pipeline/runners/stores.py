"""From Beam's flags to object stores. It imports no runner, so that commands that read an output start quickly."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions


def reach_stores(beam_flags: Sequence[str]) -> None:
    """Passes Beam's flags on to its file systems, and to ours: endpoints, credentials, the project."""
    FileSystems.set_options(PipelineOptions(list(beam_flags)))
