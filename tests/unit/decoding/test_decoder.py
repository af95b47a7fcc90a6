"""Exact frame numbers for every kind of timeline and for damaged files, compared with FFmpeg's program."""

from __future__ import annotations

import bisect
import contextlib
import gc
import pathlib
import re
import subprocess
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import Any

import av
import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest
from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.assembly import ClipAssembly, allocate
from reelbeam.transforms.media.decoding.cropping import Cropping
from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.fast_source import FastSource
from reelbeam.transforms.media.decoding.picture import PictureConverter
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.decoding.reader import PacketReader
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.records import ClipSpan, MediaInfo

WHOLE = Geometry(72, 72)


def numbers(frames: npt.NDArray[np.uint8], crop: float = 1.0) -> list[int]:
    return [generate.read_frame_number(frame, crop) for frame in frames]


def decoded_numbers(path: pathlib.Path, spans: list[ClipSpan]) -> dict[int, list[int]]:
    return {span.clip_index: numbers(frames) for span, frames in decode_clips(path, probe(path), spans, WHOLE)}


def shown_at(instants: list[Fraction], times: list[Fraction]) -> list[int]:
    """Returns the numbers of the frames shown at `instants`, given when each is shown first."""
    return [bisect.bisect_right(times, instant) - 1 for instant in instants]


@pytest.mark.parametrize("fps", ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"])
@pytest.mark.parametrize("target_fps", [5, 8, 12])
def test_constant_frame_rate(tmp_path: pathlib.Path, fps: str, target_fps: int) -> None:
    rate = Fraction(fps)
    path = generate.make_video(tmp_path / "v.mp4", int(rate * 3), rate, b_frames=2)
    sampling = ClipSampling(num_frames=target_fps, target_fps=Fraction(target_fps))
    media = probe(path)
    spans = plan_clip_spans(media.duration_seconds, sampling)
    clips = list(decode_clips(path, media, spans, WHOLE))
    assert [span for span, _ in clips] == list(spans)
    times = [n / rate for n in range(media.num_frames)]
    for span, frames in clips:
        assert frames.shape == (target_fps, 72, 72, 3)
        assert frames.dtype == np.uint8
        assert frames.flags.c_contiguous
        assert frames.flags.owndata
        assert numbers(frames) == shown_at(list(span.sample_seconds), times)


@pytest.mark.parametrize("start_pts", [0, 5000])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_variable_frame_rate(tmp_path: pathlib.Path, container: str, start_pts: int) -> None:
    gaps = [7, 900, 33, 34, 1, 450, 33, 2000, 40, 40] * 3
    pts = [sum(gaps[:n]) for n in range(len(gaps))]
    path = generate.make_video(
        tmp_path / f"v.{container}",
        len(pts),
        b_frames=2,
        pts=pts,
        time_base=Fraction(1, 1000),
        start_pts=start_pts,
    )
    instants = [Fraction(tick, 7) for tick in range(pts[-1] * 7 // 1000)]
    expected = shown_at(instants, [Fraction(value, 1000) for value in pts])
    assert decoded_numbers(path, [span_at(0, *instants)]) == {0: expected}


def test_frame_is_shown_from_its_own_instant_on(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 20, Fraction(30000, 1001))
    at = Fraction(7 * 1001, 30000)
    just_before = at - Fraction(1, 10**9)
    assert decoded_numbers(path, [span_at(0, just_before, at)]) == {0: [6, 7]}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("offset.mp4", {"start_pts": 45}),
        ("offset.mkv", {"start_pts": 45}),
        ("deep.mp4", {"b_frames": 7, "options": {"b-pyramid": "normal", "refs": "4"}}),
        ("stream.ts", {}),
        ("stream.flv", {}),
        ("stream.mpg", {"codec": "mpeg2video"}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
        ("vp8.webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "10"}}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("motion.mov", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("colours.gif", {"codec": "gif", "pix_fmt": "rgb8"}),
        # No times of display in the container:
        ("plain.avi", {"codec": "mpeg4", "b_frames": 0}),
        ("reordered.avi", {"codec": "mpeg4"}),
        ("h264.avi", {"b_frames": 3}),
        ("raw.h264", {}),
    ],
)
def test_containers_and_codecs(tmp_path: pathlib.Path, name: str, options: dict[str, Any]) -> None:
    path = generate.make_video(tmp_path / name, 60, 30, **{"b_frames": 2, **options})
    instants = [Fraction(2 * n + 1, 60) for n in range(60)]
    assert decoded_numbers(path, [span_at(0, *instants)]) == {0: list(range(60))}


def test_frames_before_time_zero_are_cut_by_the_edit_list(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 60, 30, start_pts=-20, b_frames=2)
    instants = [Fraction(2 * n + 1, 60) for n in range(40)]
    assert decoded_numbers(path, [span_at(0, *instants)]) == {0: list(range(20, 60))}


def test_shifted_tail_and_loop(tmp_path: pathlib.Path) -> None:
    sampling = ClipSampling(num_frames=10, target_fps=Fraction(5))
    long = generate.make_video(tmp_path / "long.mp4", 75, 30)
    spans = plan_clip_spans(probe(long).duration_seconds, sampling)
    expected = {0: list(range(0, 60, 6)), 1: list(range(15, 75, 6))}
    assert decoded_numbers(long, list(spans)) == expected
    short = generate.make_video(tmp_path / "short.mp4", 21, 30)
    (span,) = plan_clip_spans(probe(short).duration_seconds, sampling)
    assert decoded_numbers(short, [span]) == {0: [0, 6, 12, 18, 0, 6, 12, 18, 0, 6]}


@pytest.mark.parametrize("stride", ["0.5", "1.5"])
def test_overlap_and_gaps(tmp_path: pathlib.Path, stride: str) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 120, 30)
    sampling = ClipSampling(num_frames=10, target_fps=Fraction(10), clip_stride_seconds=Fraction(stride))
    spans = plan_clip_spans(probe(path).duration_seconds, sampling)
    expected = {
        span.clip_index: [int(instant * 30) for instant in span.sample_seconds]
        for span in spans
    }  # fmt: skip
    assert decoded_numbers(path, list(spans)) == expected


class CountingConverter(PictureConverter):
    """Notes the pts of the frames that it converts."""

    def __init__(self, geometry: Geometry, pixel_aspect_ratio: Fraction, cropping: Cropping) -> None:
        super().__init__(geometry, pixel_aspect_ratio, cropping)
        self.converted: list[int | None] = []

    def convert(self, frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
        self.converted.append(frame.pts)
        return super().convert(frame)


def test_clips_come_as_soon_as_they_are_whole_and_nothing_else_is_converted(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 90, 30)
    media = probe(path)
    long = span_at(0, Fraction(0), Fraction(2))
    early = span_at(1, Fraction(0), Fraction(1))
    assert [span for span, _ in decode_clips(path, media, [long, early], WHOLE)] == [early, long]
    with contextlib.closing(PacketReader(path, media, DEFAULT_LIMITS, is_strict=True)) as reader:
        converter = CountingConverter(WHOLE, media.pixel_aspect_ratio, reader.cropping)
        assembly = ClipAssembly((long, early), media.start_pts, media.time_base, converter, DecodeStats(), allocate)
        clips = iter(assembly.clips(FastSource(reader, media, assembly.schedule.instants)))
        assert next(clips)[0] == early
        assert len(converter.converted) == 2
        assert next(clips)[0] == long
        assert len(converter.converted) == 3  # frame 0 is shared


def test_given_up_iteration_closes_the_file(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 60, 30)
    clips = decode_clips(path, probe(path), [span_at(0, Fraction(0)), span_at(0, Fraction(1))], WHOLE)
    next(clips)
    assert any(str(path) in link for link in open_files())
    assert isinstance(clips, Generator)
    clips.close()
    assert not any(str(path) in link for link in open_files())


def open_files() -> list[str]:
    links = pathlib.Path("/proc/self/fd")
    if not links.is_dir():
        pytest.skip("needs /proc")
    return [str(link.readlink()) for link in links.iterdir() if link.is_symlink()]


def test_decoded_frames_are_freed_without_the_garbage_collector(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 90, 30, rotation=90)
    span = span_at(0, *[Fraction(n, 30) for n in range(90)])
    gc.collect()
    gc.disable()
    try:
        list(decode_clips(path, probe(path), [span], WHOLE))
        alive = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]
    finally:
        gc.enable()
    assert len(alive) <= 2


def test_frame_size_may_change(tmp_path: pathlib.Path) -> None:
    parts = [
        generate.make_video(tmp_path / "a.h264", 10, 30, 96, 72),
        generate.make_video(tmp_path / "b.h264", 10, 30, 160, 128),
    ]
    path = tmp_path / "joined.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    instants = [Fraction(2 * n + 1, 60) for n in range(20)]
    assert decoded_numbers(path, [span_at(0, *instants)]) == {0: [*range(10), *range(10)]}


def test_no_spans_need_no_file(tmp_path: pathlib.Path) -> None:
    media = probe(generate.make_video(tmp_path / "v.mp4", 5))
    assert list(decode_clips(tmp_path / "gone.mp4", media, [], WHOLE)) == []


# Damaged files: ten clips of one second, 10 frames each, one key frame a second.


@pytest.fixture
def ten_seconds(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    def make(name: str = "v.mp4", **options: Any) -> pathlib.Path:
        defaults: dict[str, Any] = {"b_frames": 2, "gop": 30, "options": {"sc_threshold": "0"}}
        if name.endswith(".mp4"):
            defaults["container_options"] = {"movflags": "faststart"}
        return generate.make_video(tmp_path / name, 300, 30, **(defaults | options))

    return make


def whole_clips(path: pathlib.Path, media: MediaInfo | None = None) -> tuple[list[int], str]:
    """Decodes ten clips; returns the whole ones, whose every frame must be right, and the error's message."""
    media = media or probe(path)
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(10, Fraction(10)))
    assert len(spans) == 10
    whole = []
    try:
        for span, frames in decode_clips(path, media, spans, WHOLE):
            first = int(span.start_seconds * 30)
            assert numbers(frames) == list(range(first, first + 30, 3))
            whole.append(span.clip_index)
    except errors.CorruptVideoError as error:
        return whole, str(error)
    return whole, ""


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        ([90], [3]),  # the key frame of clip 3
        ([95, 96], [3]),  # neither of them is wanted, but others refer to them
        ([0, 1, 2], [0]),
        ([100, 200], [3, 6]),
        (range(150, 300), [5, 6, 7, 8, 9]),
        (range(300), list(range(10))),
    ],
)
@pytest.mark.parametrize("fill", [b"\xff", b"\x00"])
def test_rejected_packets_lose_only_their_clips(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path], broken: list[int], lost: list[int], fill: bytes
) -> None:
    path = generate.with_broken_packets(ten_seconds(), tmp_path / "broken.mp4", broken, fill)
    whole, message = whole_clips(path)
    assert whole == [clip for clip in range(10) if clip not in lost]
    assert re.search(rf"broken\.mp4: {len(lost)} of 10 clips lost: decoded up to \d+\.\d+ s of 10.000 s", message)
    assert "Invalid data found when processing input" in message


def test_frames_paired_by_order_are_lost_from_the_damage_on(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path]
) -> None:
    source = ten_seconds("v.avi", codec="mpeg4", options={})
    whole, message = whole_clips(generate.with_broken_packets(source, tmp_path / "b.avi", [100], b"\x00"))
    assert whole == [0, 1, 2]
    assert "7 of 10 clips lost" in message
    source = ten_seconds("p.avi", codec="mpeg4", options={}, b_frames=0)
    whole, _ = whole_clips(generate.with_broken_packets(source, tmp_path / "c.avi", [100], b"\x00"))
    assert whole == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_truncated_file_gives_what_is_there_and_says_what_is_not(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path]
) -> None:
    path = generate.truncated(ten_seconds(), tmp_path / "t.mp4", 0.6)
    whole, message = whole_clips(path)
    assert whole in ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5])
    assert "the file ends before the last frame that its index lists" in message


def test_file_that_changed_since_it_was_planned(
    tmp_path: pathlib.Path, ten_seconds: Callable[..., pathlib.Path]
) -> None:
    media = probe(ten_seconds())
    short = generate.make_video(tmp_path / "short.mp4", 95, 30)
    whole, message = whole_clips(short, media)
    assert whole == [0, 1, 2]
    assert "7 of 10 clips lost: decoded up to 3.133 s" in message
    audio = generate.make_audio(tmp_path / "a.m4a")
    with pytest.raises(errors.CorruptVideoError, match="stream 0 is not a video stream; the file changed"):
        next(decode_clips(audio, media, [span_at(0, Fraction(0))], WHOLE))


# FFmpeg's own program as a witness.


@pytest.fixture(scope="module")
def ffmpeg() -> str:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ships the ffmpeg program; in the dev extra")
    program: str = imageio_ffmpeg.get_ffmpeg_exe()
    return program


def ffmpeg_frames(
    ffmpeg: str, path: pathlib.Path, stream_index: int, width: int, height: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields every frame of a stream as FFmpeg's program decodes, turns and scales it: [height, width, 3]."""
    # Untagged chroma samples sit at the left, as in MPEG-4 and H.264; the program would take the centre.
    chroma = "" if path.suffix == ".mkv" else ":in_h_chr_pos=0:in_v_chr_pos=128"
    scale = f"scale={width}:{height}:flags=bilinear+accurate_rnd+full_chroma_int{chroma}"
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", f"0:{stream_index}", "-fps_mode", "passthrough"]
    command += ["-vf", f"{scale},format=rgb24", "-f", "rawvideo", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while data := process.stdout.read(width * height * 3):
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def assert_same_as_ffmpeg(ffmpeg: str, path: pathlib.Path, times: list[Fraction] | None = None) -> None:
    """Compares clips at 5 frames a second with FFmpeg's frames for the same instants.

    The program is of another version than PyAV's libraries, whose scaler rounds differently: by 0.2 on average.
    """
    media = probe(path)
    geometry = Geometry(128, 112)
    width, height = geometry.scaled_size(media.width, media.height, media.pixel_aspect_ratio)
    if media.rotation_degrees in (90, 270):
        width, height = height, width
    top, left = (height - 112) // 2, (width - 112) // 2
    theirs = list(ffmpeg_frames(ffmpeg, path, media.stream_index, width, height))
    assert len(theirs) == media.num_frames
    if times is None:
        times = [n / Fraction(media.source_fps or 1).limit_denominator(1001) for n in range(media.num_frames)]
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(50, Fraction(5)))
    for span, frames in decode_clips(path, media, spans, geometry):
        for shown, frame in zip(shown_at(list(span.sample_seconds), times), frames, strict=True):
            expected = theirs[shown][top : top + 112, left : left + 112]
            assert np.array_equal(frame, expected), f"frame {shown} of {path.name}"


@pytest.mark.parametrize(
    "name",
    [
        "kinetics_style_256p.mp4",
        "mpeg4_packed_bframes.avi",
        "carving_ice.mp4",
        "nasa_13013.mp4",
        "av1.mkv",
        "hevc.mp4",
        "small_192x144.mp4",
    ],
)
def test_real_files_as_ffmpeg_decodes_them(shared_dir: pathlib.Path, ffmpeg: str, name: str) -> None:
    assert_same_as_ffmpeg(ffmpeg, shared_dir / "media" / name)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_as_ffmpeg_turns(tmp_path: pathlib.Path, ffmpeg: str, rotation: int) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 20, 10, 160, 128, rotation=rotation)
    assert_same_as_ffmpeg(ffmpeg, path)


@pytest.mark.slow
def test_long_file_as_ffmpeg_decodes_it(shared_dir: pathlib.Path, ffmpeg: str) -> None:
    assert_same_as_ffmpeg(ffmpeg, shared_dir / "media" / "long_1080p.mp4")
