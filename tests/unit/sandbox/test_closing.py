"""Closing a sandbox while threads use it, and interrupting its start: no process and no descriptor stays."""

from __future__ import annotations

import os
import pathlib
import threading

import data_generation as generate
import processes
import pytest

from reelbeam.transforms.errors import DecoderFailedError, RunError
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sandbox import sandboxed, spawn

pytestmark = pytest.mark.usefixtures("no_process_left")


def probe_until_closed(sandbox: sandboxed.Sandbox, video: pathlib.Path, ends: list[type[Exception]]) -> None:
    while True:
        try:
            sandbox.probe(video, DEFAULT_LIMITS)
        except (DecoderFailedError, RunError) as error:
            ends.append(type(error))
            if isinstance(error, RunError):
                return


@pytest.mark.parametrize("is_warm", [True, False])
def test_threads_get_an_error_and_nothing_stays(tmp_path: pathlib.Path, is_warm: bool) -> None:
    video = generate.make_video(tmp_path / "video.mp4", 20, 5, 64, 48)
    before = processes.open_descriptors()
    sandbox = sandboxed.Sandbox()
    if is_warm:
        sandbox.probe(video, DEFAULT_LIMITS)
    ends: list[type[Exception]] = []
    threads = [threading.Thread(target=probe_until_closed, args=(sandbox, video, ends)) for _ in range(4)]
    for thread in threads:
        thread.start()
    processes.wait_until(lambda: processes.fork_servers_of(os.getpid()))
    sandbox.close()
    sandbox.close()
    for thread in threads:
        thread.join(60)
    assert ends.count(RunError) == 4
    assert processes.fork_servers_of(os.getpid()) == []
    assert processes.open_descriptors() - before == {}


def test_an_interrupted_start_leaves_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: spawn.ForkServer) -> None:
        raise KeyboardInterrupt

    before = processes.open_descriptors()
    monkeypatch.setattr(spawn.ForkServer, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spawn.ForkServer()
    assert processes.fork_servers_of(os.getpid()) == []
    assert processes.open_descriptors() - before == {}
