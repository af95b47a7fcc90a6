"""Beam's runner for one machine, with threads as workers, without two of its defects.

Beam loads it by its name, which local.py has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelbeam.pipeline.runners.loopback import channel_to, guarded_server
from reelbeam.transforms.beam_compat import flush_only_full_buffers, fn_api_runner, guard_servers

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability.api.beam_runner_api_pb2 import Pipeline
    from apache_beam.runners.runner import PipelineResult


class GuardedRunner(fn_api_runner()):  # type: ignore[misc]  # a class from a function
    """An FnApiRunner that other processes cannot connect to, and that flushes its buffers only when they are full.

    Beam 2.77 opens its servers on every network interface without access control, see
    `reelbeam.pipeline.runners.loopback`.

    With `multi_threading`, it flushes the buffers between runner and workers once per second, from another thread. That
    thread takes the bytes and clears the buffer in two steps, and data written in between is lost: elements disappear,
    or the next step reads corrupt data. If a step yields for longer than a second, on a busy machine, this happens in
    every second run.
    """

    def run_via_runner_api(self, pipeline_proto: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs a pipeline like FnApiRunner."""
        flush_only_full_buffers()
        guard_servers(guarded_server, channel_to)
        return super().run_via_runner_api(pipeline_proto, options)
