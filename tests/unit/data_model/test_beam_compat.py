"""What the program uses of Beam without a promise: each test shows what a new version lacks or does differently."""

from __future__ import annotations

import argparse
import ast
import atexit
import copy
import inspect
import os
import pathlib
import pickle
import re
import types

import apache_beam as beam
import grpc
import pytest
from apache_beam.coders.coders import SingletonCoder, WindowedValueCoder
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, S3Options
from apache_beam.runners.dataflow import dataflow_runner
from apache_beam.runners.portability import portable_runner
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import data_plane, log_handler, sdk_worker, worker_pool_main
from apache_beam.runners.worker.channel_factory import GRPCChannelFactory
from apache_beam.runners.worker.opcounters import OperationCounters
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import environments, userstate
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.counters import CounterFactory
from object_stores import used_by_beam
from sockets import is_loopback, listeners
from temporary import use_temporary_folder

from reelbeam.pipeline.runners import loopback
from reelbeam.transforms import beam_compat

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = sorted([*ROOT.glob("transforms/**/*.py"), *ROOT.glob("pipeline/**/*.py")])

_UNPROMISED = r"apache_beam\.(utils|internal|runners\.(worker|portability|dataflow\.dataflow_runner))\b"
"""Modules of Beam that say "for internal use only" or "no backwards compatibility guarantees"."""

_PUBLIC = {"_replace", "_make", "_fields", "_asdict", "_exit"}
_OF_PYTHON = {"_actions", "_ActionsContainer", "_ArgumentGroup", "_run_exitfuncs"}


def private_names(path: pathlib.Path) -> set[str]:
    """Returns the private attributes of other objects, and private imports, that a file uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "other"):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return {name for name in found if re.match(r"_[^_]", name)} - _PUBLIC


def test_only_one_file_uses_what_beam_does_not_promise() -> None:
    others = [path for path in FILES if path.name != "beam_compat.py"]
    assert {name for path in others for name in private_names(path)} <= _OF_PYTHON
    imports = {path.name for path in others if re.search(_UNPROMISED, path.read_text("utf-8"))}
    assert imports == set()


def test_private_names_of_python_exist() -> None:
    assert [action.option_strings for action in argparse.ArgumentParser()._actions] == [["-h", "--help"]]
    assert callable(atexit._run_exitfuncs)


def test_the_options_of_file_systems_can_be_read() -> None:
    with used_by_beam([]):
        assert beam_compat.pipeline_options().get_all_options(drop_default=True) == {}
        FileSystems.set_options(PipelineOptions(["--s3_region_name=eu"]))
        assert beam_compat.pipeline_options().view_as(S3Options).s3_region_name == "eu"


def test_a_parser_gets_all_flags_of_beam() -> None:
    parser = beam_compat.beam_argument_parser()(add_help=False)
    beam_compat.add_beam_flags(parser)
    flags = {name for action in parser._actions for name in action.option_strings}
    assert {"--runner", "--streaming", "--s3_region_name", "--flink_master", "--direct_num_workers"} <= flags


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has Beam keep views and specs for a test."""
    monkeypatch.setattr(PipelineOptions, "view_as", PipelineOptions.view_as)
    monkeypatch.setattr(userstate, "get_dofn_specs", userstate.get_dofn_specs)
    beam_compat.keep_views_and_specs()


@pytest.mark.usefixtures("kept")
def test_a_kept_view_has_the_values_of_its_options() -> None:
    options = PipelineOptions(["--s3_region_name=eu", "--region=r"], s3_endpoint_url="http://h")
    view = options.view_as(S3Options)
    assert view is options.view_as(S3Options)
    assert (view.s3_region_name, view.s3_endpoint_url) == ("eu", "http://h")
    options.view_as(S3Options).s3_region_name = "us"
    assert view.s3_region_name == options.get_all_options()["s3_region_name"] == "us"
    for copied in (copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        copied.view_as(S3Options).s3_region_name = "ap"
        assert copied.view_as(S3Options).s3_region_name == "ap"
        assert options.view_as(S3Options).s3_region_name == "us"
    assert PipelineOptions([]).view_as(S3Options).s3_region_name is None


@pytest.mark.usefixtures("kept")
def test_kept_specs_are_those_of_each_dofn() -> None:
    class StatefulFn(beam.DoFn):
        _SPEC = userstate.BagStateSpec("bag", beam.coders.StrUtf8Coder())

        def process(self, element: str, bag: object = beam.DoFn.StateParam(_SPEC)) -> None:  # noqa: B008
            pass

    class PlainFn(beam.DoFn):
        pass

    class DelegatingFn(beam.DoFn):
        def __init__(self, fn: beam.DoFn) -> None:
            self.fn = fn

        def __getattribute__(self, name: str) -> object:
            return getattr(object.__getattribute__(self, "fn"), name)

    dofns = [StatefulFn(), PlainFn(), StatefulFn(), DelegatingFn(PlainFn()), DelegatingFn(StatefulFn())]
    found = [len(userstate.get_dofn_specs(dofn)[0]) for dofn in dofns]
    assert found == [1, 0, 1, 0, 1]
    userstate.get_dofn_specs(dofns[0])[0].clear()  # a caller's copy
    assert userstate.is_stateful_dofn(dofns[0])


def test_elements_at_the_end_of_a_bundle_are_in_the_global_window() -> None:
    class LastFn(beam.DoFn):
        def process(self, element: int) -> None:
            self._last = element

        def finish_bundle(self) -> list[beam_compat.WindowedValue]:
            return [beam_compat.in_global_window(self._last)]

    with beam.Pipeline("BundleBasedDirectRunner") as pipeline:
        last = pipeline | beam.Create([7], reshuffle=False) | beam.ParDo(LastFn())
        assert_that(last | beam.GroupBy(lambda x: x), equal_to([(7, [7])]))


def test_jobs_have_an_id() -> None:
    assert isinstance(dataflow_runner.DataflowPipelineResult.has_job, property)
    assert callable(dataflow_runner.DataflowPipelineResult.job_id)
    assert "self._job_id = job_id" in inspect.getsource(portable_runner.PipelineResult.__init__)
    on_dataflow = types.SimpleNamespace(has_job=True, job_id=lambda: "2026_1")
    as_template = types.SimpleNamespace(has_job=False)
    on_a_server = types.SimpleNamespace(_job_id="BeamApp-1")
    assert [beam_compat.job_id(x) for x in (on_dataflow, as_template, on_a_server)] == ["2026_1", None, "BeamApp-1"]


def test_a_failed_job_on_dataflow_has_an_exception_of_its_own() -> None:
    assert issubclass(beam_compat.dataflow_job_error(), Exception)
    assert "raise DataflowRuntimeException(" in inspect.getsource(dataflow_runner.DataflowPipelineResult)


def test_googles_credentials_can_be_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = pytest.importorskip("apache_beam.internal.gcp.auth")
    monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
    monkeypatch.setattr(auth._Credentials, "_credentials", "unknown")
    with beam_compat.undecided_google_credentials() as connect_anonymously:
        assert connect_anonymously is not None
        connect_anonymously()
    with beam_compat.undecided_google_credentials() as connect_anonymously:
        assert connect_anonymously is None
    assert auth.get_service_credentials(PipelineOptions([])) is None


def test_beam_asks_a_coder_for_sizes_and_does_not_encode() -> None:
    class SizeCoder(beam.coders.Coder):
        def encode(self, value: object) -> bytes:
            raise AssertionError("the element was encoded to find out its size")

        def estimate_size(self, value: object) -> int:
            return 1000

    coder = WindowedValueCoder(SizeCoder(), SingletonCoder(GlobalWindow()))
    counters = OperationCounters(CounterFactory(), "step", coder, 0)
    for _ in range(20):
        counters.update_from(beam_compat.in_global_window(object()))
        counters.update_collect()
    mean, *_ = counters.mean_byte_counter.value()
    assert 1000 <= mean < 1100


def test_the_local_runner_runs_pipelines_by_the_method_that_is_extended() -> None:
    runner = beam_compat.fn_api_runner()
    assert runner.__name__ == "FnApiRunner"
    assert "self.run_via_runner_api(" in inspect.getsource(runner.run_pipeline)


def test_clients_of_object_stores_have_what_storage_needs() -> None:
    gcsio = pytest.importorskip("apache_beam.io.gcp.gcsio")
    assert [*inspect.signature(gcsio.create_storage_client).parameters][:1] == ["pipeline_options"]
    assert [*inspect.signature(gcsio.GcsIO.delete_batch).parameters] == ["self", "paths"]
    assert issubclass(pytest.importorskip("apache_beam.io.aws.clients.s3.messages").S3ClientError, Exception)


def test_the_time_limit_of_the_runners_buffers_is_a_name_that_its_server_reads() -> None:
    assert isinstance(worker_handlers.DATA_BUFFER_TIME_LIMIT_MS, int)
    assert "DATA_BUFFER_TIME_LIMIT_MS" in inspect.getsource(worker_handlers.GrpcServer.__init__)


def test_the_runners_servers_are_made_by_the_name_that_is_replaced() -> None:
    source = inspect.getsource(worker_handlers)
    assert source.count("grpc.server(") == source.count(".add_insecure_port(") == 4
    assert "import grpc\n" in source


def test_the_runner_gives_workers_an_address_on_localhost() -> None:
    source = inspect.getsource(worker_handlers)
    assert "self.control_address = 'localhost:%s' % self.control_port" in source
    assert inspect.getsource(worker_handlers.GrpcWorkerHandler.host_from_worker).count("return 'localhost'") == 1


@pytest.mark.parametrize("module", [sdk_worker, data_plane, log_handler])
def test_workers_make_their_channels_by_the_factory_that_is_replaced(module: types.ModuleType) -> None:
    source = inspect.getsource(module)
    assert "GRPCChannelFactory.insecure_channel(" in source
    assert "grpc.insecure_channel(" not in source.replace("GRPCChannelFactory", "")


def test_the_factorys_options_are_passed_on() -> None:
    assert ("grpc.keepalive_time_ms", 20_000) in GRPCChannelFactory.DEFAULT_OPTIONS


def test_a_beam_whose_servers_cannot_be_guarded_starts_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handlers, "grpc", object())
    with pytest.raises(RuntimeError, match="cannot be kept from listening on the network"):
        beam_compat.guard_servers(loopback.guarded_server, loopback.channel_to)


def test_guarding_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handlers, "grpc", grpc)
    beam_compat.guard_servers(loopback.guarded_server, loopback.channel_to)
    guarded = worker_handlers.grpc
    beam_compat.guard_servers(loopback.guarded_server, loopback.channel_to)
    assert worker_handlers.grpc is guarded
    assert guarded.StatusCode is grpc.StatusCode


def test_the_server_for_workers_of_another_runner_listens_on_loopback_only() -> None:
    beam_compat.keep_worker_pool_local(loopback.local_server)
    before = listeners(os.getpid())
    address, server = worker_pool_main.BeamFnExternalWorkerPoolServicer.start()
    opened = listeners(os.getpid()) - before
    server.stop(None).wait()
    assert [f"localhost:{port}" for _, port in opened] == [address]
    assert all(is_loopback(host) for host, _ in opened)


def test_the_files_of_a_job_are_collected_below_a_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, others = tmp_path / "own", tmp_path / "others"
    own.mkdir()
    others.mkdir()
    use_temporary_folder(monkeypatch, others)
    options = PipelineOptions(["--environment_type=LOOPBACK", "--requirements_cache=skip"])
    with beam_compat.staging_below(str(own)):
        environments.Environment.from_options(options.view_as(PortableOptions))
    assert (len(list(own.iterdir())), list(others.iterdir())) == (1, [])
    environments.Environment.from_options(options.view_as(PortableOptions))
    assert len(list(others.iterdir())) == 1, "Beam makes folders without help"
