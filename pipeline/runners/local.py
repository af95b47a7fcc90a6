"""The runner of one machine: Beam's FnApiRunner, with threads for workers, without two faults of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from reelbeam.pipeline.runners.beam_compat import flush_only_full_buffers, guard_servers

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability.api.beam_runner_api_pb2 import Pipeline
    from apache_beam.runners.runner import PipelineResult


class LocalRunner(FnApiRunner):
    """FnApiRunner that nobody else can talk to, and whose buffers are handed on when they are full.

    Beam 2.77 opens its servers on every interface of the machine and lets everybody in, see
    `reelbeam.pipeline.runners.loopback`.

    With `multi_threading`, it empties the buffers between runner and workers once a second, from another thread.
    That one takes the bytes and clears the buffer in two steps, and what is written in between is lost: elements
    disappear, or the next step reads noise. Where a step yields for longer than a second, on a busy machine, it happens
    in every second run.
    """

    def run_via_runner_api(self, pipeline_proto: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs a pipeline, as FnApiRunner does."""
        flush_only_full_buffers()
        guard_servers()
        return super().run_via_runner_api(pipeline_proto, options)
