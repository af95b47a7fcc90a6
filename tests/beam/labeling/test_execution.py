"""A prepared run: what it checks and loads, in which order, and what it leaves if it ends early."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.job import preparation
from reelbeam.pipeline.job.execution import execute
from reelbeam.pipeline.job.preparation import Prepared, Request, check_request, prepare
from reelbeam.pipeline.job.run_model import RunModel
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms.errors import ConfigError, ModelError


@pytest.fixture
def videos(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples_dir / "standing_still.mp4", folder)
    return folder


def request(videos: pathlib.Path, output: pathlib.Path, *flags: str, will_run: bool = True) -> Request:
    args, beam_flags = options.parse_flags(["--model=demo", str(videos), f"--output={output}", *flags])
    return check_request(options.to_config(args), runner_of(beam_flags), not args.no_wait, will_run)


def no_model(model: RunModel) -> None:
    raise ModelError("the model does not load")


def test_a_model_that_does_not_load_is_reported_before_a_new_output_is_written(
    videos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunModel, "load", no_model)
    with pytest.raises(ModelError, match="does not load"):
        list(execute(prepare(request(videos, tmp_path / "out"))))
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_load_leaves_no_selection(
    videos: pathlib.Path, tmp_path: pathlib.Path, samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    (first,) = execute(prepare(request(videos, output)))
    assert first.exit_code == 0
    shutil.copy(samples_dir / "growing.mp4", videos)
    monkeypatch.setattr(RunModel, "load", no_model)
    with pytest.raises(ModelError, match="does not load"):
        list(execute(prepare(request(videos, output))))
    assert not list(output.glob(".staging/run=*"))


def test_a_run_with_nothing_to_do_loads_no_model(
    videos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(list(execute(prepare(request(videos, tmp_path / "out"))))) == 1
    monkeypatch.setattr(RunModel, "load", no_model)
    (outcome,) = execute(prepare(request(videos, tmp_path / "out")))
    assert outcome.summary is not None and outcome.summary.skipped == {"already_labeled": 1}


def test_the_request_is_final(videos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prepared = prepare(request(videos, pathlib.Path("out/")))
    assert isinstance(prepared, Prepared) and prepared.last is None
    config = prepared.config
    assert config.output == str(tmp_path / "out") and config.engine == prepared.run.engine == "openvino"
    assert config.videos_per_part == prepared.videos_per_part == 5_000
    assert request(videos, tmp_path / "out", "--videos_per_part=0").videos_per_part == 0


def test_a_run_without_waiting_is_one_job_on_a_cluster(videos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="a local run ends with its process"):
        request(videos, tmp_path / "out", "--no_wait")
    with pytest.raises(ConfigError, match="leave out --videos_per_part, or wait for the parts"):
        request(videos, tmp_path / "out", "--no_wait", "--videos_per_part=5", "--runner=PortableRunner")


def test_a_plan_neither_checks_this_machine_nor_makes_a_pipeline(
    videos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "make_program", None)
    assert request(videos, tmp_path / "out", will_run=False).last is None
    with pytest.raises(TypeError):
        request(videos, tmp_path / "out")


def test_a_plan_for_dataflow_refuses_what_its_run_would(
    videos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model=demo", str(videos), f"--output={tmp_path / 'out'}", "--runner=DataflowRunner"]
    assert [main(["plan", *flags]), main(["label", *flags])] == [2, 2]
    first, second = capsys.readouterr().err.splitlines()
    assert first == second and "where Dataflow's workers cannot reach it" in first
