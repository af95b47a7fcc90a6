"""A Flink session cluster for a module of tests, started and stopped by the project's own script."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tools.flink import artifacts, processes
from tools.flink.cluster import Cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]


def started_cluster(folder: pathlib.Path) -> Iterator[Cluster]:
    """Yields a cluster whose state is in a folder, and stops it. Skips if its programs cannot be had."""
    try:
        artifacts.fetch()
    except artifacts.MissingError as error:
        pytest.skip(str(error))
    cluster = Cluster(folder, free_port())
    assert script(cluster, "up").stdout.splitlines()[-1] == cluster.address
    yield cluster
    assert "taskmanager" in script(cluster, "down").stdout
    assert processes.find(cluster.folder) == []


def free_port() -> int:
    """Returns the first of thirty consecutive free ports."""
    for port in range(20081, 32000, 100):
        if all(socket.socket().connect_ex(("127.0.0.1", port + offset)) for offset in range(30)):
            return port
    raise AssertionError("no free ports")


def script(cluster: Cluster, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of tools/flink_cluster.sh. Workers can import the modules of this folder."""
    variables = {"REELBEAM_FLINK_DIR": str(cluster.folder), "REELBEAM_FLINK_PORT": str(cluster.port)}
    variables["PYTHONPATH"] = str(ROOT / "tests" / "support")
    environment = {**os.environ, "REELBEAM_PYTHON": sys.executable, **variables}
    tool = str(ROOT / "tools" / "flink_cluster.sh")
    return subprocess.run([tool, command], env=environment, capture_output=True, text=True, check=True, timeout=900)
