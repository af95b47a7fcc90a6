"""What other users of the machine and the network can reach: listening sockets, and who may connect."""

from __future__ import annotations

import http.server
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from duckdb_queries import select
from processes import program, wait_until
from sockets import DEAF, is_loopback, listeners
from strangers import attack, calls

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
_COLUMNS = "parse_filename(video_uri), status, num_clips, top_label, round(top_score, 5), error_code"


@pytest.fixture
def page() -> Iterator[tuple[str, list[str]]]:
    """Yields the address of a page on loopback, and the list of requested paths."""
    asked: list[str] = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/credentials", asked
    server.shutdown()
    server.server_close()


def rows(output: pathlib.Path) -> list[tuple]:
    return select(f"SELECT {_COLUMNS} FROM '{output}/videos/*/*.parquet' ORDER BY ALL").fetchall()


def test_a_run_listens_on_loopback_and_answers_no_stranger(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, page: tuple[str, list[str]]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the labeling user")
    secret.chmod(0o600)
    url, asked = page
    videos = tmp_path / "in"
    videos.mkdir()
    for number in range(3):
        for sample in samples_dir.iterdir():
            os.link(sample, videos / f"{number}_{sample.name}")
    command = program("label", "--model=demo", videos, "--output", tmp_path / "out")
    seen: set[tuple[str, int]] = set()
    answers: dict[str, set[str]] = {name: set() for name in calls("", "")}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: listeners(run.pid) or run.poll() is not None, 120)
        while run.poll() is None:
            seen |= listeners(run.pid)
            for _, port in listeners(run.pid):
                for name, status in attack(port, str(secret), url):
                    answers[name].add(status)
        assert run.stderr is not None
        assert (run.returncode, run.stderr.read()) == (0, "")
    assert len(seen) >= 4
    assert [address for address, _ in seen if not is_loopback(address)] == []
    for name, statuses in answers.items():
        # A server that has just ended answers nothing, and one that is ending cancels what it has not answered.
        assert "UNAUTHENTICATED" in statuses, (name, statuses)
        assert statuses <= {"UNAUTHENTICATED", "UNAVAILABLE", "CANCELLED"}, (name, statuses)
    assert asked == []
    assert main(["label", "--model=demo", str(videos), "--output", str(tmp_path / "undisturbed")]) == 0
    assert rows(tmp_path / "out") == rows(tmp_path / "undisturbed") != []


def deaf(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a command that is killed when it listens."""
    command = [sys.executable, "-c", DEAF, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("doors") / "out"
    sample = ROOT / "pipeline/demo/videos/growing.mp4"
    for _ in range(2):
        assert main(["label", "--model=demo", str(sample), "--output", str(output), "--force"]) == 0
    return output


@pytest.mark.parametrize(
    "command", ["plan", "probe", "status", "verify", "report", "diff", "sql", "compact", "models", "doctor"]
)
def test_no_other_command_listens(command: str, labeled: pathlib.Path, samples_dir: pathlib.Path) -> None:
    sample = samples_dir / "growing.mp4"
    runs = sorted(path.stem for path in labeled.joinpath("runs").iterdir() if "-compact-" not in path.stem)
    arguments: dict[str, list[object]] = {
        "plan": [sample, "--model=demo", "--output", labeled],
        "probe": [sample],
        "diff": [labeled, *runs[:2]],
        "models": [],
        "doctor": [],
    }
    done = deaf(command, *arguments.get(command, [labeled]))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_that_listens_would_be_found_out(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    done = deaf("label", "--model=demo", samples_dir / "growing.mp4", "--output", tmp_path / "out")
    assert done.returncode == -31, "SIGSYS"
