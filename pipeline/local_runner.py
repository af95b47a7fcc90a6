"""The runner of one machine: Beam's FnApiRunner, with threads for workers, and one fault of it avoided."""

from __future__ import annotations

import json
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

_NEVER = -1


class LocalRunner(FnApiRunner):
    """FnApiRunner whose workers hand on what they made when a buffer is full, and never by the clock.

    With `multi_threading`, Beam 2.77 empties the buffers of its workers once a second from a thread of their own. It
    takes the bytes and clears the buffer in two steps, and what the worker writes in between is lost: elements
    disappear, or the next step reads noise. Where a step yields for longer than a second, on a busy machine, it happens
    in every second run.
    """

    def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
        """Runs a pipeline, as FnApiRunner does."""
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.EMBEDDED_PYTHON_GRPC:
                config = json.loads(environment.payload or b"{}") | {"data_buffer_time_limit_ms": _NEVER}
                environment.payload = json.dumps(config).encode()
        return super().run_via_runner_api(pipeline_proto, options)
