"""Adverse machines: little memory, vanishing folders, foreign modules, signals, absurd numbers."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest
from processes import program, wait_until

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
START = "import sys; from reelbeam.pipeline.cli import entry_point; sys.argv[0] = 'reelbeam'; entry_point()"


def run(script: str, *arguments: object, **options: Any) -> tuple[int, str, str]:
    """Runs a line of sh, which has Python as $0 and `arguments` as $1, $2, …; the program can be imported."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    command = ["/bin/sh", "-c", script, sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("kilobytes", "flags", "message"),
    [
        (1_000_000, "", "reelbeam: the address space is limited to 1000000 KiB, and every command needs 2097152: "),
        (
            3_000_000,
            "",
            "reelbeam: the address space is limited to 3000000 KiB, and a run with 2 threads needs 36",
        ),
        (
            *(4_000_000, "--decoder_memory_bytes=4000000000"),
            "reelbeam: the address space is limited to 4000000 KiB, which leaves no room for --decoder_memory_bytes "
            "4000000000: set `ulimit -v unlimited`, or lower it",
        ),
    ],
)
def test_too_small_an_address_space_is_reported_before_the_run(
    kilobytes: int, flags: str, message: str, tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    command = '"$0" -m reelbeam label "$1" --model=demo --output "$2" --direct_num_workers=2'
    script = f"ulimit -v {kilobytes} && exec {command} {flags}"
    code, out, err = run(script, samples_dir / "growing.mp4", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(message)
    assert not (tmp_path / "out").exists()


def test_no_memory_in_the_middle_is_one_line(samples_dir: pathlib.Path) -> None:
    program = """
import sys
from reelbeam.pipeline import cli
from reelbeam.pipeline.commands import output as output_commands
def status(argv):
    bytearray(1 << 60)
output_commands.status = status
sys.exit(cli.main(["status", "x"]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "reelbeam: out of memory (MemoryError()): free some, or raise the limit of `ulimit -v`\n"


def test_a_working_directory_that_was_removed_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "gone").mkdir()
    found = run('cd "$1" && rmdir "$1" && exec "$0" -c "$2" models', tmp_path / "gone", START)
    assert found == (2, "", "reelbeam: the working directory was removed: change to one that exists\n")


@pytest.mark.parametrize("way", ["python -m reelbeam", "reelbeam"])
@pytest.mark.parametrize("place", ["working directory", "PYTHONPATH"])
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_modules_of_others_called_pipeline_and_transforms_hide_nothing(
    form: str, place: str, way: str, tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    for name in ("pipeline", "transforms"):
        theirs = tmp_path / "theirs" / form.format(name)
        theirs.parent.mkdir(parents=True, exist_ok=True)
        theirs.write_text("raise SystemExit('their code ran')\n")
    folder = tmp_path / "theirs"
    path = {"PYTHONPATH": f"{folder}:{ROOT}"} if place == "PYTHONPATH" else {}
    command = '"$0" -c "$2" ' if way == "reelbeam" else '"$0" -m reelbeam '
    sample = samples_dir / "growing.mp4"
    code, out, err = run(command + 'probe "$1"', sample, START, cwd=folder, env=path)  # in a decoder process, too
    assert (code, err) == (0, "")
    assert "h264" in out


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_no_signal_that_ends_a_run_leaves_files(
    number: signal.Signals, tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    temporary, output = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    command = program("label", samples_dir, "--model=demo", "--output", output)
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: list(temporary.glob("beam-pipeline-temp*")) and output.exists(), seconds=60)
        process.send_signal(number)
        process.send_signal(number)  # an impatient hand
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert list(temporary.iterdir()) == []


def test_a_run_under_nohup_survives_its_terminal(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    command = program("label", samples_dir / "growing.mp4", "--model", "demo", "--output")
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command, str(tmp_path / "out")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until((tmp_path / "out").exists, seconds=60)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--target_fps=1e9", "--target_fps is 1e+09: it must be at most 1000"),
        ("--target_fps=1e-9", "--target_fps is 1e-09: it must be at least 0.01"),
        ("--target_fps=1e999999999", "'1e999999999' is not a number such as 5, 12.5 or 30000/1001"),
        ("--clip_stride_seconds=1e-9", "--clip_stride_seconds is 1e-09: it must be at least 0.001"),
        ("--clip_stride_seconds=1e12", "--clip_stride_seconds is 1e+12: it must be at most 1000000"),
        ("--warm_up_seconds=1e9", "--warm_up_seconds is 1e+09: it must be at most 86400"),
        ("--num_frames=1000000", "--num_frames is 1000000: it must be at most 10000"),
        ("--resize=1000000000", "--resize is 1000000000: it must be at most 8192"),
        ("--num_threads=1000000", "--num_threads is 1000000: it must be at most 1024"),
        ("--direct_num_workers=100000", "--direct_num_workers is 100000: it must be at most 1024"),
        ("--decode_deadline_seconds=inf", "--decode_deadline_seconds is inf: it must be at most 86400"),
        ("--max_duration_seconds=inf", "--max_duration_seconds is inf: it must be at most 31536000"),
        (f"--decoder_memory_bytes={10**21}", f"--decoder_memory_bytes is {10**21}: it must be at most 35184372088832"),
        (f"--max_pixels={10**21}", f"--max_pixels is {10**21}: it must be at most 1073741824"),
        (f"--clips_per_video={10**21}", f"--clips_per_video is {10**21}: it must be at most 1000000"),
        (f"--videos_per_part={10**21}", f"--videos_per_part is {10**21}: it must be at most 9007199254740992"),
        ("--max_failure_ratio=nan", "--max_failure_ratio is nan: it must be from 0 to 1"),
    ],
)
def test_absurd_numbers_are_refused_and_leave_nothing(
    flag: str,
    message: str,
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code: str | int | None
    try:
        code = main(
            ["label", str(samples_dir / "growing.mp4"), "--model=demo", "--output", str(tmp_path / "out"), flag]
        )
    except SystemExit as stop:
        code = stop.code
    found = capsys.readouterr()
    assert (code, found.out, found.err.count("\n")) == (2, "", 1)
    assert message in found.err
    assert not (tmp_path / "out").exists()
