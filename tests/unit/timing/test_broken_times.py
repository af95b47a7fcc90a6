"""Streams whose packets have missing, jumping or equal times: every recorded picture is shown once, in its place."""

from __future__ import annotations

import functools
import pathlib
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import data_generation as generate
import numpy as np
import pytest
import transport_streams
from fast_and_full import GEOMETRY, assert_same_as_full, check, x265
from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.records import MediaInfo

_FPS = 25
_NUM_FRAMES = 60
_FRAME_TICKS = 90_000 // _FPS
_CODED: dict[str, dict[str, Any]] = {
    "h264": {"b_frames": 3},
    "hevc": x265("keyint=12:bframes=3"),
    "mpeg2": {"codec": "mpeg2video", "b_frames": 2},
    "h264 without b": {"b_frames": 0},
}


def _video(path: pathlib.Path, kind: str, first: int = 0, num_frames: int = _NUM_FRAMES) -> pathlib.Path:
    def draw(index: int, width: int, height: int) -> generate.Picture:
        # FFmpeg confuses the times of MPEG-2 frames that are so small that several lie in one packet of a .vob.
        draw_frame = generate.draw_moving if (kind, path.suffix) == ("mpeg2", ".vob") else generate.draw_number
        return draw_frame(first + index, width, height)

    return generate.make_video(path, num_frames, _FPS, draw=draw, **_CODED[kind])


def _shown(path: pathlib.Path, media: MediaInfo) -> list[int]:
    """Returns the numbers of the pictures at the middle of each frame's time, if all are evenly spaced."""
    middles = [Fraction(2 * n + 1, 2 * _FPS) for n in range(media.num_frames)]
    clips = decode_clips(path, media, [span_at(n, middle) for n, middle in enumerate(middles)], GEOMETRY)
    found = {span.clip_index: generate.read_frame_number(frames[0]) for span, frames in clips}
    return [found[n] for n in range(media.num_frames)]


def _assert_shown(path: pathlib.Path, expected: list[int], num_discontinuities: int) -> MediaInfo:
    """Fails unless exactly these pictures are shown, each for one frame of the video."""
    media = probe(path)
    assert (media.num_frames, media.duration_seconds) == (len(expected), Fraction(len(expected), _FPS))
    assert media.num_discontinuities == num_discontinuities
    assert _shown(path, media) == expected
    return media


@pytest.mark.parametrize("kind", ["h264", "hevc"])
@pytest.mark.parametrize("name", ["v.mpg", "v.vob"])
def test_several_frames_in_a_packet_of_a_program_stream(tmp_path: pathlib.Path, name: str, kind: str) -> None:
    path = _video(tmp_path / name, kind)
    with av.open(str(path)) as container:
        assert any(packet.size and packet.pts is None for packet in container.demux(video=0))
    _assert_shown(path, list(range(_NUM_FRAMES)), 0)


_KEPT = [random.Random(3).random() < 0.3 for _ in range(_NUM_FRAMES)]
_HAS_TIME: dict[str, Callable[[int], bool]] = {
    "three of five": lambda n: n % 5 in (0, 3),
    "all but a few": lambda n: n % 20 == 0,
    "the first ones": lambda n: n > 7,
    "the last ones": lambda n: n < _NUM_FRAMES - 9,
    "some": lambda n: _KEPT[n],
    "all": lambda n: False,
}


@pytest.mark.parametrize("kind", list(_CODED))
@pytest.mark.parametrize("lacking", list(_HAS_TIME))
def test_packets_without_a_time(tmp_path: pathlib.Path, lacking: str, kind: str) -> None:
    source, path = _video(tmp_path / "source.ts", kind), tmp_path / "v.ts"
    transport_streams.with_times(source, path, lambda n, pts, dts: (pts, dts) if _HAS_TIME[lacking](n) else None)
    _assert_shown(path, list(range(_NUM_FRAMES)), 0)


def test_a_gap_among_packets_without_a_time_is_not_slow_motion(tmp_path: pathlib.Path) -> None:
    """Frames keep their distance up to the hole; the last one before it is shown through it."""
    source, path = _video(tmp_path / "source.ts", "h264 without b"), tmp_path / "v.ts"
    hole = 25 * _FRAME_TICKS

    def change(n: int, pts: int, dts: int | None) -> transport_streams.Times | None:
        return (pts + hole * (n >= 30), dts and dts + hole * (n >= 30)) if n in (0, 1, 2, 30) else None

    transport_streams.with_times(source, path, change)
    media = probe(path)
    assert (media.num_frames, media.duration_seconds) == (_NUM_FRAMES, Fraction(_NUM_FRAMES + 25, _FPS))
    expected = [*range(30), *[29] * 25, *range(30, _NUM_FRAMES)]
    instants = [span_at(n, Fraction(2 * n + 1, 2 * _FPS)) for n in range(len(expected))]
    found = {s.clip_index: generate.read_frame_number(f[0]) for s, f in decode_clips(path, media, instants, GEOMETRY)}
    assert [found[n] for n in range(len(expected))] == expected


@pytest.mark.parametrize("kind", list(_CODED))
@pytest.mark.parametrize("suffix", [".ts", ".vob", ".flv"])
def test_joined_recordings(tmp_path: pathlib.Path, suffix: str, kind: str) -> None:
    """Each has a clock of its own, which starts at the same time."""
    if suffix == ".flv" and kind in ("mpeg2", "hevc"):
        pytest.skip("FLV has neither MPEG-2 nor, in this muxer, HEVC")
    parts = [_video(tmp_path / f"{n}{suffix}", kind, 100 * n, 40).read_bytes() for n in range(3)]
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(b"".join(part[13:] if suffix == ".flv" and n else part for n, part in enumerate(parts)))
    expected = [100 * n + k for n in range(3) for k in range(40)]
    media = _assert_shown(path, expected, 2)
    if suffix == ".ts":
        check(path, is_proven=True, full_decodes=0)
    else:
        assert_same_as_full(path, media, full_decodes=None)


@pytest.mark.parametrize("kind", list(_CODED))
@pytest.mark.parametrize("seconds", [700, -0.9, -1.4, 90_000], ids=["hole", "overlap", "back", "wrap"])
def test_a_clock_that_restarts(tmp_path: pathlib.Path, seconds: float, kind: str) -> None:
    """At a key frame, as a recorder that was restarted or changed its source does it."""
    first, second = _video(tmp_path / "a.ts", kind, 0, 36), _video(tmp_path / "b.ts", kind, 100, 36)
    ahead = round((36 / _FPS + seconds) * 90_000)
    transport_streams.with_times(second, second, lambda n, pts, dts: (pts + ahead, dts and dts + ahead))
    path = tmp_path / "v.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    _assert_shown(path, [*range(36), *range(100, 136)], 1)
    check(path, is_proven=True, full_decodes=0)


@pytest.mark.parametrize("kind", list(_CODED))
def test_a_clock_that_jumps_within_a_group_of_pictures(tmp_path: pathlib.Path, kind: str) -> None:
    source, path = _video(tmp_path / "source.ts", kind), tmp_path / "v.ts"
    jump = 5000 * 90_000
    transport_streams.with_times(
        source, path, lambda n, pts, dts: (pts + jump * (n > 30), dts and dts + jump * (n > 30))
    )
    _assert_shown(path, list(range(_NUM_FRAMES)), 1)


@pytest.mark.parametrize("kind", list(_CODED))
@pytest.mark.parametrize("wild", [{30: 1548.0}, {0: 1548.0}, {59: 60.0}, {31: -1.2}, {20: 5.0, 40: 5.0, 41: -1.4}])
def test_wild_times(tmp_path: pathlib.Path, wild: dict[int, float], kind: str) -> None:
    """A few packets are damaged, and nothing around them."""
    source, path = _video(tmp_path / "source.ts", kind), tmp_path / "v.ts"
    transport_streams.with_times(source, path, lambda n, pts, dts: (max(pts + round(90_000 * wild.get(n, 0)), 0), dts))
    media = probe(path)
    assert (media.num_frames, media.duration_seconds) == (_NUM_FRAMES, Fraction(_NUM_FRAMES, _FPS))
    assert media.num_discontinuities <= len(wild)  # FFmpeg itself drops a time before the decoding time
    assert _shown(path, media) == list(range(_NUM_FRAMES))
    assert_same_as_full(path, media, full_decodes=None)


def _late(late: int, ticks: int, number: int, pts: int, dts: int | None) -> tuple[int, int | None]:
    """Delays the frame `late` by `ticks`."""
    return pts + ticks * (number == late), dts


@pytest.mark.parametrize("seconds", [0.5, 5])
@pytest.mark.parametrize("kind", ["h264", "hevc"])
def test_a_wild_time_far_from_any_key_frame(tmp_path: pathlib.Path, kind: str, seconds: float) -> None:
    """Among frames that are reordered, where no packet is early."""
    coded = {"h264": {"b_frames": 3, "gop": 300}, "hevc": x265("keyint=300:bframes=3")}[kind]
    source = generate.make_video(tmp_path / "source.ts", _NUM_FRAMES, _FPS, **coded)
    for number in (1, 29, 30):
        path = tmp_path / f"{number}.ts"
        transport_streams.with_times(source, path, functools.partial(_late, number, round(90_000 * seconds)))
        assert _shown(path, probe(path)) == list(range(_NUM_FRAMES))


def _from_key_frame(source: pathlib.Path, path: pathlib.Path, number: int) -> pathlib.Path:
    """Writes a copy of a video that begins at its key frame `number`, from 0."""
    with av.open(str(source)) as opened, av.open(str(path), "w") as written:
        stream = written.add_stream_from_template(opened.streams.video[0])
        count = -1
        for packet in opened.demux(video=0):
            count += packet.is_keyframe
            if count >= number and packet.size:
                packet.stream = stream
                written.mux(packet)
    return path


@pytest.mark.parametrize(
    "coded",
    [
        x265("keyint=12:min-keyint=12:bframes=0:scenecut=0:open-gop=1"),
        x265("keyint=12:min-keyint=12:bframes=3:scenecut=0:open-gop=1"),
        {"b_frames": 3, "options": {"x264-params": "open-gop=1:scenecut=0"}},
        {"codec": "mpeg2video", "b_frames": 2},
    ],
    ids=["hevc without b", "hevc", "h264", "mpeg2"],
)
def test_a_recording_that_is_joined_amid_its_pictures(tmp_path: pathlib.Path, coded: dict[str, Any]) -> None:
    """At a key frame that continues a sequence, whose leading frames refer to pictures that are not there."""

    def draw(index: int, width: int, height: int) -> generate.Picture:
        return generate.draw_number(100 + index, width, height)

    first = generate.make_video(tmp_path / "a.ts", 40, _FPS, **coded)
    second = generate.make_video(tmp_path / "b.ts", 40, _FPS, draw=draw, **coded)
    path = tmp_path / "v.ts"
    path.write_bytes(first.read_bytes() + _from_key_frame(second, tmp_path / "cut.ts", 1).read_bytes())
    media = probe(path)
    assert media.num_discontinuities == 1
    shown = _shown(path, media)
    num_leading = shown.count(39) - 1
    assert num_leading <= 4
    assert shown == [*range(40), *[39] * num_leading, *range(shown[40 + num_leading], 140)]
    assert 108 < shown[40 + num_leading] <= 112
    check(path, is_proven=False)


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".avi"])
@pytest.mark.parametrize("kind", ["h264", "hevc", "mpeg4"])
def test_a_slow_video_is_not_a_series_of_jumps(tmp_path: pathlib.Path, kind: str, suffix: str) -> None:
    """A frame every 12 seconds, a time-lapse recording: also where the clock may jump."""
    if (kind, suffix) == ("hevc", ".avi"):
        pytest.skip("AVI holds no HEVC")
    coded = {**_CODED, "mpeg4": {"codec": "mpeg4", "b_frames": 2}}[kind]
    path = generate.make_video(tmp_path / f"v{suffix}", 30, Fraction(1, 12), **coded)
    media = probe(path)
    assert (media.num_frames, media.num_discontinuities) == (30, 0)
    assert abs(media.duration_seconds - 360) <= 12
    middles = [span_at(n, Fraction(12 * n + 6)) for n in range(29)]
    found = {s.clip_index: generate.read_frame_number(f[0]) for s, f in decode_clips(path, media, middles, GEOMETRY)}
    assert [found[n] for n in range(29)] == list(range(29))


def test_joined_ogg_with_headers_of_vp8(tmp_path: pathlib.Path) -> None:
    def draw(index: int, width: int, height: int) -> generate.Picture:
        return generate.draw_number(index, width, height)

    parts = [generate.make_video(tmp_path / f"{n}.ogg", 30, _FPS, codec="libvpx", draw=draw) for n in range(2)]
    path = tmp_path / "v.ogg"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    _assert_shown(path, [*range(30), *range(30)], 1)


def _ivf(path: pathlib.Path, codec: str, change: Callable[[int, int], int]) -> pathlib.Path:
    """Writes an IVF file whose frame `n` of time `t` has the time `change(n, t)`."""
    data = generate.make_video(path, _NUM_FRAMES, _FPS, codec=codec).read_bytes()
    pieces, at, count = [data[:32]], 32, 0
    while at < len(data):
        size, time = struct.unpack_from("<IQ", data, at)
        pieces += [struct.pack("<IQ", size, change(count, time)), data[at + 12 : at + 12 + size]]
        at, count = at + 12 + size, count + 1
    path.write_bytes(b"".join(pieces))
    return path


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize(
    "change",
    [lambda n, t: 0, lambda n, t: 77, lambda n, t: t // 25 * 25, lambda n, t: t % 20],
    ids=["zero", "one time", "whole seconds", "restarts"],
)
def test_times_of_an_ivf_file(tmp_path: pathlib.Path, change: Callable[[int, int], int], codec: str) -> None:
    path = _ivf(tmp_path / "v.ivf", codec, change)
    media = probe(path)
    assert (media.num_frames, media.duration_seconds) == (_NUM_FRAMES, Fraction(_NUM_FRAMES, _FPS))
    assert _shown(path, media) == list(range(_NUM_FRAMES))
    assert_same_as_full(path, media)


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "libx264"])
@pytest.mark.parametrize("rate", [0xFFFFFFFF, 1_000_000])
def test_an_avi_whose_rate_is_absurd(tmp_path: pathlib.Path, rate: int, codec: str) -> None:
    """All frames lie within a millisecond."""
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = generate.make_video(tmp_path / "v.avi", _NUM_FRAMES, _FPS, codec=codec, pix_fmt=pix_fmt, b_frames=2)
    data = bytearray(path.read_bytes())
    struct.pack_into("<II", data, data.index(b"strh") + 28, 1, rate)
    path.write_bytes(data)
    _assert_shown(path, list(range(_NUM_FRAMES)), 0)


@pytest.mark.parametrize("seconds", [11, 500])
def test_a_picture_that_is_shown_for_long_is_not_a_jump(tmp_path: pathlib.Path, seconds: int) -> None:
    """In containers whose clock cannot jump: screen recordings and slide shows."""
    pts = [0, 1, 2, 2 + seconds, 3 + seconds]
    path = generate.make_video(tmp_path / "v.mkv", 5, pts=pts, time_base=Fraction(1))
    media = probe(path)
    assert (media.num_discontinuities, media.clock_shifts) == (0, ())
    assert media.duration_seconds > seconds + 3


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_of_times(tmp_path: pathlib.Path, seed: int) -> None:
    """With any times, the full decode loses no picture and shows none twice, and the fast path agrees."""
    rng = random.Random(seed)
    source, path = _video(tmp_path / "source.ts", rng.choice(list(_CODED))), tmp_path / "v.ts"
    wild = {rng.randrange(_NUM_FRAMES): rng.randrange(1 << 33) for _ in range(rng.randrange(4))}
    jump_at, jump, lost = rng.randrange(_NUM_FRAMES), rng.randrange(1 << 32), rng.sample(range(_NUM_FRAMES), 5)

    def change(n: int, pts: int, dts: int | None) -> transport_streams.Times | None:
        jumped = jump if n >= jump_at else 0
        return None if n in lost else (wild.get(n, pts + jumped), dts and dts + jumped)

    transport_streams.with_times(source, path, change)
    media = probe(path)
    assert media.num_frames == _NUM_FRAMES
    shown = _shown(path, media)
    assert np.mean(np.array(shown) == np.arange(_NUM_FRAMES)) > 0.9 and set(shown) == set(range(_NUM_FRAMES))
    assert_same_as_full(path, media, full_decodes=None)


_MAX_TIME = (1 << 64) - 1


@pytest.mark.parametrize("seed", range(6))
def test_hostile_times_raise_errors_of_ours_only(tmp_path: pathlib.Path, seed: int) -> None:
    """Times at the ends of 64 bits, and time bases that make the most of them."""
    rng = random.Random(seed)
    path = _ivf(
        tmp_path / "v.ivf", "libvpx", lambda n, t: rng.choice([0, t, 1 << 62, 1 << 63, rng.randrange(_MAX_TIME)])
    )
    data = bytearray(path.read_bytes())
    for time_base in ((1, 25), (1, 1 << 31), (1 << 31, 1), (0, 0)):
        struct.pack_into("<II", data, 16, time_base[1], time_base[0])
        path.write_bytes(data)
        try:
            media = probe(path)
            instants = [span_at(n, media.duration_seconds * Fraction(2 * n + 1, 20)) for n in range(10)]
            assert len(list(decode_clips(path, media, instants, GEOMETRY))) == 10
        except errors.MediaError as error:
            assert str(path) in str(error)
