"""The options that Beam's file systems of this process have."""

from __future__ import annotations

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions


def pipeline_options() -> PipelineOptions:
    """Returns them: endpoints, credentials, project."""
    return FileSystems._pipeline_options or PipelineOptions()  # Beam has no public way to them
