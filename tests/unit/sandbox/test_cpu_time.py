"""The CPU time of decoder processes is what the kernel says, however they end and whatever they say."""

from __future__ import annotations

import os
import pathlib
import signal
import time
from fractions import Fraction

import data_generation as generate
import processes
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding import probe
from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.media.sandbox.decoder_process import DecoderProcess

GEOMETRY = Geometry(72, 64)
LIMITS = DecoderLimits()
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")

pytestmark = pytest.mark.usefixtures("no_process_left")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return generate.make_video(tmp_path_factory.mktemp("cpu") / "video.mp4", 250, 25, 320, 240)


def decode(video: pathlib.Path, stats: DecodeStats) -> None:
    media = probe.probe(video)
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(5, Fraction(20)))
    for _ in sandboxed.decode_clips(video, media, spans, GEOMETRY, LIMITS, stats):
        pass


def used_so_far(process: DecoderProcess) -> float:
    return time.clock_gettime(~process.pid << 3 | 2)


def test_the_sum_is_what_the_kernel_says_of_all_children(video: pathlib.Path) -> None:
    stats = DecodeStats()
    sandboxed.check_confinement(LIMITS)
    (server,) = processes.fork_servers_of(os.getpid())
    processes.wait_until(lambda: processes.children_of(server) == [])
    before = _of_reaped_children(server)
    for _ in range(10):
        assert sandboxed.probe(video, LIMITS, stats).num_frames == 250
        decode(video, stats)
    processes.wait_until(lambda: processes.children_of(server) == [])
    used = _of_reaped_children(server) - before
    with sandboxed.acquire(LIMITS.memory_bytes, stats=stats) as last:  # with what the kernel used to end the others
        at_last = used_so_far(last)
    # The last process also used a little, at least what it had used then.
    assert used + at_last - 2 * TICK_SECONDS <= stats.cpu_seconds <= used + at_last + 2 * TICK_SECONDS + 0.1
    assert used > 20 * TICK_SECONDS


def _of_reaped_children(server: int) -> float:
    """Returns the CPU-seconds of all children of a process that it has reaped."""
    fields = pathlib.Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) * TICK_SECONDS


def test_each_call_adds_its_own_time(video: pathlib.Path) -> None:
    stats = DecodeStats()
    decode(video, stats)
    first = stats.cpu_seconds
    decode(video, stats)
    assert 0 < first < stats.cpu_seconds


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_was_killed_counts(video: pathlib.Path, number: signal.Signals) -> None:
    stats = DecodeStats()
    with (
        pytest.raises(errors.DecoderCrashedError),
        sandboxed.acquire(LIMITS.memory_bytes, stats=stats) as process,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        used = used_so_far(process)
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)
        process.probe(video, LIMITS)
    assert 0 < used <= stats.cpu_seconds == process.cpu_seconds


def test_a_process_that_timed_out_counts(video: pathlib.Path) -> None:
    stats = DecodeStats()
    with (
        pytest.raises(errors.DecoderTimeoutError),
        sandboxed.acquire(LIMITS.memory_bytes, stats=stats) as process,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        used = used_so_far(process)
        process.probe(video, DecoderLimits(deadline_seconds=0.2))
    assert 0 < used <= stats.cpu_seconds


def test_a_file_that_is_not_a_video_counts(tmp_path: pathlib.Path) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 9)
    stats = DecodeStats()
    with pytest.raises(errors.NotAVideoError):
        sandboxed.probe(tmp_path / "text.mp4", LIMITS, stats)
    assert stats.cpu_seconds > 0


def test_a_server_that_ended_does_not_hide_the_error(video: pathlib.Path) -> None:
    stats = DecodeStats()
    with (
        pytest.raises(errors.DecoderCrashedError),
        sandboxed.acquire(LIMITS.memory_bytes, stats=stats) as process,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(process.server.pid, signal.SIGKILL)
        process.probe(video, LIMITS)
    assert stats.cpu_seconds == 0.0


def test_a_process_that_was_taken_over_cannot_set_its_time(tmp_path: pathlib.Path, babbling: sandboxed.Sandbox) -> None:
    (tmp_path / "hostile.mp4").write_text(repr(b'{"cpu_seconds": 1e9, "error": ["no_frames", "mine"]}\n'))
    stats = DecodeStats()
    with pytest.raises(errors.NoFramesError):
        babbling.probe(tmp_path / "hostile.mp4", LIMITS, stats)
    assert 0 < stats.cpu_seconds < 1000


def test_scaling_is_a_part_of_the_cpu_time_and_waiting_of_the_clock(video: pathlib.Path) -> None:
    """A caller that takes long for each clip: the decoder waits, and the caller hardly does."""
    media, pause_seconds = probe.probe(video), 0.05
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(5, Fraction(20)))
    stats, began = DecodeStats(), time.monotonic()
    for _ in sandboxed.decode_clips(video, media, spans, GEOMETRY, LIMITS, stats):
        time.sleep(pause_seconds)
    elapsed = time.monotonic() - began
    assert 0 < stats.scale_cpu_seconds < stats.cpu_seconds
    assert 0 < stats.decoder_wait_seconds < elapsed - len(spans) * pause_seconds
    assert 0 < stats.model_wait_seconds < elapsed
    assert stats.store_wait_seconds == 0.0


def test_a_process_that_falsifies_its_report_cannot_exceed_what_is_measured(
    babbling: sandboxed.Sandbox, tmp_path: pathlib.Path
) -> None:
    spent = b'{"spent": [1e9, 1e9]}\n{"error": ["no_frames", "mine"]}\n'
    (tmp_path / "hostile.mp4").write_text(repr(spent))
    stats, media = DecodeStats(), probe.probe(generate.make_video(tmp_path / "v.mp4", 50, 25))
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(5, Fraction(20)))
    began = time.monotonic()
    with pytest.raises(errors.NoFramesError, match="mine"):
        list(babbling.decode_clips(tmp_path / "hostile.mp4", media, spans, GEOMETRY, LIMITS, stats))
    assert stats.scale_cpu_seconds <= stats.cpu_seconds
    assert stats.model_wait_seconds <= time.monotonic() - began
    babbling.close()
