"""The fast path gives the frames of a full decode, byte for byte, for every kind of timeline, picture and container."""

from __future__ import annotations

import pathlib
from fractions import Fraction
from typing import Any

import av
import data_generation as generate
import pytest
from av.stream import Disposition
from fast_and_full import assert_same_as_full
from slow_cases import fast_first

from reelbeam.transforms.media.decoding.probe import probe

GAPS = [7, 900, 33, 34, 1, 450, 33, 2000, 40, 40] * 6
VARIABLE = [sum(GAPS[:n]) for n in range(len(GAPS))]
ALPHA = {"pix_fmt": "yuva420p", "codec": "libvpx-vp9", "options": {"cpu-used": "8"}}
MILLISECONDS = {"pts": VARIABLE, "time_base": Fraction(1, 1000)}
FIELDS = {"flags": "+ildct+ilme"}

MADE: dict[str, dict[str, Any]] = {
    "variable.mp4": MILLISECONDS,
    "variable_late.mkv": {**MILLISECONDS, "start_pts": 5000},
    "late.mp4": {"start_pts": 450},
    "late.ts": {"start_pts": 450},
    "edit_list.mp4": {"start_pts": -20},
    "edit_list_intra.mov": {"start_pts": -20, "codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "gap.mp4": {"pts": [*range(40), *range(940, 1000)]},
    "gap.mkv": {"pts": [*range(40), *range(940, 1000)]},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "interlaced.mp4": {"options": {"x264-params": "tff=1"}},
    "interlaced.ts": {"codec": "mpeg2video", "options": FIELDS},
    "rotated_90.mp4": {"rotation": 90},
    "rotated_180.mp4": {"rotation": 180},
    "rotated_270_mirrored.mp4": {"rotation": 270, "mirror": True},
    "anamorphic.mp4": {"pixel_aspect_ratio": Fraction(4, 3)},
    "bt709_full.mp4": {"colorspace": 1, "color_range": 2},
    "bt2020_10_bit.mp4": {"colorspace": 9, "pix_fmt": "yuv420p10le"},
    "alpha.webm": ALPHA,
}


@pytest.mark.parametrize("name", MADE)
def test_times_and_pictures(tmp_path: pathlib.Path, name: str) -> None:
    made = {"b_frames": 2, "draw": generate.draw_moving, **MADE[name]}
    if name == "alpha.webm":
        made["draw"] = generate.draw_number
    num_frames = len(made.get("pts", range(100)))
    path = generate.make_video(tmp_path / name, num_frames, 30, **made)
    media = probe(path)
    assert media.key_frame_pts, "the fast way is not taken"
    # A gap in Matroska may also be missing data; an MP4's index distinguishes the two.
    assert_same_as_full(path, media, None if name == "gap.mkv" else 0)


@pytest.mark.parametrize("fps", fast_first(["30000/1001", "24000/1001", "24", "25", "50", "60", "120", "240"], 2))
def test_constant_frame_rates(tmp_path: pathlib.Path, fps: str) -> None:
    path = generate.make_video(
        tmp_path / "v.mp4", int(3 * Fraction(fps)), Fraction(fps), draw=generate.draw_moving, b_frames=3, gop=50
    )
    assert_same_as_full(path, probe(path))


@pytest.mark.parametrize("num_frames", [1, 2, 3, 10])
@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_short_files(tmp_path: pathlib.Path, name: str, num_frames: int) -> None:
    path = generate.make_video(tmp_path / name, num_frames, 30, draw=generate.draw_moving, b_frames=2)
    assert_same_as_full(path, probe(path), None if num_frames < 3 else 0)


def test_two_pictures_at_one_time(tmp_path: pathlib.Path) -> None:
    pts = [n - n % 5 // 4 for n in range(100)]
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuvj420p"
        for index, time in enumerate(pts):
            picture = av.VideoFrame.from_ndarray(generate.draw_moving(index, 96, 72), "rgb24")
            for packet in stream.encode(picture.reformat(format="yuvj420p")):
                packet.pts = packet.dts = time
                packet.time_base = Fraction(1, 30)
                container.mux(packet)
    media = probe(path)
    assert media.key_frame_pts
    assert_same_as_full(path, media)


def test_picture_size_that_changes(tmp_path: pathlib.Path) -> None:
    parts = [
        generate.make_video(tmp_path / "a.ts", 60, 30, 96, 72, draw=generate.draw_moving, b_frames=2),
        generate.make_video(tmp_path / "b.ts", 60, 30, 160, 128, draw=generate.draw_moving, b_frames=2, start_pts=60),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert_same_as_full(path, probe(path), None)


def test_clock_that_jumps_back(tmp_path: pathlib.Path) -> None:
    part = generate.make_video(tmp_path / "a.ts", 90, 30, draw=generate.draw_moving, b_frames=2)
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * 2)
    media = probe(path)
    assert media.key_frame_pts and media.num_discontinuities == 1
    assert_same_as_full(path, media)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_other_streams_and_cover_art(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    sources = [
        generate.make_video(tmp_path / "a.mp4", 100, 30, 64, 48, draw=generate.draw_moving, b_frames=2),
        generate.make_video(tmp_path / "b.mp4", 100, 30, 128, 96, draw=generate.draw_moving, b_frames=2, gop=20),
    ]
    with av.open(str(path), "w") as container:
        opened = [av.open(str(source)) for source in sources]
        streams = [container.add_stream_from_template(source.streams.video[0]) for source in opened]
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 300, 200, "yuvj420p", Disposition.attached_pic
        if name == "v.mp4":
            picture = av.VideoFrame.from_ndarray(generate.draw_number(1, 300, 200), "rgb24")
            container.mux(cover.encode(picture.reformat(format="yuvj420p")))
            container.mux(cover.encode(None))
        for source, stream in zip(opened, streams, strict=True):
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    container.mux(packet)
            source.close()
    media = probe(path)
    assert media.codec == "h264"
    assert_same_as_full(path, media)
