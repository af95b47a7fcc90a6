"""Everything of Beam that this program uses without a promise: private, internal or experimental names.

All other modules use only what Beam documents. `tests/unit/data_model/test_beam_compat.py` has a test for each name, so
it shows what a new version of Beam lacks or does differently. Runners are imported inside the functions, because
storage needs one of these functions and should not load runners.

Private names of Python are used elsewhere: argparse's `_actions` (there is no public list of a parser's flags), its
types `_ActionsContainer` and `_ArgumentGroup`, and `atexit._run_exitfuncs` (`pipeline/cli.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Protocol, TypeAlias

import grpc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import DoFn, userstate
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue as WindowedValue

if TYPE_CHECKING:
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.runner import PipelineResult

ChannelOptions: TypeAlias = Sequence[tuple[str, object]]
MakeServer: TypeAlias = Callable[..., object]
"""Creates a server as `grpc.server` does."""

MakeChannel: TypeAlias = Callable[[str, ChannelOptions], grpc.Channel | None]
"""Returns a channel to an address; None for an address that needs nothing special."""


# Options


def pipeline_options() -> PipelineOptions:
    """Returns the options of Beam's file systems in this process: endpoints, credentials, project."""
    if FileSystems._pipeline_options is None:  # as for a command without flags of Beam
        FileSystems._pipeline_options = PipelineOptions([])
    return FileSystems._pipeline_options


def beam_argument_parser() -> type[argparse.ArgumentParser]:
    """Returns the class of the parser that Beam's flags are added to; it has a method for value providers."""
    from apache_beam.options.pipeline_options import _BeamArgumentParser

    return _BeamArgumentParser


def add_beam_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of every class of Beam's options to a parser of the class `beam_argument_parser`."""
    for options in {str(cls): cls for cls in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)


# Repeated work


_views: weakref.WeakKeyDictionary[PipelineOptions, dict[type[PipelineOptions], PipelineOptions]] = (
    weakref.WeakKeyDictionary()
)
_specs: weakref.WeakKeyDictionary[type[DoFn], tuple[set[object], set[object]]] = weakref.WeakKeyDictionary()
_make_view, _find_specs = PipelineOptions.view_as, userstate.get_dofn_specs


def keep_views_and_specs() -> None:
    """Makes Beam keep two results that it computes again for each step and each bundle: a third of a small job's cost.

    These are a view of options, for which it makes a parser of flags, and the state and timers of a DoFn, for which it
    inspects all methods. Holds for the rest of the process.
    """
    PipelineOptions.view_as, userstate.get_dofn_specs = _kept_view, _kept_specs


def _kept_view(self: PipelineOptions, cls: type[PipelineOptions]) -> PipelineOptions:
    views = _views.setdefault(self, {})
    view = views.get(cls)
    # Both share their values in `_all_options`. Flags are values that no view has read yet.
    if view is None or view._all_options is not self._all_options or view._flags is not self._flags:
        view = views[cls] = _make_view(self, cls)
    return view


def _kept_specs(dofn: DoFn) -> tuple[set[object], set[object]]:
    kind = type(dofn)
    has_own_methods = hasattr(kind, "__getattr__") or kind.__getattribute__ is not object.__getattribute__
    if has_own_methods or any(isinstance(value, MethodType) for value in vars(dofn).values()):
        return _find_specs(dofn)
    found = _specs.get(kind)
    if found is None:
        found = _specs[kind] = _find_specs(dofn)
    return set(found[0]), set(found[1])


# Elements


def in_global_window(element: object) -> WindowedValue:
    """Returns an element as `DoFn.finish_bundle` has to yield it, in a pipeline without windows."""
    return GlobalWindows.windowed_value(element)


# Jobs


def job_id(result: PipelineResult) -> str | None:
    """Returns the id of a submitted job: Dataflow's or a job server's. None if the runner has submitted nothing."""
    if getattr(result, "has_job", False):  # Dataflow
        return str(result.job_id())
    own = getattr(result, "_job_id", None)  # a job server's
    return None if own is None else str(own)


def dataflow_job_error() -> type[Exception]:
    """Returns the exception of a failed job on Dataflow."""
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException

    return DataflowRuntimeException


@contextlib.contextmanager
def staging_below(folder: str) -> Iterator[None]:
    """Makes Beam collect the files of a job in subfolders of a folder, for a block.

    By default, Beam makes a temporary folder for each environment of a job, and leaves it.
    """
    from apache_beam.transforms import environments

    collect = environments.python_sdk_dependencies

    def collect_below(options: PipelineOptions, tmp_dir: str | None = None) -> object:
        return collect(options, tmp_dir or tempfile.mkdtemp(dir=folder))

    environments.python_sdk_dependencies = collect_below
    try:
        yield
    finally:
        environments.python_sdk_dependencies = collect


# Google's credentials


class _Credentials(Protocol):
    _credentials_lock: threading.Lock
    _credentials_init: bool
    _credentials: object | None


@contextlib.contextmanager
def undecided_google_credentials() -> Iterator[Callable[[], None] | None]:
    """Holds the lock of Beam's credentials for a block.

    Yields:
      A function that makes Beam connect without credentials from now on; None if Beam already has its credentials.

    Raises:
      ImportError: Google's client libraries are not installed.
    """
    from apache_beam.internal.gcp import auth

    known: type[_Credentials] = auth._Credentials

    def connect_anonymously() -> None:
        known._credentials, known._credentials_init = None, True

    with known._credentials_lock:
        yield None if known._credentials_init else connect_anonymously


# The local runner


def fn_api_runner() -> type[FnApiRunner]:
    """Returns the class of Beam's local runner, which Beam calls experimental."""
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return FnApiRunner


def flush_only_full_buffers() -> None:
    """Disables time-based flushing on the runner's side, which no option controls."""
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0


def guard_servers(make_server: MakeServer, make_channel: MakeChannel) -> None:
    """Replaces the servers of Beam's local runner, and the channels of its workers.

    This holds for the rest of the process, including the servers of later jobs.

    Args:
      make_server: creates a server that listens on loopback only and requires a key.
      make_channel: creates a channel that sends the key, for addresses of these servers.

    Raises:
      RuntimeError: this version of Beam starts its servers differently, so they would be open.
    """
    from apache_beam.runners.portability.fn_api_runner import worker_handlers
    from apache_beam.runners.worker.channel_factory import GRPCChannelFactory

    def insecure_channel(target: str, options: ChannelOptions | None = None) -> grpc.Channel:
        merged = [*(options or ()), *GRPCChannelFactory.DEFAULT_OPTIONS]
        return make_channel(target, merged) or grpc.insecure_channel(target, merged)

    _replace_servers(worker_handlers, make_server)
    GRPCChannelFactory.insecure_channel = staticmethod(insecure_channel)


def keep_worker_pool_local(make_server: MakeServer) -> None:
    """Replaces the server that `--environment_type=LOOPBACK` opens in this process.

    A runner in another process starts workers through it, so it cannot require a key of this process.

    Args:
      make_server: creates a server that listens on loopback only.

    Raises:
      RuntimeError: as in `guard_servers`.
    """
    from apache_beam.runners.worker import worker_pool_main

    _replace_servers(worker_pool_main, make_server)


def wait_for_loopback_workers(seconds: float) -> None:
    """Waits for the threads of workers that `--environment_type=LOOPBACK` started, at most for this time.

    A worker closes its channels after the end of its job. If the runner ends before that, Beam prints a traceback.
    """
    deadline = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread.name.startswith(("run_worker_", "read_state", "read_grpc_client_inputs")):
            thread.join(max(0.0, deadline - time.monotonic()))


def _replace_servers(module: ModuleType, make_server: MakeServer) -> None:
    if isinstance(module.grpc, _LocalGrpc):
        return
    if module.grpc is not grpc:
        raise RuntimeError(f"{module.__name__} of this version of Beam cannot be kept from listening on the network")
    module.grpc = _LocalGrpc(make_server)  # type: ignore[attr-defined]


class _LocalGrpc:
    """A replacement for the module `grpc` in one of Beam's modules, with another function that creates servers."""

    def __init__(self, server: MakeServer) -> None:
        self.server = server

    def __getattr__(self, name: str) -> object:
        return getattr(grpc, name)
