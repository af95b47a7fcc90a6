"""From Beam's flags to object stores. It imports no runner, so that commands that read an output start quickly."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def reach_stores(beam_flags: Sequence[str]) -> None:
    """Passes Beam's flags on to its file systems, and to ours: endpoints, credentials, the project.

    Without flags, Beam's defaults hold as long as Beam is not imported.
    """
    if not beam_flags and "apache_beam" not in sys.modules:
        return
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    FileSystems.set_options(PipelineOptions(list(beam_flags)))
