"""Beam's flags choose a runner, and its options are completed; no other room asks which runner it is."""

from __future__ import annotations

import pathlib
import re

import pytest
from apache_beam.options.pipeline_options import DirectOptions, S3Options, StandardOptions, WorkerOptions
from object_stores import used_by_beam

from reelbeam.pipeline.runners.dataflow import DataflowRunner
from reelbeam.pipeline.runners.dataflow_options import MACHINE_TYPE
from reelbeam.pipeline.runners.flink import FlinkRunner
from reelbeam.pipeline.runners.local import LocalRunner
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.runners.runner import OtherRunner
from reelbeam.pipeline.runners.stores import reach_stores
from reelbeam.transforms import beam_compat
from reelbeam.transforms.errors import ConfigError

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "flags",
    [[], ["--runner=DirectRunner"], ["--runner", "FnApiRunner"], ["--runner=direct"], ["--runner=directrunner"]]
    + [["--runner=fn_api"], ["--runner=apache_beam.runners.direct.direct_runner.DirectRunner"]],
)
def test_the_local_runner_is_always_the_same_one(flags: list[str]) -> None:
    runner = runner_of(flags)
    assert isinstance(runner, LocalRunner) and runner.is_local
    beam_runner = runner.options.view_as(StandardOptions).runner
    assert beam_runner == "reelbeam.pipeline.runners.guarded_runner.GuardedRunner"
    assert runner.options.view_as(DirectOptions).direct_running_mode == "multi_threading"
    assert runner.options.view_as(DirectOptions).direct_num_workers >= 1


def test_workers_are_as_many_as_asked_for() -> None:
    assert runner_of(["--direct_num_workers=3"]).options.view_as(DirectOptions).direct_num_workers == 3


def test_the_mode_that_hangs_is_rejected() -> None:
    with pytest.raises(ConfigError, match="multi_processing hangs"):
        runner_of(["--direct_running_mode=multi_processing"])


@pytest.mark.parametrize("runner", ["PortableRunner", "FlinkRunner"])
def test_an_embedded_job_server_is_rejected_since_it_answers_the_network(runner: str) -> None:
    with pytest.raises(ConfigError, match="job_endpoint=embed opens servers on every network interface"):
        runner_of([f"--runner={runner}", "--job_endpoint=embed", "--environment_type=LOOPBACK"])


@pytest.mark.parametrize("given", [[], ["--runner=DirectRunner"], ["--runner=dataflow"]])
def test_a_cluster_that_no_runner_would_use_is_an_error(given: list[str]) -> None:
    with pytest.raises(ConfigError, match="--flink_master nowhere:1 is for Flink: give --runner=FlinkRunner"):
        runner_of([*given, "--flink_master=nowhere:1"])


def test_slots_of_no_cluster_are_an_error() -> None:
    with pytest.raises(ConfigError, match="--direct_num_workers"):
        runner_of(["--parallelism=4"])


def test_an_embedded_flink_is_left_alone() -> None:
    runner = runner_of(["--runner=FlinkRunner", "--flink_master=[local]"])
    assert isinstance(runner, FlinkRunner) and runner.cluster is None and not runner.is_local
    assert runner.options.get_all_options(drop_default=True) == {"runner": "FlinkRunner", "flink_master": "[local]"}
    assert not runner.cancels_interrupted_jobs


def test_flink_without_a_cluster_or_a_job_server_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--runner=FlinkRunner needs a cluster: pass --flink_master HOST:PORT"):
        runner_of(["--runner=FlinkRunner"])
    for flag in ("--flink_job_server_jar=/server.jar", "--job_endpoint=localhost:1"):
        assert isinstance(runner_of(["--runner=FlinkRunner", flag]), FlinkRunner)


def test_another_runner_is_left_alone() -> None:
    runner = runner_of(["--runner=PortableRunner", "--flink_master=nowhere:1"])
    assert isinstance(runner, OtherRunner) and not runner.is_local and runner.videos_per_part == 0
    given = {"runner": "PortableRunner", "flink_master": "nowhere:1"}
    assert runner.options.get_all_options(drop_default=True) == given


@pytest.mark.parametrize("name", ["DataflowRunner", "dataflow", "Dataflow", "dataflowrunner", "a.b.DataflowRunner"])
def test_dataflow_is_known_by_each_of_its_names(name: str) -> None:
    runner = runner_of([f"--runner={name}"])
    assert isinstance(runner, DataflowRunner) and not runner.is_local
    assert runner.options.view_as(WorkerOptions).machine_type == MACHINE_TYPE


def test_stores_get_the_flags() -> None:
    with used_by_beam([]):
        reach_stores(["--s3_endpoint_url=http://127.0.0.1:1"])
        found = beam_compat.pipeline_options()
    assert found.view_as(S3Options).s3_endpoint_url == "http://127.0.0.1:1"


def test_no_other_room_depends_on_which_runner_it_is() -> None:
    for path in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("transforms/**/*.py")]:
        if path.parent.name != "runners":
            found = re.search(
                r"pipeline\.runners\.(local|guarded_runner|flink|dataflow)\b|is_dataflow|\.set_options\(",
                path.read_text("utf-8"),
            )
            assert found is None, f"{path}: {found}"
