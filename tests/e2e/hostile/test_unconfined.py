"""Systems that offer no way to confine a decoder: a real filter takes seccomp and Landlock away from the program."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
REFUSAL = (
    "reelbeam: decoder processes cannot be confined here: the system allows neither seccomp filters nor Landlock, so a "
    "hostile video could read files and open connections; run on Linux 5.13 or later on x86-64 or aarch64, in a "
    "container that allows one of them, or pass --allow_unconfined_decoder\n"
)
OPEN = (
    "WARNING: decoder processes are not confined: a hostile video "
    "that takes over a decoder could read files and open connections\n"
)
HALF_OPEN = (
    "WARNING: decoder processes run without a seccomp filter: "
    "Landlock keeps them from files and TCP, but a hostile video that takes over a decoder could use other system "
    "calls\n"
)


def run(forbidden: str, *arguments: object) -> tuple[int, str]:
    """Returns the exit code and what a person reads on stderr."""
    command = [
        sys.executable,
        str(ROOT / "tests" / "support" / "forbidding.py"),
        forbidden,
        sys.executable,
        "-m",
        "reelbeam",
    ]
    done = subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stderr


def label(samples_dir: pathlib.Path, output: pathlib.Path) -> list[object]:
    return ["label", "--model=demo", samples_dir / "growing.mp4", "--output", output]


def test_a_run_does_not_start_where_nothing_confines_its_decoders(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    output = tmp_path / "out"
    assert run("seccomp,landlock", *label(samples_dir, output)) == (2, REFUSAL)
    assert not os.path.exists(output)
    code, messages = run("seccomp,landlock", *label(samples_dir, output), "--allow_unconfined_decoder")
    assert (code, messages.count(OPEN), REFUSAL in messages) == (0, 1, False)
    assert list(output.glob("videos/*/*.parquet"))


@pytest.mark.parametrize("command", ["plan", "probe"])
def test_other_commands_that_read_videos_do_not_either(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, command: str
) -> None:
    arguments = [
        samples_dir / "growing.mp4",
        *(["--model=demo", "--output", tmp_path / "out"] if command == "plan" else []),
    ]
    assert run("seccomp,landlock", command, *arguments) == (2, REFUSAL)
    assert run("seccomp,landlock", command, *arguments, "--allow_unconfined_decoder") == (0, OPEN)


@pytest.mark.parametrize(("forbidden", "shown"), [("seccomp", HALF_OPEN), ("landlock", "")])
def test_one_wall_is_enough_and_a_missing_filter_is_reported(
    samples_dir: pathlib.Path, forbidden: str, shown: str
) -> None:
    assert run(forbidden, "probe", samples_dir / "growing.mp4") == (0, shown)
