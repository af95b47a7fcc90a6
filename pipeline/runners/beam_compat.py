"""The undocumented names of Beam that the local runner depends on, all in one module.

tests/unit/test_beam_compat.py fails if a new version of Beam lacks one of them or no longer uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

import grpc
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import worker_pool_main
from apache_beam.runners.worker.channel_factory import GRPCChannelFactory

from reelbeam.pipeline.runners.loopback import channel_to, guarded_server, local_server


def flush_only_full_buffers() -> None:
    """Disables time-based flushing on the runner's side, which no option controls."""
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0


def guard_servers() -> None:
    """Makes the servers of Beam's local runner listen on loopback only and require a key known only to its workers.

    This holds for the rest of the process, including the servers of later jobs.

    Raises:
      RuntimeError: this version of Beam starts its servers differently, so they would be open.
    """
    _replace_servers(worker_handlers, guarded_server)
    GRPCChannelFactory.insecure_channel = staticmethod(_insecure_channel)


def keep_worker_pool_local() -> None:
    """Makes the server that `--environment_type=LOOPBACK` opens in this process listen on loopback only.

    A runner in another process starts workers through it, so it cannot require a key of this process.

    Raises:
      RuntimeError: as in `guard_servers`.
    """
    _replace_servers(worker_pool_main, local_server)


def _replace_servers(module: ModuleType, server: Callable[..., object]) -> None:
    if isinstance(module.grpc, _LocalGrpc):
        return
    if module.grpc is not grpc:
        raise RuntimeError(f"{module.__name__} of this version of Beam cannot be kept from listening on the network")
    module.grpc = _LocalGrpc(server)  # type: ignore[attr-defined]


class _LocalGrpc:
    """A replacement for the module `grpc` in one of Beam's modules, with another function that creates servers."""

    def __init__(self, server: Callable[..., object]) -> None:
        self.server = server

    def __getattr__(self, name: str) -> object:
        return getattr(grpc, name)


def _insecure_channel(target: str, options: Sequence[tuple[str, object]] | None = None) -> grpc.Channel:
    """Replaces Beam's factory; a channel to a guarded server of this process sends the key."""
    merged = [*(options or ()), *GRPCChannelFactory.DEFAULT_OPTIONS]
    return channel_to(target, merged) or grpc.insecure_channel(target, merged)
