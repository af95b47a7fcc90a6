"""The undocumented names of Beam that the local runner replaces: each test says which one a new Beam lacks."""

from __future__ import annotations

import inspect
import os

import grpc
import pytest
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import data_plane, log_handler, sdk_worker, worker_pool_main
from apache_beam.runners.worker.channel_factory import GRPCChannelFactory
from sockets import is_loopback, listeners

from reelbeam.pipeline.runners import beam_compat


def test_the_time_limit_of_the_runners_buffers_is_a_name_that_its_server_reads() -> None:
    assert isinstance(worker_handlers.DATA_BUFFER_TIME_LIMIT_MS, int)
    assert "DATA_BUFFER_TIME_LIMIT_MS" in inspect.getsource(worker_handlers.GrpcServer.__init__)


def test_the_runners_servers_are_made_by_the_name_that_is_replaced() -> None:
    source = inspect.getsource(worker_handlers)
    assert source.count("grpc.server(") == source.count(".add_insecure_port(") == 4
    assert "import grpc\n" in source


def test_the_runner_tells_workers_the_address_that_channels_are_known_by() -> None:
    source = inspect.getsource(worker_handlers)
    assert "self.control_address = 'localhost:%s' % self.control_port" in source
    assert inspect.getsource(worker_handlers.GrpcWorkerHandler.host_from_worker).count("return 'localhost'") == 1


@pytest.mark.parametrize("module", [sdk_worker, data_plane, log_handler])
def test_workers_make_their_channels_by_the_factory_that_is_replaced(module: object) -> None:
    source = inspect.getsource(module)  # type: ignore[arg-type]
    assert "GRPCChannelFactory.insecure_channel(" in source
    assert "grpc.insecure_channel(" not in source.replace("GRPCChannelFactory", "")


def test_the_factorys_options_are_passed_on() -> None:
    assert ("grpc.keepalive_time_ms", 20_000) in GRPCChannelFactory.DEFAULT_OPTIONS


def test_a_beam_whose_servers_cannot_be_guarded_starts_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handlers, "grpc", object())
    with pytest.raises(RuntimeError, match="cannot be kept from listening on the network"):
        beam_compat.guard_servers()


def test_guarding_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handlers, "grpc", grpc)
    beam_compat.guard_servers()
    guarded = worker_handlers.grpc
    beam_compat.guard_servers()
    assert worker_handlers.grpc is guarded
    assert guarded.StatusCode is grpc.StatusCode


def test_the_server_for_workers_of_another_runner_listens_on_loopback_only() -> None:
    beam_compat.keep_worker_pool_local()
    before = listeners(os.getpid())
    address, server = worker_pool_main.BeamFnExternalWorkerPoolServicer.start()
    opened = listeners(os.getpid()) - before
    server.stop(None).wait()
    assert [f"localhost:{port}" for _, port in opened] == [address]
    assert all(is_loopback(host) for host, _ in opened)
