"""A proxy in the environment does not touch a local run."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import threading

import pytest
from processes import program

from reelbeam.pipeline.runners.proxies import keep_loopback_direct

pytestmark = pytest.mark.slow  # whole runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
LOWER = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
VARIABLES = (*LOWER, *(name.upper() for name in LOWER))
EXCEPTIONS = ("no_proxy", "NO_PROXY", "no_grpc_proxy")


class CountingServer:
    """A server on loopback that counts its connections and answers none."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.num_connections = 0
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.num_connections += 1
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def label(video: pathlib.Path, output: pathlib.Path, proxies: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, *EXCEPTIONS)}
    command = program("label", video, "--model", "demo", "--output", output)
    return subprocess.run(command, env=environment | proxies, cwd=ROOT, capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize("exceptions", [{}, {"no_proxy": "example.com"}])
def test_a_local_run_sends_nothing_to_a_proxy(
    exceptions: dict[str, str], tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    proxy = CountingServer()
    try:
        url = f"http://127.0.0.1:{proxy.port}"
        done = label(samples_dir / "growing.mp4", tmp_path / "out", dict.fromkeys(VARIABLES, url) | exceptions)
    finally:
        proxy.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 ok, 0 partial, 0 failed" in done.stdout
    assert proxy.num_connections == 0


def test_a_local_run_needs_no_proxy_that_answers(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    proxies = dict.fromkeys(VARIABLES, f"http://127.0.0.1:{port}")
    done = label(samples_dir / "growing.mp4", tmp_path / "out", proxies)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "localhost,127.0.0.0/8,::1/128"),
        ({"no_proxy": "a.example, b.example"}, "a.example,b.example,localhost,127.0.0.0/8,::1/128"),
        ({"no_proxy": "a.example", "no_grpc_proxy": "c.example"}, "c.example,localhost,127.0.0.0/8,::1/128"),
    ],
)
def test_the_exceptions_of_the_user_stay_in_force(
    given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in EXCEPTIONS:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # each job calls it
        keep_loopback_direct()
        assert os.environ[EXCEPTIONS[-1]] == expected
    assert os.environ.get("no_proxy") == given.get("no_proxy"), "downloads still use the proxy"
