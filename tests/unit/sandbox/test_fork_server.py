"""One decoder process per video, and a fork server that stays clean, is replaced, and leaves nothing open."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal

import data_generation as generate
import processes
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding import probe
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import child, protocol, rehearsal, sandboxed

LIMITS = DecoderLimits()
LAST_PID = pathlib.Path("/proc/sys/kernel/ns_last_pid")

pytestmark = pytest.mark.usefixtures("no_process_left")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return generate.make_video(tmp_path_factory.mktemp("server") / "video.mp4", 50, 25, 160, 120)


def server_pid() -> int:
    (pid,) = processes.fork_servers_of(os.getpid())
    return pid


def opened(pid: int) -> list[str]:
    return sorted(os.readlink(path) for path in pathlib.Path(f"/proc/{pid}/fd").iterdir())


def test_a_process_serves_one_request(video: pathlib.Path) -> None:
    pids = []
    for _ in range(3):
        with sandboxed.acquire(LIMITS.memory_bytes) as process:
            pids.append(process.pid)
            assert process.probe(video, LIMITS) == probe.probe(video)
            with pytest.raises(RuntimeError, match="serves one request"):
                process.probe(video, LIMITS)
    assert len(set(pids)) == 3


def test_a_process_that_was_taken_over_does_not_answer_for_the_next_video(
    tmp_path: pathlib.Path, babbling: sandboxed.Sandbox
) -> None:
    """It sends more answers than it was asked for."""
    hostile, honest = tmp_path / "hostile.mp4", tmp_path / "honest.mp4"
    hostile.write_text(repr(b'{"error": ["no_frames", "mine"]}\n{"error": ["no_frames", "forged"]}\n' * 9))
    honest.write_text(repr(b'{"error": ["corrupt_video", "honest"]}\n'))
    for _ in range(2):
        with pytest.raises(errors.NoFramesError, match="mine"):
            babbling.probe(hostile, LIMITS)
        with pytest.raises(errors.CorruptVideoError, match="honest"):
            babbling.probe(honest, LIMITS)


def test_a_process_is_ended_after_its_request_even_if_it_does_not_end(
    tmp_path: pathlib.Path, babbling: sandboxed.Sandbox
) -> None:
    (tmp_path / "v.mp4").write_text(repr(b'{"error": ["no_frames", "x"]}\n'))
    with pytest.raises(errors.NoFramesError):
        babbling.probe(tmp_path / "v.mp4", LIMITS)
    server = server_pid()
    processes.wait_until(lambda: processes.children_of(server) == [])
    assert processes.is_running(server)


def test_the_server_sees_no_file_and_keeps_no_descriptor_and_no_zombie(video: pathlib.Path) -> None:
    sandboxed.check_confinement(LIMITS)
    server, ours = server_pid(), processes.open_descriptors()
    clean = opened(server)
    assert [path.split(":")[0] for path in clean] == ["/dev/null"] * 3 + ["pipe"] * 3 + ["socket"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for media in pool.map(lambda _: sandboxed.probe(video, LIMITS), range(20)):
            assert media.num_frames == 50
    with pytest.raises(errors.DecoderTimeoutError), sandboxed.acquire(LIMITS.memory_bytes) as process:
        os.kill(process.pid, signal.SIGSTOP)
        process.probe(video, DecoderLimits(deadline_seconds=0.2))
    processes.wait_until(lambda: processes.children_of(server) == [])
    assert (server_pid(), opened(server)) == (server, clean)
    assert not processes.open_descriptors() - ours
    assert len(os.listdir(f"/proc/{server}/task")) == 1
    assert "video.mp4" not in pathlib.Path(f"/proc/{server}/maps").read_text()


def test_two_processes_share_no_descriptor(video: pathlib.Path) -> None:
    with sandboxed.acquire(LIMITS.memory_bytes) as first, sandboxed.acquire(LIMITS.memory_bytes) as second:
        sockets = [{path for path in opened(process.pid) if "socket" in path} for process in (first, second)]
        rings = [os.stat(f"/proc/{process.pid}/fd/{number}").st_ino for process in (first, second)
                 for number in os.listdir(f"/proc/{process.pid}/fd")
                 if "memfd" in os.readlink(f"/proc/{process.pid}/fd/{number}")]  # fmt: skip
        assert [len(found) for found in sockets] == [1, 1] and sockets[0] != sockets[1]
        assert len(rings) == len(set(rings)) == 2
        assert first.probe(video, LIMITS) == second.probe(video, LIMITS)


def test_the_rehearsal_probes_and_decodes_and_leaves_no_descriptor_or_thread() -> None:
    before, num_threads = processes.open_descriptors(), len(os.listdir("/proc/self/task"))
    num_answers = 0

    def answer(channel: protocol.Channel, ring: int) -> None:
        nonlocal num_answers
        child._rehearsed(channel, ring)
        num_answers += 1

    assert rehearsal.rehearse(answer) == rehearsal.NUM_ROUNDS
    assert num_answers == 2 * rehearsal.NUM_ROUNDS
    assert not processes.open_descriptors() - before
    assert len(os.listdir("/proc/self/task")) == num_threads


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_server_that_ended_is_replaced(video: pathlib.Path, number: signal.Signals) -> None:
    sandboxed.check_confinement(LIMITS)
    first = server_pid()
    os.kill(first, number)
    processes.wait_until(lambda: not processes.is_running(first))
    assert sandboxed.probe(video, LIMITS).num_frames == 50
    assert server_pid() != first


def test_a_dead_server_ends_its_processes_and_the_error_is_transient(video: pathlib.Path) -> None:
    with pytest.raises(errors.DecoderCrashedError) as caught, sandboxed.acquire(LIMITS.memory_bytes) as process:
        os.kill(process.pid, signal.SIGSTOP)  # so that it does not answer before
        os.kill(process.server.pid, signal.SIGKILL)
        process.probe(video, LIMITS)
    assert caught.value.transient
    processes.wait_until(lambda: not processes.is_running(process.pid))
    assert sandboxed.probe(video, LIMITS).num_frames == 50


def test_after_a_crash_the_next_process_has_another_memory_layout(video: pathlib.Path) -> None:
    with sandboxed.acquire(LIMITS.memory_bytes) as other:  # in the middle of a video meanwhile
        with pytest.raises(errors.DecoderCrashedError), sandboxed.acquire(LIMITS.memory_bytes) as process:
            os.kill(process.pid, signal.SIGSEGV)
            process.probe(video, LIMITS)
        with sandboxed.acquire(LIMITS.memory_bytes) as fresh:
            assert fresh.server.pid != process.server.pid == other.server.pid
        assert other.probe(video, LIMITS).num_frames == 50
    assert processes.fork_servers_of(os.getpid()) == [fresh.server.pid]


def test_a_number_that_names_no_child_is_answered_and_ends_nothing(video: pathlib.Path) -> None:
    with sandboxed.acquire(LIMITS.memory_bytes) as process:
        for unknown in (process.pid, 0, -1, 1 << 70):  # a process id is not the number of a child
            process.server.end(unknown)
            assert process.server.status(unknown) is None
        assert process.probe(video, LIMITS).num_frames == 50
        assert process.server.is_alive()


def test_a_child_that_was_forgotten_stays_forgotten(video: pathlib.Path) -> None:
    with sandboxed.acquire(LIMITS.memory_bytes) as process:
        serial = process._process._serial
        os.kill(process.pid, signal.SIGSEGV)
        processes.wait_until(lambda: process.server.status(serial) == -signal.SIGSEGV)
        for _ in range(2):
            process.server.end(serial)
            assert process.server.status(serial) is None
        assert process.server.is_alive()


@pytest.mark.skipif(not os.access(LAST_PID, os.W_OK), reason="the next process id cannot be chosen here")
def test_a_child_is_not_ended_by_the_owner_of_another_that_had_its_process_id(video: pathlib.Path) -> None:
    with sandboxed.acquire(LIMITS.memory_bytes) as first:
        assert first.probe(video, LIMITS).num_frames == 50
        processes.wait_until(lambda: not processes.is_running(first.pid))
        for _ in range(100):  # another program may take the id first
            LAST_PID.write_text(str(first.pid - 1))
            with sandboxed.acquire(LIMITS.memory_bytes) as second:
                if second.pid != first.pid:
                    continue
                first.close()
                assert second.probe(video, LIMITS).num_frames == 50
                assert second.server.is_alive()
                return
    pytest.fail("the process id was never given again")


def test_a_server_that_does_not_start_is_one_error() -> None:
    with pytest.raises(errors.RunError, match="the decoder process does not start: the fork server has ended"):
        sandboxed.Sandbox("no_such_module").check_confinement(LIMITS)
    assert processes.children_of(os.getpid()) == []


def test_an_interrupted_question_leaves_no_answer_for_the_next(video: pathlib.Path) -> None:
    sandboxed.check_confinement(LIMITS)
    first = server_pid()
    os.kill(first, signal.SIGSTOP)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            sandboxed.probe(video, LIMITS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert sandboxed.probe(video, LIMITS).num_frames == 50
    assert server_pid() != first
