"""The runner of one machine: Beam's FnApiRunner, with threads for workers, and one fault of it avoided."""

from __future__ import annotations

from typing import Any

from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers


class LocalRunner(FnApiRunner):
    """FnApiRunner whose buffers are handed on when they are full, and never by the clock.

    With `multi_threading`, Beam 2.77 empties the buffers between runner and workers once a second, from another thread.
    That one takes the bytes and clears the buffer in two steps, and what is written in between is lost: elements
    disappear, or the next step reads noise. Where a step yields for longer than a second, on a busy machine, it happens
    in every second run.
    """

    def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
        """Runs a pipeline, as FnApiRunner does."""
        worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0  # no option reaches the runner's own side
        return super().run_via_runner_api(pipeline_proto, options)
