"""Decoding only what is needed gives the frames of a full decode, byte for byte, codec by codec."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import data_generation as generate
import pytest
from fast_and_full import assert_same_as_full, decoded, x265
from record_factory import span_at
from slow_cases import fast_first, one_of_each

from reelbeam.transforms.media.decoding.decoder import DecodeStats
from reelbeam.transforms.media.decoding.probe import probe

CLOSED = {"flags": "+cgop", "sc_threshold": "1000000000"}

# name of the file -> how it is made. All of these are decoded the fast way.
PROVEN: dict[str, dict[str, Any]] = {
    "h264.mp4": {"b_frames": 2},
    "h264_deep_pyramid.mp4": {"b_frames": 7, "options": {"b-pyramid": "normal", "refs": "5"}},
    "h264_strict_pyramid.mkv": {"b_frames": 3, "options": {"b-pyramid": "strict"}},
    "h264_no_b.mp4": {"b_frames": 0},
    "h264_slices.mp4": {"b_frames": 2, "options": {"x264-params": "slices=4"}},
    "h264_weighted.mp4": {"b_frames": 3, "options": {"x264-params": "weightp=2:weightb=1:direct=temporal"}},
    "h264_one_gop.mp4": {"b_frames": 3, "gop": 1000},
    "h264.ts": {"b_frames": 2},
    "h264.flv": {"b_frames": 2},
    "h264_10_bit.mp4": {"b_frames": 2, "pix_fmt": "yuv420p10le"},
    "h264_444.mkv": {"b_frames": 2, "pix_fmt": "yuv444p"},
    "h264_odd_size.mp4": {"b_frames": 2, "width": 101, "height": 77, "pix_fmt": "yuv444p"},
    "hevc.mp4": x265("bframes=3:b-pyramid=1:keyint=12"),
    "hevc_open_gop.mkv": x265("bframes=4:open-gop=1:keyint=12"),
    "hevc_closed_gop.mp4": x265("bframes=4:open-gop=0:keyint=12"),
    "hevc_temporal_layers.mp4": x265("bframes=3:b-pyramid=1:temporal-layers=3:keyint=12"),
    "hevc_temporal_layers.mkv": x265("bframes=3:b-pyramid=1:temporal-layers=2:keyint=24"),
    "hevc_10_bit.mp4": {**x265("bframes=3"), "pix_fmt": "yuv420p10le"},
    "hevc.ts": x265("bframes=3:repeat-headers=1:keyint=12"),
    "mpeg2.ts": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg2.mkv": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg2_closed_gop.mp4": {"codec": "mpeg2video", "b_frames": 2, "options": CLOSED},
    "mpeg1.mkv": {"codec": "mpeg1video", "b_frames": 2, "fps": 25},
    "mpeg4.mp4": {"codec": "mpeg4", "b_frames": 2},
    "mpeg4.mkv": {"codec": "mpeg4", "b_frames": 2, "options": {"flags": "+qpel+mv4"}},
    "mpeg4_no_b.mp4": {"codec": "mpeg4"},
    "vp8_hidden.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "10"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "deadline": "realtime"}},
    "vp9_hidden.webm": {"codec": "libvpx-vp9", "options": {"auto-alt-ref": "1", "lag-in-frames": "12"}},
    "vp9.mp4": {"codec": "libvpx-vp9", "options": {"cpu-used": "5", "lag-in-frames": "12"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "av1.mkv": {"codec": "libsvtav1", "options": {"preset": "10"}},
    "av1_10_bit.webm": {"codec": "libsvtav1", "pix_fmt": "yuv420p10le", "options": {"preset": "12"}},
    "motion.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "prores_alpha.mov": {"codec": "prores_ks", "pix_fmt": "yuva444p10le"},
    "huffyuv.nut": {"codec": "ffvhuff", "pix_fmt": "yuv420p"},
    "png.mov": {"codec": "png", "pix_fmt": "rgba"},
    "raw.nut": {"codec": "rawvideo", "pix_fmt": "yuv420p"},
}  # fmt: skip


@pytest.mark.parametrize("name", one_of_each(PROVEN, lambda name: re.split("[._]", name)[0]))
def test_proven_codecs(tmp_path: pathlib.Path, name: str) -> None:
    made = {"fps": 30, "draw": generate.draw_moving, **PROVEN[name]}
    path = generate.make_video(tmp_path / name, 100, **made)
    media = probe(path)
    assert media.key_frame_pts, "the fast way is not taken"
    assert_same_as_full(path, media)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
@pytest.mark.parametrize(
    "params", fast_first(["ref=3", "ref=1", "b-pyramid=normal:ref=4", "keyint=30:ref=5", "weightp=2:ref=16"])
)
def test_h264_recovery_points(tmp_path: pathlib.Path, name: str, params: str) -> None:
    """What follows one may release frames from before it, which have to be there."""
    options = {"x264-params": f"open-gop=1:{params}"}
    path = generate.make_video(tmp_path / name, 200, 30, draw=generate.draw_moving, b_frames=3, options=options)
    media = probe(path)
    assert len(media.key_frame_pts) > 3
    assert_same_as_full(path, media, 0)
    full = dataclasses.replace(media, key_frame_pts=())
    for instant in (media.duration_seconds * n / 23 for n in range(23)):
        stats = DecodeStats()
        alone = [span_at(0, instant)]
        assert decoded(path, media, alone, stats) == decoded(path, full, alone)
        assert stats.full_decodes == 0, (instant, stats.reason)


def test_hevc_frames_of_a_lower_layer_are_kept_for_higher_ones(tmp_path: pathlib.Path) -> None:
    """FFmpeg takes "not referred to in its own layer" for "not referred to"."""
    made = x265("bframes=3:b-pyramid=1:temporal-layers=3:keyint=24")
    plain = generate.make_video(tmp_path / "plain.mp4", 100, 30, draw=generate.draw_moving, **made)
    renamed = []

    def edit(index: int, data: memoryview) -> None:
        at = 0
        while at + 6 < len(data):
            kind, layer = data[at + 4] >> 1 & 63, (data[at + 5] & 7) - 1
            if kind in (1, 3, 5) and layer == 1:
                data[at + 4] = kind - 1 << 1
                renamed.append(index)
            at += 4 + int.from_bytes(data[at : at + 4], "big")

    path = generate.with_edited_packets(plain, tmp_path / "v.mp4", edit)
    assert renamed
    assert_same_as_full(path, probe(path))


def test_vp8_frames_that_are_not_shown(tmp_path: pathlib.Path) -> None:
    plain = generate.make_video(tmp_path / "plain.webm", 100, 30, codec="libvpx", draw=generate.draw_moving)

    def edit(index: int, data: memoryview) -> None:
        if index % 12 in (5, 7, 8):
            data[0] &= 0xEF

    path = generate.with_edited_packets(plain, tmp_path / "v.webm", edit)
    assert_same_as_full(path, probe(path))
