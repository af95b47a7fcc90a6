"""The program on terminals, pipes and disks as they really are: closed, full, in another encoding."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
from typing import IO, Any

import duckdb
import pytest
from duckdb_queries import select
from output_factory import Video, commit_run

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"PYTHONUTF8": "1"}
FULL = b"reelbeam: stdout cannot be written: No space left on device; free the disk, or name another file\n"
ODD_NAME = "Ωμέγα é \x1b]0;owned\x07\n.mp4"
COMMANDS: dict[str, tuple[list[str], int]] = {
    "--help": (["--help"], 0),
    "--version": (["--version"], 0),
    "label --help": (["label", "--help"], 0),
    "status": (["status", "OUTPUT"], 0),
    "status --json": (["status", "OUTPUT", "--json"], 0),
    "verify": (["verify", "OUTPUT"], 0),
    "report": (["report", "OUTPUT", "--no_images"], 0),
    "diff": (["diff", "OUTPUT", "20260101", "20260102"], 0),
    "sql": (["sql", "OUTPUT"], 0),
    "compact": (["compact", "OUTPUT", "--before", "2000-01-01"], 0),
    "models": (["models"], 0),
    "models fetch": (["models", "fetch", "demo"], 0),
    "probe": (["probe", "VIDEO"], 1),
    "doctor": (["doctor", "python", "codecs", "sandbox"], 0),
    "plan": (["plan", "VIDEO", "--model=demo", "--output", "NEW"], 0),
    "bad flags": (["label", "VIDEO", "--model=demo", "--output", "NEW", "--no_such_flag", ODD_NAME], 2),
    "bad input": (["plan", "--model=demo", "--input_list", f"no {ODD_NAME}", "--output", "NEW"], 2),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, samples_dir: pathlib.Path) -> dict[str, str]:
    """An output of two runs, with a video's name that hardly any terminal can show, and such a video."""
    folder = tmp_path_factory.mktemp("terminals")
    for number in (1, 2):
        commit_run(folder / "out", number, [Video(f"/corpus/{ODD_NAME}", None), Video("/corpus/b.mp4")])
    video = shutil.copy(samples_dir / "broken.mp4", folder / ODD_NAME)
    return {"OUTPUT": str(folder / "out"), "VIDEO": str(video), "NEW": str(folder / "new")}


def run(
    argv: list[Any],
    environment: dict[str, str] = ASCII,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "reelbeam", *map(str, argv)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return subprocess.run(command, cwd=ROOT, env=kept | environment, timeout=240, stdout=stdout, stderr=stderr)


def closed_pipe() -> int:
    """Returns the write end of a pipe that has no reader."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_reader_closed_the_pipe_ends_as_usual(name: str, places: dict[str, str]) -> None:
    argv, code = COMMANDS[name]
    writing = closed_pipe()
    try:
        done = run([places.get(word, word) for word in argv], stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == code, done.stderr
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", done.stderr), "control characters, or not ASCII"
    assert done.stderr.count(b"\n") == (code == 2), "one line where something is wrong, and no traceback"


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "iso-8859-1:strict"}])
def test_json_is_json_in_any_encoding(environment: dict[str, str], places: dict[str, str]) -> None:
    done = run(["diff", places["OUTPUT"], "20260101", "20260102", "--json"], environment)
    usual = run(["diff", places["OUTPUT"], "20260101", "20260102", "--json"], UTF8)
    assert (done.returncode, done.stderr) == (0, b"")
    encoding = environment.get("PYTHONIOENCODING", "ascii").partition(":")[0]
    assert json.loads(done.stdout.decode(encoding)) == json.loads(usual.stdout)


def test_views_name_the_folder_or_are_refused(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "Ωμέγα"
    commit_run(output, 1, [Video("/corpus/b.mp4")])
    refused = run(["sql", output], ASCII)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"cannot be written in stdout's encoding" in refused.stderr
    assert b"set PYTHONIOENCODING=utf-8" in refused.stderr
    views = run(["sql", output], ASCII | {"PYTHONIOENCODING": "utf-8"})
    connection = duckdb.connect()
    connection.execute(views.stdout.decode())
    assert connection.execute("SELECT video_uri FROM current_videos").fetchall() == [("/corpus/b.mp4",)]


@pytest.mark.parametrize("argv", [["sql", "OUTPUT"], ["--help"]], ids=lambda x: x[0])
def test_output_that_a_full_disk_lost_is_a_failure(argv: list[str], places: dict[str, str]) -> None:
    with pathlib.Path("/dev/full").open("wb") as full:
        done = run([places.get(word, word) for word in argv], stdout=full)
        silent = run([places.get(word, word) for word in argv], stdout=full, stderr=full)
    assert (done.returncode, done.stderr) == (1, FULL)
    assert silent.returncode == 1


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_descriptors_do_no_harm(closed: str, places: dict[str, str]) -> None:
    script = f'"$0" -m reelbeam status "$1" {closed}'
    command = ["/bin/sh", "-c", script, sys.executable, places["OUTPUT"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, b"")


def test_names_of_videos_do_not_depend_on_the_locale(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    video = shutil.copy(samples_dir / "broken.mp4", tmp_path / "é.mp4")
    done = run(["label", video, "--model=demo", "--output", tmp_path / "out", "--max_failure_ratio", 1], ASCII)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = select(f"SELECT video_uri FROM '{tmp_path}/out/videos/*/*.parquet'").fetchall()
    assert rows == [(str(video),)]


def label(output: pathlib.Path, samples: pathlib.Path, **streams: Any) -> subprocess.CompletedProcess[bytes]:
    videos = [samples / name for name in ("growing.mp4", "shrinking.mp4", "moving_up.mp4")]
    return run(["label", *videos, "--model=demo", "--output", output, "--videos_per_part", 2], **streams)


def num_committed(output: pathlib.Path) -> int:
    return sum(json.loads(path.read_bytes())["counts"]["ok"] for path in output.glob("runs/*.json"))


def test_a_run_continues_although_its_output_has_no_reader(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    """All parts are committed, and that is what the exit code says."""
    writing = closed_pipe()
    try:
        done = label(tmp_path / "out", samples_dir, stdout=writing)
        assert (done.returncode, done.stderr) == (0, b"")
        with pathlib.Path("/dev/full").open("wb") as full:
            both_full = label(tmp_path / "full", samples_dir, stdout=full, stderr=full)
        assert both_full.returncode == 0
    finally:
        os.close(writing)
    assert [num_committed(tmp_path / name) for name in ("out", "full")] == [3, 3]


def on_terminal(argv: list[Any]) -> tuple[int, str]:
    """Runs the program on a pseudo-terminal; returns its exit code and all that it drew."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm-256color", COLUMNS="160", PYTHONUTF8="1")
        os.execv(sys.executable, [sys.executable, "-m", "reelbeam", *map(str, argv)])
    drawn = b""
    while True:
        try:
            drawn += (data := os.read(terminal, 1 << 16))
        except OSError:  # raised by Linux if no process has the other side open
            data = b""
        if not data:
            break
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn.decode()


def test_the_progress_line_is_drawn_until_the_last_video(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    """In the job that lists and in each job that labels, with the share of all parts and the time that is left."""
    code, drawn = on_terminal(
        ["label", samples_dir, "--model=demo", "--output", tmp_path / "out", "--videos_per_part", 5]
    )
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert code == 0
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain)]
    assert any(re.match(r"\d+ videos listed ━", line) for line in lines)
    shares = [int(m[1]) for line in lines if (m := re.match(r"\d+/10 videos, .*━ +(\d+)%", line))]
    assert shares == sorted(shares)
    assert shares[0] == 0
    parts = [json.loads(path.read_bytes())["counts"]["videos"] for path in sorted(tmp_path.glob("out/runs/*.json"))]
    assert len(parts) == 2
    assert shares[-1] >= parts[0] * 10, "it is drawn in the last part"
    assert re.search(r"\d+/10 videos, .*━ +\d+% +\d:\d\d:\d\d", plain), "the time that is left"
    assert "Traceback" not in plain
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l"), "the cursor is back"


def test_messages_are_printed_above_the_progress_line(tmp_path: pathlib.Path) -> None:
    program = """
import logging, threading
from reelbeam.pipeline import cli
from reelbeam.pipeline.terminal import streams
from reelbeam.pipeline.terminal.progress import ProgressLine, Stage
streams.take_over_streams()
cli._set_up_logging(verbose=False)
drawn = threading.Semaphore(0)
def source():
    drawn.release()
    return Stage("at work", 1, 2)
with ProgressLine(True, source):
    for _ in range(2):
        drawn.acquire()
    logging.getLogger("reelbeam.transforms.x").warning("a file \\x1b]0;owned\\x07 is odd")
"""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm-256color", COLUMNS="160", PYTHONUTF8="1")
        os.execv(sys.executable, [sys.executable, "-c", program])
    drawn = b""
    while b"odd" not in drawn or b"?25h" not in drawn[drawn.index(b"odd") :]:
        drawn += os.read(terminal, 1 << 16)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert "\x1b[2KWARNING: a file �]0;owned� is odd\r\n" in drawn.decode()
