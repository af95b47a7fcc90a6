"""The sandboxed decoder: the same frames as without the sandbox, and at most one row per file that makes it fail."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import threading
import time
from collections.abc import Generator
from fractions import Fraction

import data_generation as generate
import numpy as np
import processes
import pytest

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding import decoder, probe
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import deadline, protocol, sandboxed
from reelbeam.transforms.records import ClipSpan, MediaInfo

GEOMETRY = Geometry(72, 64)
LIMITS = DecoderLimits()

pytestmark = pytest.mark.usefixtures("no_process_left")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Ten seconds, 40 clips."""
    return generate.make_video(tmp_path_factory.mktemp("sandbox") / "video.mp4", 250, 25, 320, 240, b_frames=2)


def plan(path: pathlib.Path, num_frames: int = 5, fps: int = 20) -> tuple[MediaInfo, tuple[ClipSpan, ...]]:
    media = probe.probe(path)
    return media, plan_clip_spans(media.duration_seconds, ClipSampling(num_frames, Fraction(fps)))


def assert_works(path: pathlib.Path) -> None:
    media, spans = plan(path)
    assert sandboxed.probe(path, LIMITS) == media
    assert len(list(sandboxed.decode_clips(path, media, spans, GEOMETRY, LIMITS))) == len(spans)


def assert_same(path: pathlib.Path, num_frames: int = 5, fps: int = 20) -> None:
    """Holds the sandbox against the library in this process."""
    media, spans = plan(path, num_frames, fps)
    assert sandboxed.probe(path, LIMITS) == media
    confined = list(sandboxed.decode_clips(path, media, spans, GEOMETRY, LIMITS))
    free = list(decoder.decode_clips(path, media, spans, GEOMETRY))
    assert [span for span, _ in confined] == [span for span, _ in free]
    for (_, frames), (_, expected) in zip(confined, free, strict=True):
        np.testing.assert_array_equal(frames, expected)
        assert frames.flags.c_contiguous and frames.flags.owndata


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts", "v.avi", "http:v?x=1.mp4", "bad \udcff name.mp4"])
def test_frames_are_those_of_the_library(tmp_path: pathlib.Path, name: str) -> None:
    plain = generate.make_video(tmp_path / f"plain{pathlib.Path(name).suffix}", 60, b_frames=2)
    assert_same(plain.rename(tmp_path / name))


@pytest.mark.parametrize("name", ["kinetics_style_256p.mp4", "mpeg4_packed_bframes.avi", "nasa_13013.mp4", "av1.mkv"])
def test_frames_of_real_files(shared_dir: pathlib.Path, name: str) -> None:
    assert_same(shared_dir / "media" / name, num_frames=20, fps=5)


def test_errors_of_the_library_come_through_with_their_clips(tmp_path: pathlib.Path, video: pathlib.Path) -> None:
    broken = generate.with_broken_packets(video, tmp_path / "broken.mp4", range(100, 110))
    media, spans = plan(broken)
    clips = sandboxed.decode_clips(broken, media, spans, GEOMETRY, LIMITS)
    whole: list[int] = []
    with pytest.raises(errors.CorruptVideoError, match=r"clips lost: decoded up to"):
        whole.extend(span.clip_index for span, _ in clips)
    assert 15 <= len(whole) < 40
    for name, error in [("gone.mp4", errors.VideoNotFoundError), ("text.mp4", errors.NotAVideoError)]:
        (tmp_path / "text.mp4").write_text("no video\n" * 9)
        with pytest.raises(error, match=name):
            sandboxed.probe(tmp_path / name, LIMITS)


def test_a_process_starts_with_nothing_of_weight() -> None:
    with sandboxed.acquire(LIMITS.memory_bytes) as process:
        libraries = pathlib.Path(f"/proc/{process.server.pid}/maps").read_text()
        environment = pathlib.Path(f"/proc/{process.server.pid}/environ").read_bytes()
    for heavy in ("tensorflow", "openvino", "arrow", "grpc", "orjson"):
        assert heavy not in libraries
    assert b"HOME=" not in environment.replace(b"PYTHONHOME=", b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_decoder_raises_one_error_and_keeps_complete_clips(
    video: pathlib.Path, number: signal.Signals
) -> None:
    media, spans = plan(video)
    expected = dict(decoder.decode_clips(video, media, spans, GEOMETRY))
    whole = []
    with (
        pytest.raises(errors.DecoderCrashedError, match=f"video.mp4: .* killed by {number.name}") as caught,
        sandboxed.acquire(LIMITS.memory_bytes) as process,
    ):
        for span, frames in process.decode_clips(video, media, spans, GEOMETRY, LIMITS):
            np.testing.assert_array_equal(frames, expected[span])
            whole.append(span)
            os.kill(process.pid, number)
    # The kernel, for want of memory, or an operator; a fault is the file's doing.
    assert caught.value.transient == (number == signal.SIGKILL)
    # What was in the ring is not lost: the decoder worked ahead.
    assert whole == list(spans[: len(whole)]) and 1 <= len(whole) <= 1 + protocol.NUM_SLOTS
    assert_works(video)


def test_a_hung_decoder_is_killed_at_its_deadline(tmp_path: pathlib.Path, video: pathlib.Path) -> None:
    short = DecoderLimits(deadline_seconds=0.5)
    with (
        pytest.raises(errors.DecoderTimeoutError, match="--decode_deadline_seconds"),
        sandboxed.acquire(short.memory_bytes) as process,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        process.probe(video, short)
    brief = generate.make_video(tmp_path / "brief.mp4", 10, 50)
    media, spans = plan(brief, num_frames=2, fps=50)
    whole = []
    with (
        pytest.raises(errors.DecoderTimeoutError, match="brief.mp4"),
        sandboxed.acquire(short.memory_bytes) as process,
    ):
        for span, _ in process.decode_clips(brief, media, spans, GEOMETRY, short):
            whole.append(span)
            os.kill(process.pid, signal.SIGSTOP)
    assert 1 <= len(whole) <= 1 + protocol.NUM_SLOTS
    assert_works(video)


def test_a_slow_caller_is_not_held_against_the_decoder() -> None:
    now = [1000.0]
    budget = deadline.Budget(100, clock=lambda: now[0])
    assert budget.end() == 1100
    now[0] += 30
    with budget.paused():
        now[0] += 7
    now[0] += 30
    assert budget.end() == 1107


def test_the_deadline_is_that_of_what_is_wanted(video: pathlib.Path) -> None:
    assert deadline.allowed_seconds(LIMITS, 1 << 30, plan(video)[1]) == pytest.approx(60 + 128 + 5 * 10)
    sampling = ClipSampling(8, Fraction(4), clips_per_video=3)
    few = plan_clip_spans(Fraction(3 * 3600), sampling)
    assert len(few) == 3 and few[-1].end_seconds > 3 * 3600 - 3600
    assert deadline.allowed_seconds(LIMITS, 0, few) < 60 + 3 * 2 * 5 + 0.05 * 3 * 3600
    assert deadline.allowed_seconds(LIMITS, 0, few, starts_anywhere=False) > 60 + 5 * 2 * 3600
    twice = plan_clip_spans(Fraction(100), ClipSampling(8, Fraction(4), clip_stride_seconds=Fraction(1)))
    assert deadline.allowed_seconds(LIMITS, 0, twice) == pytest.approx(60 + 5 * 100, rel=0.01)


def test_memory_runs_out_for_one_video_only(tmp_path: pathlib.Path, video: pathlib.Path) -> None:
    grey, *_ = generate.solid_colour((90, 90, 90))
    large = generate.make_video(tmp_path / "large.mkv", 2, 25, 4096, 4096, draw=grey, options={"preset": "ultrafast"})
    tight = DecoderLimits(memory_bytes=48 << 20)
    media, spans = plan(large)
    with pytest.raises(errors.DecoderOutOfMemoryError):
        list(sandboxed.decode_clips(large, media, spans, GEOMETRY, tight))
    assert len(list(sandboxed.decode_clips(large, media, spans, GEOMETRY, LIMITS))) == len(spans)
    assert sandboxed.probe(video, tight) == probe.probe(video)


GOOD = protocol.media_to_json(
    MediaInfo("mov", "h264", 0, 1, False, 64, 48, 0, Fraction(1), 25.0, 100, Fraction(4))  # what a sane one says
)
GARBAGE = {
    "binary": b"\xff\x00\x01\n",
    "deep": b"[" * 100_000 + b"\n",
    "endless": b"x" * (9 << 20),
    "list": b"[1]\n",
    "nothing": b"{}\n",
    "no media": b'{"media": 7}\n',
    "missing fields": b'{"media": {"width": 1}}\n',
    "unknown error": b'{"error": ["no_such_code", "x"]}\n',
    "error of another kind": b'{"error": ["rows_do_not_add_up", "x"]}\n',
    "error without text": b'{"error": ["corrupt_video", 7]}\n',
    "clip twice": b'{"clip": 0, "slot": 0, "real": 5}\n{"clip": 0, "slot": 0, "real": 5}\n{"done": true}\n',
    "clip beyond": b'{"clip": 99, "slot": 0, "real": 5}\n',
    "clip before": b'{"clip": -1, "slot": 0, "real": 5}\n',
    "clip true": b'{"clip": true, "slot": 0, "real": 5}\n',
    "clip nowhere": b'{"clip": 0, "real": 5}\n',
    "clip behind the ring": b'{"clip": 0, "slot": 3, "real": 5}\n',
    "clip before the ring": b'{"clip": 0, "slot": -1, "real": 5}\n',
    "clip in slot true": b'{"clip": 0, "slot": true, "real": 5}\n',
    "clip with more real frames than planned": b'{"clip": 0, "slot": 0, "real": 6}\n',
    "clip without a real frame": b'{"clip": 0, "slot": 0, "real": 0}\n',
    "clip of unknown real frames": b'{"clip": 0, "slot": 0}\n',
    "clip with real frames true": b'{"clip": 0, "slot": 0, "real": true}\n',
    "done too early": b'{"done": true}\n',
} | {
    f"{field}={value}": json.dumps({"media": {**GOOD, field: value}}).encode() + b"\n"
    for field, value in [
        ("width", 0), ("width", 10**9), ("height", True), ("height", "48"), ("num_frames", -5), ("source_fps", "inf"),
        ("source_fps", float("nan")), ("duration_seconds", "1/0"), ("duration_seconds", "-1"),
        ("duration_seconds", "9" * 30), ("duration_seconds", "172800"), ("duration_seconds", 4),
        ("rotation_degrees", 45), ("codec", "a\nb"),
        ("container", None), ("stream_index", 10**6), ("pixel_aspect_ratio", "1e999999999"),
        ("key_frame_pts", 3), ("key_frame_pts", [0, 1]), ("key_frame_pts", "A"), ("key_frame_pts", "AAAA"),
        ("key_frame_pts", "\u20ac" * 12), ("clock_shifts", None), ("clock_shifts", protocol.pack([0])),
        ("start_pts", "0"), ("start_pts", 1 << 70), ("time_base", "0"),
    ]
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_has_its_own_error(
    tmp_path: pathlib.Path, babbling: sandboxed.Sandbox, name: str, video: pathlib.Path
) -> None:
    script = tmp_path / "script"
    script.write_text(repr(GARBAGE[name]))
    media, spans = plan(video)
    with pytest.raises(errors.DecoderProtocolError, match="an invalid message"), babbling.acquire(1 << 30) as process:
        if "clip" in name or "done" in name:
            list(process.decode_clips(script, media, spans, GEOMETRY, LIMITS))
        else:
            process.probe(script, LIMITS)


def test_a_flooding_decoder_hits_the_deadline(
    tmp_path: pathlib.Path, babbling: sandboxed.Sandbox, video: pathlib.Path
) -> None:
    script = tmp_path / "script"
    script.write_text(repr([b'{"full_decode": "x", "ranges": 1}\n']))
    media, (span, *_) = plan(video)
    with babbling.acquire(1 << 30) as process:
        rescue = threading.Timer(10, process._process.kill)  # a channel that never times out would hang here
        rescue.start()
        with pytest.raises(errors.DecoderTimeoutError):
            list(process.decode_clips(script, media, [span], GEOMETRY, DecoderLimits(deadline_seconds=0.5)))
        rescue.cancel()


def test_clips_that_do_not_fit_into_memory_are_not_a_crash(video: pathlib.Path) -> None:
    media, spans = plan(video)
    clips = sandboxed.decode_clips(
        video, media, spans[:1], Geometry(16_000, 16_000), DecoderLimits(memory_bytes=1 << 30)
    )
    with pytest.raises(errors.DecoderOutOfMemoryError, match="--decoder_memory_bytes"):
        next(iter(clips))


def test_a_default_timeout_of_sockets_is_not_inherited(video: pathlib.Path) -> None:
    socket.setdefaulttimeout(60)  # as Beam does for Google Cloud
    try:
        assert_works(video)
    finally:
        socket.setdefaulttimeout(None)


def test_two_threads_have_a_decoder_each(video: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = generate.make_video(tmp_path / "other.mkv", 120, 25, 160, 120)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(assert_same, path) for path in (video, other) * 3]:
            job.result()
    assert len(processes.fork_servers_of(os.getpid())) == 1


def test_nothing_is_left_open(video: pathlib.Path, tmp_path: pathlib.Path) -> None:
    media, spans = plan(video)
    before, shared = processes.open_descriptors(), os.listdir("/dev/shm")
    for _ in range(3):
        clips = sandboxed.decode_clips(video, media, spans, GEOMETRY, LIMITS)
        next(clips)
        assert isinstance(clips, Generator)
        clips.close()  # while the decoder is working
        assert_works(video)
        with sandboxed.acquire(LIMITS.memory_bytes) as process:
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(errors.DecoderCrashedError):
                process.probe(video, LIMITS)
    sandboxed.close_idle()
    assert not processes.open_descriptors() - before
    assert os.listdir("/dev/shm") == shared


def test_a_fork_closes_the_descriptors_of_the_decoders(video: pathlib.Path) -> None:
    before = processes.open_descriptors()
    with sandboxed.acquire(LIMITS.memory_bytes) as process:
        of_decoder = processes.open_descriptors() - before
        assert of_decoder
        pid = os.fork()
        if pid == 0:
            sandboxed.close_idle()  # would end the server, if this were its parent
            os._exit(1 if processes.open_descriptors() & of_decoder else 0)
        assert os.waitpid(pid, 0)[1] == 0
        assert process.probe(video, LIMITS).num_frames == 250


def test_a_dripping_decoder_hits_the_deadline() -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            theirs.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(TimeoutError):
            protocol.Channel(ours, 1 << 20).receive(until=time.monotonic() + 0.3)
    finally:
        stop.set()
        dripping.join()
        ours.close()
        theirs.close()
