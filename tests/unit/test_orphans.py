"""No process outlives its owner, however the owner ends."""

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

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Decodes the same video over and over, in two threads of which one has ended by the time that it matters.
_OWNER = """
import pathlib, signal, sys, threading
from fractions import Fraction
from transforms.media import sandbox
from transforms.media.limits import DEFAULT_LIMITS
from transforms.media.picture import Geometry
from transforms.media.sampling import ClipSampling, plan_clip_spans

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which the tests may run, has it ignored
path = sys.argv[1]
thread = threading.Thread(target=sandbox.probe, args=(path, DEFAULT_LIMITS))
thread.start()
thread.join()
media = sandbox.probe(path, DEFAULT_LIMITS)
spans = plan_clip_spans(media.duration_seconds, ClipSampling(5, Fraction(25)))
print("ready", flush=True)
while True:
    for _ in sandbox.decode_clips(path, media, spans, Geometry(480, 480), DEFAULT_LIMITS):
        {between}
        pass
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return generate.make_video(tmp_path_factory.mktemp("orphans") / "video.mp4", 250, 25, 640, 480, b_frames=2)


def start(video: pathlib.Path, between: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _OWNER.replace("{between}", between), str(video)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def owner(video: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that decodes, and its decoder."""
    with start(video) as process:
        (decoder,) = processes.decoders_of(process.pid)
        yield process, decoder
        process.kill()
    assert not processes.is_running(decoder)


@pytest.mark.parametrize("seconds", [0.0, 0.11, 0.37])
def test_kill_9_of_the_owner_while_decoding(owner: tuple[subprocess.Popen[str], int], seconds: float) -> None:
    process, decoder = owner
    time.sleep(seconds)
    process.kill()
    processes.wait_until(lambda: not processes.is_running(decoder), 5)


def test_kill_9_of_the_owner_of_a_stopped_decoder(owner: tuple[subprocess.Popen[str], int]) -> None:
    process, decoder = owner
    os.kill(decoder, signal.SIGSTOP)
    process.kill()
    processes.wait_until(lambda: not processes.is_running(decoder), 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_the_owner(owner: tuple[subprocess.Popen[str], int], number: signal.Signals) -> None:
    process, decoder = owner
    process.send_signal(number)
    process.wait(20)
    processes.wait_until(lambda: not processes.is_running(decoder), 5)


@pytest.mark.parametrize("ending", ["sys.exit(3)", "raise RuntimeError", "import os; os._exit(3)"])
def test_ends_in_the_middle_of_a_video(video: pathlib.Path, ending: str) -> None:
    with start(video, ending) as process:
        decoders = processes.decoders_of(process.pid)
        process.communicate(timeout=30)
    assert process.returncode in (1, 3)
    for decoder in decoders:
        processes.wait_until(lambda pid=decoder: not processes.is_running(pid), 5)  # type: ignore[misc]
