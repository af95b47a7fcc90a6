"""Commands import no library that they do not need: Beam, TensorFlow, OpenVINO and FFmpeg take seconds together."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys

import output_factory as factory
import pytest

FRAMEWORKS = {"apache_beam", "pandas", "tensorflow", "tensorflow_hub", "openvino"}
DECODERS = {"av", "reelbeam.transforms.media.sandbox.sandboxed"}
RUNNERS = {"reelbeam.pipeline.runners.registry", "reelbeam.pipeline.job.graph"}

COMMANDS = [
    *("label", "plan", "models", "models fetch", "models export", "probe", "doctor", "report", "evaluate"),
    *("status", "verify", "diff", "sql", "compact"),
]
ON_AN_OUTPUT = [
    *("status {0}", "status {0} --json --runs=1", "verify {0}", "diff {0} {0}", "sql {0}", "compact {0}"),
    "evaluate {0} --truth={1} --labels={2}",
]
PROGRAM = """
import sys
from reelbeam.pipeline import cli
sys.argv[0] = "reelbeam"
try:
    cli.entry_point()
except SystemExit as stop:
    code = stop.code
print(code, *sys.modules, file=sys.stderr)
"""


def run(command: str) -> tuple[str, set[str]]:
    """Runs a command successfully in its own process. Returns what it printed, and the modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *shlex.split(command)], capture_output=True, text=True, check=False
    )
    code, *modules = done.stderr.rpartition("\n0 ")[2].split() if "\n0 " in done.stderr else done.stderr.split()
    assert done.returncode == 0 and "sys" in (code, *modules), done.stderr
    return done.stdout, {code, *modules}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An output with two small runs, and a truth and a label map for it."""
    folder = tmp_path_factory.mktemp("start_up")
    for number in (1, 2):
        factory.commit_run(folder / "output", number, [factory.Video(f"/v/{number}{each}.mp4") for each in "ab"])
    (folder / "truth.csv").write_text("video,label\n/v/1a.mp4,left\n", "utf-8")
    (folder / "labels.txt").write_text("\n".join(factory.make.LABELS), "utf-8")
    return folder


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_no_library(command: str) -> None:
    shown, modules = run(f"{command} --help")
    assert "usage: reelbeam" in shown
    assert modules & (FRAMEWORKS | DECODERS | RUNNERS | {"pyarrow", "scipy"}) == set()


@pytest.mark.parametrize("command", ON_AN_OUTPUT)
def test_commands_that_read_an_output_import_neither_frameworks_nor_decoders(
    command: str, output: pathlib.Path
) -> None:
    names = (output / "output", output / "truth.csv", output / "labels.txt")
    _, modules = run(command.format(*names))
    assert modules & (FRAMEWORKS | DECODERS | RUNNERS) == set()


def test_a_report_imports_no_framework(output: pathlib.Path) -> None:
    _, modules = run(f"report {output / 'output'} --to {output / 'report.html'}")
    assert modules & (FRAMEWORKS | RUNNERS) == set()


def test_the_list_of_models_imports_no_framework() -> None:
    shown, modules = run("models")
    assert "a0-base" in shown
    assert modules & (FRAMEWORKS | DECODERS | RUNNERS) == set()


def test_a_flag_of_beam_imports_beam(output: pathlib.Path) -> None:
    _, modules = run(f"status {output / 'output'} --s3_region_name=eu-central-1")
    assert "apache_beam" in modules


@pytest.mark.slow
def test_a_local_run_imports_no_clients_of_stores_and_no_reports(
    samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    _, modules = run(f"label {samples_dir / 'growing.mp4'} --model=demo --output {tmp_path}")
    assert "apache_beam" in modules
    unused = {"boto3", "google.cloud.storage", "google.cloud.bigquery", "pandas", "tensorflow", "scipy", "jinja2"}
    assert modules & unused == set()


IMPORTED = "print(*sys.modules, file=sys.stderr)"


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{IMPORTED}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_the_package_imports_nothing_until_a_name_is_used() -> None:
    modules = modules_after("import reelbeam; dir(reelbeam)")
    assert "reelbeam" in modules
    assert modules & (FRAMEWORKS | DECODERS | RUNNERS | {"numpy", "pyarrow", "reelbeam.transforms"}) == set()


@pytest.mark.slow
def test_labeling_local_videos_in_a_script_imports_no_beam(samples_dir: pathlib.Path) -> None:
    video = str(samples_dir / "growing.mp4")
    modules = modules_after(f"import reelbeam; reelbeam.label({video!r}, model='demo', progress=False)")
    needed = {"openvino", "pandas"}  # Arrow imports pandas, if it is there, to convert rows
    assert modules & ((FRAMEWORKS - needed) | RUNNERS) == set()
    assert "openvino" in modules
