"""The job that would be sent to Dataflow, as Beam translates it with --dry_run: what is in it, and what must not be."""

from __future__ import annotations

import base64
import bz2
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, SetupOptions, WorkerOptions
from apache_beam.portability.api import beam_runner_api_pb2

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.job.graph import build_graph
from reelbeam.pipeline.job.jobs import make_program
from reelbeam.pipeline.job.preparation import Request, prepare, run_facts
from reelbeam.pipeline.runners import dataflow, dataflow_options
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.runners.runner import Runner
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.lock.output_lock import LockTicket

ROOT = pathlib.Path(__file__).resolve().parents[3]
IMAGE = "europe-docker/reelbeam:1"
PLACES = ["gs://bucket/*.mp4", "--output=gs://bucket/labels"]
JOB = ["--runner=DataflowRunner", "--project=my-project", "--region=europe-west1", "--temp_location=gs://bucket/tmp"]
LIMIT_BYTES = 20 << 20
"""Of a job's graph, as Dataflow documents it."""


def runner(*flags: str) -> Runner:
    return runner_of([*JOB, f"--sdk_container_image={IMAGE}", *flags])


def made_options(*flags: str) -> PipelineOptions:
    return runner(*flags).options


def dry_run(*flags: str, places: list[str] = PLACES) -> Any:
    """Returns Dataflow's Job for a command line; nothing is sent, and no network is needed."""
    pytest.importorskip("apache_beam.runners.dataflow.internal.apiclient", reason="reelbeam[gcp] is not installed")
    args, beam_flags = options.parse_flags(["--model=demo", *places, *JOB, f"--sdk_container_image={IMAGE}", *flags])
    dry_runner = runner_of([*beam_flags, "--dry_run=True"])
    config = dry_runner.adapt(options.to_config(args))
    prepared = prepare(Request(config, dry_runner, config.model, None, wait=False))
    labels, run = prepared.labels, prepared.run
    program = make_program(dry_runner)
    lock = LockTicket(config.output, run.run_id, outlives_launcher=True)
    build_graph(program, config, labels=labels, run=run, run_facts=run_facts(config, run), lock=lock)
    return program.run().job


@pytest.fixture(scope="module")
def job() -> Any:
    return dry_run("--resource_hints=min_ram=16GB", "--model=demo")


def components(job: Any) -> Any:
    return job.proto_pipeline.components


def pickles(job: Any) -> Iterator[bytes]:
    """Yields each DoFn of the job as pickled bytes."""
    for transform in components(job).transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload).do_fn.payload
            yield bz2.decompress(base64.b64decode(payload))


def leaves(job: Any) -> dict[str, Any]:
    """The transforms that do something, by name."""
    return {t.unique_name: t for t in components(job).transforms.values() if not t.subtransforms}


def test_no_shuffle_is_between_decoding_and_the_model_nor_between_planning_and_decoding_a_short_video(job: Any) -> None:
    steps = leaves(job)
    maker = {pcollection: t for t in steps.values() for pcollection in t.outputs.values()}
    (step,) = (t for name, t in steps.items() if name.endswith("/BeamML_RunInference"))
    assert path_to("Segments", step, maker) == ["ClassifyClips", "ClassifyClips", "DecodeClips"]
    (flatten,) = (t for t in steps.values() if t.unique_name == "LabelSelected/Segments")
    assert flatten.spec.urn == "beam:transform:flatten:v1"
    spread, short = (maker[pcollection] for _, pcollection in sorted(flatten.inputs.items()))
    assert path_to("SpreadSegments", spread, maker) == ["KeepLockToDecode"]
    assert path_to("PlanClips", short, maker) == []


def path_to(end: str, step: Any, maker: dict[str, Any]) -> list[str]:
    """Returns the steps from one back to another, excluded, by their main inputs. All are plain ParDos."""
    path = []
    while (name := step.unique_name.split("/")[1]) != end:
        assert step.spec.urn == "beam:transform:pardo:v1"
        path.append(name)
        (main_input,) = step.inputs.values()
        step = maker[main_input]
    return path


def test_every_step_has_the_one_environment_with_the_image_and_the_hints(job: Any) -> None:
    (environment,) = components(job).environments.values()
    payload = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
    assert payload.container_image == IMAGE
    assert dict(environment.resource_hints) == {"beam:resources:min_ram_bytes:v1": b"16000000000"}
    assert {t.environment_id for t in components(job).transforms.values()} <= {"", *components(job).environments}


def test_nothing_has_to_be_installed_when_a_worker_starts(job: Any) -> None:
    (environment,) = components(job).environments.values()
    roles = (
        beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(x.role_payload) for x in environment.dependencies
    )
    # Beam's own list of what the launcher has installed, which Dataflow shows and no worker reads.
    assert [role.staged_name for role in roles] == ["submission_environment_dependencies.txt"]


def test_no_path_of_the_launcher_and_no_model_is_in_the_graph(job: Any) -> None:
    found = list(pickles(job))
    assert any(b"package:reelbeam.transforms.models.registry/demo" in text for text in found)  # the handle of the model
    for text in found:
        # A lambda travels as code, and code says in which file it stood, for tracebacks: no worker opens it.
        text = re.sub(re.escape(str(ROOT)).encode() + rb"/[\w./-]+\.py", b"", text)
        assert str(pathlib.Path.cwd()).encode() not in text and str(ROOT).encode() not in text
        assert str(pathlib.Path.home()).encode() + b"/" not in text
        assert len(text) < 64 << 10


def test_a_million_listed_videos_do_not_enlarge_the_graph(tmp_path: pathlib.Path, job: Any) -> None:
    listed = dry_run(places=["--input_list=gs://bucket/a_million.txt", "--output=gs://bucket/labels"])
    sizes = [len(x.proto_pipeline.SerializeToString()) for x in (listed, job)]
    assert max(sizes) < LIMIT_BYTES / 50
    assert abs(sizes[0] - sizes[1]) < 4096


def test_a_million_videos_as_arguments_are_refused_with_the_remedy() -> None:
    places = [f"gs://bucket/videos/{number:07}.mp4" for number in range(1_000_000)]
    args, _ = options.parse_flags(["--model=demo", *PLACES])
    args.inputs = places
    with pytest.raises(ConfigError, match=r"1000000 inputs \(\d+ bytes\) are too many.*--input_list"):
        runner().adapt(options.to_config(args))


@pytest.mark.slow
def test_as_many_arguments_as_are_allowed_fit(job: Any) -> None:
    places = [f"gs://bucket/videos/{number:07}.mp4" for number in range(dataflow.MAX_INPUT_BYTES // 30)]
    size = len(dry_run(places=[*places, "--output=gs://bucket/labels"]).proto_pipeline.SerializeToString())
    assert size < LIMIT_BYTES / 4


def test_one_process_a_machine_with_a_thread_a_core() -> None:
    made = made_options("--worker_machine_type=n2-standard-16")
    assert made.view_as(DebugOptions).lookup_experiment(dataflow_options.ONE_PROCESS)
    assert made.view_as(DebugOptions).number_of_worker_harness_threads == 16
    assert made.view_as(SetupOptions).sdk_location == "container"
    assert made.view_as(SetupOptions).save_main_session is False
    assert made_options().view_as(WorkerOptions).machine_type == dataflow_options.MACHINE_TYPE


def test_a_process_a_core_gets_one_thread_and_one_thread_of_the_model() -> None:
    made = made_options(f"--experiments={dataflow_options.PROCESS_A_CORE}")
    assert not made.view_as(DebugOptions).lookup_experiment(dataflow_options.ONE_PROCESS)
    assert made.view_as(DebugOptions).number_of_worker_harness_threads == 1
    args, _ = options.parse_flags(["--model=demo", *PLACES])
    assert runner(f"--experiments={dataflow_options.PROCESS_A_CORE}").adapt(options.to_config(args)).num_threads == 1


def test_options_of_the_user_are_kept() -> None:
    flags = ["--worker_machine_type=a2-highgpu-1g", "--number_of_worker_harness_threads=5", "--sdk_location=default"]
    made = made_options(*flags, "--save_main_session")
    assert made.view_as(WorkerOptions).machine_type == "a2-highgpu-1g"
    assert made.view_as(DebugOptions).number_of_worker_harness_threads == 5
    assert made.view_as(SetupOptions).save_main_session is True


def test_prime_gets_no_machine_type() -> None:
    made = made_options("--dataflow_service_options=enable_prime")
    assert made.view_as(WorkerOptions).machine_type is None
    assert made.view_as(DebugOptions).number_of_worker_harness_threads is None


@pytest.mark.parametrize(
    ("machine_type", "cores"),
    [("n2-standard-8", 8), ("custom-4-16384", 4), ("n2d-custom-6-8192", 6), ("c3-highcpu-22-lssd", 22)],
)
def test_cores_of_a_machine_type(machine_type: str, cores: int) -> None:
    assert dataflow_options.cores(machine_type) == cores


@pytest.mark.parametrize("machine_type", ["e2-medium", "a2-highgpu-1g", "f1-micro", "large"])
def test_a_machine_type_without_a_number_of_cores_needs_the_flag(machine_type: str) -> None:
    with pytest.raises(ConfigError, match=f"{machine_type}.*--number_of_worker_harness_threads"):
        made_options(f"--worker_machine_type={machine_type}")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["a.mp4", "--output=gs://b/o"], "the input a.mp4 is on this machine"),
        (["file:///a.mp4", "--output=gs://b/o"], "the input file:///a.mp4 is on this machine"),
        (["--input_list=list.txt", "--output=gs://b/o"], "--input_list list.txt is on this machine"),
        (["gs://b/a.mp4", "--output=/o"], "--output /o is on this machine"),
    ],
)
def test_a_place_on_the_launchers_disk_is_refused(places: list[str], message: str) -> None:
    args, _ = options.parse_flags(["--model=demo", *places])
    with pytest.raises(ConfigError, match=message):
        runner().adapt(options.to_config(args))


def test_workers_without_the_package_or_the_model_are_refused(tmp_path: pathlib.Path) -> None:
    args, _ = options.parse_flags(["--model=demo", *PLACES])
    with pytest.raises(ConfigError, match="--sdk_container_image=IMAGE"):
        runner_of(JOB).adapt(options.to_config(args))
    preset = ["--num_frames=16", "--target_fps=8", "--resize=112", "--size=112", "--labels=my.txt"]
    args, _ = options.parse_flags(["--model=demo", *PLACES, f"--model={tmp_path}", *preset])
    packaged = runner_of([*JOB, "--setup_file=./setup.py"])
    with pytest.raises(ConfigError, match="put it into their image"):
        packaged.adapt(options.to_config(args))
    assert runner().adapt(options.to_config(args)).model.handle == str(tmp_path)


def test_a_template_cannot_launch_parts() -> None:
    args, beam_flags = options.parse_flags(["--model=demo", *PLACES, "--videos_per_part=100"])
    config = options.to_config(args)
    with pytest.raises(ConfigError, match="--videos_per_part 100: a template launches one job.*--shard"):
        runner("--template_location=gs://bucket/job_object").adapt(config)
    assert runner().adapt(config).videos_per_part == 100
    args.videos_per_part = 0
    at_once = runner("--template_location=gs://bucket/job_object").adapt(options.to_config(args))
    assert at_once.videos_per_part == 0


def test_the_launcher_of_a_template_does_not_wait() -> None:
    assert runner("--template_location=gs://bucket/job_object").submits_only
    assert not runner().submits_only
    assert not runner_of([]).submits_only
