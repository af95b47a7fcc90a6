"""No process outlives its parent, however the parent ends."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import data_generation as generate
import processes
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Decodes the same video over and over, in two threads of which one has ended by the time that it matters.
_PARENT = """
import pathlib, signal, sys, threading
from fractions import Fraction
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which the tests may run, has it ignored
path = sys.argv[1]
thread = threading.Thread(target=sandboxed.probe, args=(path, DEFAULT_LIMITS))
thread.start()
thread.join()
media = sandboxed.probe(path, DEFAULT_LIMITS)
spans = plan_clip_spans(media.duration_seconds, ClipSampling(5, Fraction(25)))
is_ready = False
while True:
    for _ in sandboxed.decode_clips(path, media, spans, Geometry(480, 480), DEFAULT_LIMITS):
        if not is_ready:
            print("ready", flush=True)
            is_ready = True
        {between}
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return generate.make_video(tmp_path_factory.mktemp("orphans") / "video.mp4", 250, 25, 640, 480, b_frames=2)


def start(video: pathlib.Path, between: str = "pass") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PARENT.replace("{between}", between), str(video)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def wait_for_the_end_of(group: int) -> None:
    processes.wait_until(lambda: not processes.running_in_group(group), 5)


@pytest.fixture
def parent(video: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that decodes, and its fork server, whose process group has all that must not be left."""
    with start(video) as process:
        (server,) = processes.fork_servers_of(process.pid)
        yield process, server
        process.kill()
    wait_for_the_end_of(server)


@pytest.mark.parametrize("seconds", [0.0, 0.11, 0.37])
def test_kill_9_of_the_parent_while_decoding(parent: tuple[subprocess.Popen[str], int], seconds: float) -> None:
    process, server = parent
    time.sleep(seconds)  # any moment will do
    process.kill()
    wait_for_the_end_of(server)


@pytest.mark.parametrize("stopped", ["decoders", "server", "all"])
def test_kill_9_of_the_parent_of_stopped_processes(parent: tuple[subprocess.Popen[str], int], stopped: str) -> None:
    process, server = parent
    processes.wait_until(lambda: processes.children_of(server))
    for pid in [] if stopped == "decoders" else [server]:
        os.kill(pid, signal.SIGSTOP)
    for pid in [] if stopped == "server" else processes.children_of(server):
        os.kill(pid, signal.SIGSTOP)
    process.kill()
    wait_for_the_end_of(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_the_parent(parent: tuple[subprocess.Popen[str], int], number: signal.Signals) -> None:
    process, server = parent
    process.send_signal(number)
    process.wait(20)
    wait_for_the_end_of(server)


@pytest.mark.parametrize("ending", ["sys.exit(3)", "raise RuntimeError", "import os; os._exit(3)"])
def test_ends_in_the_middle_of_a_video(video: pathlib.Path, ending: str) -> None:
    with start(video, f"sys.stdin.read(); {ending}") as process:
        servers = processes.fork_servers_of(process.pid)
        process.communicate("", timeout=30)
    assert process.returncode in (1, 3) and len(servers) == 1
    wait_for_the_end_of(servers[0])
