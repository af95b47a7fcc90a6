"""The reorder depth and where it is read: the frames are those of a full decode, and none is lost."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import data_generation as generate
import h264_generation as h264
import pytest
from fast_and_full import check, decoded, x265
from h264_generation import Bits, Picture
from record_factory import span_at
from slow_cases import fast_first

from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.codecs.h264_headers import MAX_REORDER_DEPTH, read_count, read_sps
from reelbeam.transforms.media.decoding.probe import probe

_GOP = 20
# Frames from one anchor to the next: the deeper the pyramid between them, the further frames are reordered.
_LATE_PYRAMIDS = [1, 1, 1, 1, 8, 1, 1, 1, 1, 8]


def _between(first: int, last: int) -> Iterator[tuple[int, bool]]:
    """Yields the frames between two of a pyramid in decoding order, and whether others refer to them."""
    if last - first > 1:
        middle = (first + last) // 2
        yield middle, last - first > 2
        yield from _between(first, middle)
        yield from _between(middle, last)


def _gop(distance: int) -> Iterator[tuple[int, bool]]:
    yield 0, True
    anchors = range(0, _GOP, distance)
    for first, last in zip(anchors, anchors[1:], strict=False):
        yield last, True
        yield from _between(first, last)
    yield from ((frame, True) for frame in range(anchors[-1] + 1, _GOP))


def _pyramids(path: pathlib.Path, distances: Sequence[int], headers: Sequence[bytes]) -> pathlib.Path:
    """Writes GOPs, each behind its own headers; the n-th frame has level 16 + n."""
    pictures: list[Picture] = []
    times: list[int] = []
    for n, distance in enumerate(distances):
        for place, is_reference in _gop(distance):
            times.append(n * _GOP + place)
            pictures.append(Picture(2 * place, 16 + times[-1], place == 0, is_reference))
    units = h264.coded(pictures)
    keys = range(0, len(units), _GOP)
    for index, header in zip(keys, headers, strict=True):
        units[index] = header + units[index]
    return h264.muxed(path, units, times, keys)


def _levels(path: pathlib.Path) -> list[int]:
    """Returns the level of each frame in a full decode."""
    media = probe(path)
    spans = [
        span_at(n, media.duration_seconds * Fraction(2 * n + 1, 2 * media.num_frames)) for n in range(media.num_frames)
    ]
    found, _ = decoded(path, dataclasses.replace(media, key_frame_pts=()), spans)
    return [found[n][0] for n in range(media.num_frames)]


@pytest.mark.parametrize("name", ["v.mkv", "v.ts", "v.mp4"])
@pytest.mark.parametrize("depth", [None, 3], ids=["undeclared", "declared"])
def test_a_depth_that_is_only_found_while_decoding(tmp_path: pathlib.Path, name: str, depth: int | None) -> None:
    headers = [h264.headers(depth)] * len(_LATE_PYRAMIDS)
    path = _pyramids(tmp_path / name, _LATE_PYRAMIDS, headers)
    check(path, is_proven=True, full_decodes=0)
    levels = _levels(path)
    assert levels == sorted(set(levels)), "each frame comes out, once"


@pytest.mark.parametrize(("depths", "is_proven"), [((3, None), False), ((2, 3), False), ((3, 2), True)], ids=str)
def test_a_depth_that_changes(tmp_path: pathlib.Path, depths: tuple[int | None, ...], is_proven: bool) -> None:
    headers = [h264.headers(depth) for depth in depths for _ in range(5)]
    check(_pyramids(tmp_path / "v.ts", _LATE_PYRAMIDS, headers), is_proven, 0)


def test_frames_without_order_of_their_own_are_not_held_back(tmp_path: pathlib.Path) -> None:
    pictures = [Picture(0, 16 + n, n % _GOP == 0) for n in range(100)]
    units = h264.coded(pictures, poc_type=2)
    units[0] = h264.headers(poc_type=2) + units[0]
    path = h264.muxed(tmp_path / "v.mkv", units, range(100), range(0, 100, _GOP))
    with av.open(str(path)) as container:
        assert packet_rules("h264", container.streams.video[0].codec_context.extradata).reorder_depth == 0
    check(path, is_proven=True, full_decodes=0)


@pytest.mark.parametrize(
    "options",
    [
        {"b_frames": 3, "options": {"x264-params": "nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500:cqm=jvt"}},
        {"b_frames": 0, "options": {"profile": "baseline"}, "pixel_aspect_ratio": Fraction(97, 89)},
        {"b_frames": 16, "options": {"x264-params": "overscan=crop:videoformat=pal:chromaloc=2:interlaced=1:cqm=flat"}},
        {
            "pix_fmt": "yuv444p10le",
            "width": 90,
            "colorspace": 1,
            "options": {"x264-params": "aud=1:pic-struct=1:cqm=jvt"},
        },
    ],
)
@pytest.mark.parametrize("name", ["v.mp4", "v.ts"])
def test_x264_declares_the_depth(tmp_path: pathlib.Path, name: str, options: dict[str, Any]) -> None:
    path = generate.make_video(tmp_path / name, 20, **options)
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert packet_rules("h264", codec.extradata).reorder_depth == codec.reorder_depth


_CODED: dict[str, dict[str, Any]] = {
    "h264": {"b_frames": 4, "gop": 24},
    "h264_open_gop": {"b_frames": 4, "options": {"x264-params": "open-gop=1:keyint=24"}},
    "hevc": x265("bframes=4:b-pyramid=1:keyint=24"),
    "hevc_layers": x265("bframes=3:b-pyramid=1:temporal-layers=3:keyint=24:open-gop=0"),
    "mpeg2": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg4": {"codec": "mpeg4", "b_frames": 2},
    "vp9": {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "12"}},
}


@pytest.mark.parametrize("kind", _CODED)
@pytest.mark.parametrize("swapped", fast_first([[(49, 50), (5, 4)], [(7, 3)]]), ids=str)
def test_times_that_contradict_the_order_of_display(
    tmp_path: pathlib.Path, kind: str, swapped: list[tuple[int, int]]
) -> None:
    """Decoders go by the pictures; what comes out at an earlier time than another frame before it is left out."""
    source = generate.make_video(tmp_path / "v.mkv", 96, 30, draw=generate.draw_moving, **_CODED[kind])

    def swap(_: list[bytes], times: list[int]) -> None:
        for one, other in swapped:
            times[one], times[other] = times[other], times[one]

    path = h264.remuxed(source, tmp_path / "swapped.mkv", swap)
    check(path, is_proven=True)


@pytest.mark.parametrize("mark", fast_first([b"\0\0\0\2\x48\1", b"\0\0\0\2\x4a\1"]), ids=["sequence", "stream"])
@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("kind", ["open", "closed"])
def test_hevc_after_the_end_of_a_sequence(tmp_path: pathlib.Path, kind: str, mark: bytes, is_before: bool) -> None:
    """A CRA picture there means that those which wait to be shown shall not be, and that its leading ones are none."""
    made = x265(f"bframes=4:b-pyramid=1:keyint=16:scenecut=0:open-gop={int(kind == 'open')}")
    source = generate.make_video(tmp_path / "v.mp4", 96, 30, draw=generate.draw_moving, **made)
    with av.open(str(source)) as container:
        keys = [n for n, packet in enumerate(container.demux(video=0)) if packet.is_keyframe and packet.size]

    def insert(units: list[bytes], _: list[int]) -> None:
        for key in keys[2::2]:
            if is_before:
                units[key - 1] += mark
            else:
                units[key] = mark + units[key]

    check(h264.remuxed(source, tmp_path / "ended.mp4", insert), is_proven=kind == "closed", full_decodes=0)


def test_truncated_slices_give_no_count() -> None:
    slices = read_sps(_sps(has_fields=True)).slices
    unit = h264.coded([Picture(14, 99, True, field=0)], has_fields=True)[0][4:]
    assert read_count(memoryview(unit), slices) == (True, 14, 8, True)
    assert [read_count(memoryview(unit[:size]), slices) for size in (1, 2, 3)] == [None] * 3
    assert read_count(memoryview(b"\x65" + bytes(30)), slices) is None


def _sps(**options: bool) -> bytes:
    return h264.headers(**options).split(b"\0\0\0\1")[1]


def test_an_empty_or_truncated_vui_gives_no_depth() -> None:
    assert read_sps(_sps()).reorder_depth == MAX_REORDER_DEPTH
    assert read_sps(_sps(has_vui=True)).reorder_depth == MAX_REORDER_DEPTH
    declared = h264.headers(2).split(b"\0\0\0\1")[1]
    assert read_sps(declared).reorder_depth == read_sps(declared + b"\0\0").reorder_depth == 2
    assert all(read_sps(declared[:size]).reorder_depth == MAX_REORDER_DEPTH for size in range(len(declared)))


def test_scaling_lists_are_read_over() -> None:
    bits = Bits().put(100, 8).put(0, 8).put(40, 8).golomb(0, 1, 0, 0).put(0, 1).put(1, 1)
    for size in (16, None, 16, 1, 16, None, 64, 1):
        bits.put(size is not None, 1)
        for n in range(size or 0):
            bits.golomb(16 if size == 1 else n % 3)  # se(v): -8 ends a list
    bits.golomb(0, 0, 4, 4).put(0, 1).golomb(0, 0).put(3, 2).put(0, 1).put(1, 1)
    bits.put(0, 8).put(1, 1).put(1, 1).golomb(0, 0, 16, 16, 2, 4)
    assert read_sps(bits.unit(0x67)[4:]).reorder_depth == 2
