"""`reelbeam label` on Prism, Beam's portable runner: the rows of a local run, exit codes, and what is left behind."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import data_generation as generate
import pytest
from duckdb_queries import select
from processes import children_of, decoders_of, is_running, program, wait_until
from sockets import is_loopback, listeners

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"
FACTS_OF_A_RUN = ("run", "run_id", "labeled_at")
NOT_VIDEOS = (".md", ".csv", ".txt", ".json")
LARGEST_BYTES = 8 << 20


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Real videos where they are present, otherwise generated ones; and the bundled samples, with a broken one."""
    folder = tmp_path_factory.mktemp("corpus")
    for sample in (ROOT / "pipeline" / "demo" / "videos").iterdir():
        os.symlink(sample, folder / f"sample_{sample.name}")
    real = [*(SHARED / "media").glob("**/*.*"), *sorted(SHARED.glob("clips/*.*"))[::4]]
    for path in real:
        if path.suffix not in NOT_VIDEOS and path.is_file() and path.stat().st_size <= LARGEST_BYTES:
            os.symlink(path, folder / f"{path.parent.name}_{path.name}")
    if not real:
        for number, name in enumerate(["a.mp4", "b.mkv", "c.avi"]):
            generate.make_video(folder / name, 100 + 50 * number, 25)
    return folder


@pytest.fixture
def flags(prism_program: str) -> list[str]:
    """What the documentation has for a run on Prism."""
    return ["--runner=PrismRunner", f"--prism_location={prism_program}", "--environment_type=LOOPBACK"]


def rows(output: pathlib.Path, table: str) -> list[dict[str, Any]]:
    """Returns the committed rows, without the columns that identify a run, and with rounded scores.

    The last bits of a score depend on the other clips of the batch.
    """
    found = select(f"SELECT * FROM '{output}/{table}/*/*.parquet' ORDER BY ALL").to_arrow_table().to_pylist()
    return [{name: rounded(row[name]) for name in row if name not in FACTS_OF_A_RUN} for row in found]


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def label(*arguments: object) -> int:
    return main(["label", "--model=demo", *map(str, arguments), "--max_failure_ratio=1"])


def prisms_of(pid: int, prism: str) -> list[int]:
    """Returns the running processes of Prism that a process started."""
    name = os.path.basename(prism)[:15]
    return [child for child in children_of(pid) if is_running(child) and name_of(child) == name]


def name_of(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@pytest.mark.parametrize("parts", [[], ["--videos_per_part=25"]])
def test_the_rows_are_those_of_a_local_run(
    corpus: pathlib.Path, tmp_path: pathlib.Path, flags: list[str], parts: list[str]
) -> None:
    assert label(corpus, "--output", tmp_path / "local") == 0
    assert label(corpus, "--output", tmp_path / "prism", *flags, *parts) == 0
    for table in ("videos", "clips", "errors"):
        assert rows(tmp_path / "prism", table) == rows(tmp_path / "local", table) != []
    assert len(rows(tmp_path / "local", "videos")) == len(list(corpus.iterdir()))
    assert main(["verify", str(tmp_path / "prism")]) == 0
    assert label(corpus, "--output", tmp_path / "prism", *flags, *parts) == 0, "nothing is new"
    assert len(rows(tmp_path / "prism", "videos")) == len(rows(tmp_path / "local", "videos"))


@pytest.fixture
def many(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> pathlib.Path:
    """A folder whose videos take a while."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        shutil.copy(samples_dir / "moving_left.mp4", folder / f"{number}.mp4")
    return folder


@pytest.fixture
def run(
    tmp_path: pathlib.Path, many: pathlib.Path, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    """A run on Prism that works on its videos, with a temporary folder of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    command = program("label", "--model=demo", many, "--output", tmp_path / "out", *flags)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        wait_until(lambda: works(process.pid, flags) or process.poll() is not None, 200)
        assert process.poll() is None, process.communicate()
        yield process
        process.kill()


def works(pid: int, flags: list[str]) -> bool:
    """Whether a run has started Prism and decoders."""
    return bool(prisms_of(pid, flags[1].partition("=")[2]) and decoders_of(pid))


def assert_nothing_is_left(folder: pathlib.Path, prisms: list[int]) -> None:
    wait_until(lambda: not any(map(is_running, prisms)))
    assert [path.name for path in (folder / "tmp").iterdir()] == []
    assert not list(folder.glob("out/*/*/*.parquet")) and not list(folder.glob("out/runs/*"))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_prism_and_leaves_nothing(
    run: subprocess.Popen[str], tmp_path: pathlib.Path, prism_program: str, ending: signal.Signals
) -> None:
    prisms = prisms_of(run.pid, prism_program)
    assert len(prisms) == 1
    assert [address for address, _ in listeners(run.pid) if not is_loopback(address)] == []
    run.send_signal(ending)
    printed, _ = run.communicate(timeout=100)
    assert run.returncode == 130, printed
    assert "interrupted: the next run labels what was not committed" in printed and "Traceback" not in printed
    assert_nothing_is_left(tmp_path, prisms)


def test_a_prism_that_dies_fails_the_run(
    run: subprocess.Popen[str], tmp_path: pathlib.Path, prism_program: str
) -> None:
    (prism,) = prisms_of(run.pid, prism_program)
    os.kill(prism, signal.SIGKILL)
    printed, _ = run.communicate(timeout=100)
    assert run.returncode == 1, printed
    assert "the connection to Prism broke (it was ended by SIGKILL): run it again" in " ".join(printed.split())
    assert "Traceback" not in printed
    assert_nothing_is_left(tmp_path, [prism])


def test_a_prism_whose_launcher_was_killed_ends(
    run: subprocess.Popen[str], tmp_path: pathlib.Path, prism_program: str
) -> None:
    prisms = prisms_of(run.pid, prism_program)
    run.kill()
    run.communicate(timeout=100)
    wait_until(lambda: not any(map(is_running, prisms)), seconds=150)
    assert not list(tmp_path.glob("out/runs/*"))


def test_too_many_failures_exit_with_3(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = [samples_dir / "growing.mp4", samples_dir / "broken.mp4", tmp_path / "gone.mp4"]
    assert main(["label", "--model=demo", *map(str, inputs), f"--output={tmp_path / 'out'}", *flags]) == 3
    captured = capsys.readouterr()
    assert "2 of 3 inputs failed" in captured.out and "Traceback" not in captured.err
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_job_that_fails_exits_with_1(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    flags: list[str],
    capsys: pytest.CaptureFixture[str],
    break_writing: Any,
) -> None:
    break_writing()
    assert label(samples_dir / "growing.mp4", "--output", tmp_path / "out", *flags) == 1
    captured = capsys.readouterr()
    assert 'The run failed: KeyError: "a bug"' in captured.out and "Traceback" not in captured.err
    assert not list((tmp_path / "out").rglob("*.parquet")) and not list((tmp_path / "out").glob("runs/*"))


def test_doctor_runs_a_job_on_prism(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "runner", *flags]) == 0
    assert "PrismRunner: the job ran on 1 host" in capsys.readouterr().out
