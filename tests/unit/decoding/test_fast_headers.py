"""Headers that change, or that decoders remember from a stream's start: the frames are those of a full decode."""

from __future__ import annotations

import pathlib
import struct
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import cast

import av
import data_generation as generate
import pytest
from fast_and_full import assert_same_as_full, check, decoded
from record_factory import span_at

from reelbeam.transforms.media.codecs.bit_reader import BitReader
from reelbeam.transforms.media.codecs.bitstream import packet_rules
from reelbeam.transforms.media.decoding.probe import probe

Ffmpeg = Callable[..., None]


@pytest.fixture(scope="module")
def ffmpeg() -> Ffmpeg:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ships the ffmpeg program; in the dev extra")
    program: str = imageio_ffmpeg.get_ffmpeg_exe()

    def run(*flags: object) -> None:
        subprocess.run([program, "-y", "-loglevel", "error", "-threads", "1", *map(str, flags)], check=True)

    return run


def joined(path: pathlib.Path, parts: Sequence[pathlib.Path]) -> pathlib.Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("name", ["v.mov", "v.avi"])
def test_a_palette_that_comes_once(tmp_path: pathlib.Path, ffmpeg: Ffmpeg, name: str) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x72:r=30:d=2", "-pix_fmt", "pal8", "-c:v", "rawvideo", tmp_path / name)
    check(tmp_path / name, is_proven=False)


@pytest.mark.parametrize("flags", ["+ildct+ilme", "0"])
def test_interlaced_mpeg4(tmp_path: pathlib.Path, ffmpeg: Ffmpeg, flags: str) -> None:
    source = generate.make_video(tmp_path / "source.mkv", 90, codec="ffv1", draw=generate.draw_moving)
    ffmpeg("-i", source, "-c:v", "mpeg4", "-bf", 2, "-g", 20, "-q:v", 3, "-flags", flags, tmp_path / "v.mp4")
    check(tmp_path / "v.mp4", is_proven=flags == "0")


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4", "mpeg1video"])
@pytest.mark.parametrize("sizes", [[(96, 72), (160, 128)], [(96, 72), (96, 72)]])
def test_a_size_that_changes_inside(tmp_path: pathlib.Path, codec: str, sizes: list[tuple[int, int]]) -> None:
    parts = [
        generate.make_video(
            tmp_path / f"{n}.ts", 60, 30, *size, codec=codec, b_frames=2, start_pts=75 * n, draw=generate.draw_moving
        )
        for n, size in enumerate(sizes)
    ]
    check(joined(tmp_path / "joined.ts", parts), is_proven=sizes[0] == sizes[1])


def test_a_quantiser_matrix_that_changes_inside(tmp_path: pathlib.Path) -> None:
    parts = [
        generate.make_video(
            tmp_path / f"{n}.ts", 40, codec="mpeg4", start_pts=40 * n, draw=generate.draw_moving, options=options
        )
        for n, options in enumerate([{}, {"mpeg_quant": "1"}])
    ]
    check(joined(tmp_path / "joined.ts", parts), is_proven=False)


def test_hevc_pictures_that_shall_not_be_shown(tmp_path: pathlib.Path) -> None:
    options = {"x265-params": "log-level=none:bframes=3:keyint=20:min-keyint=20:open-gop=0:scenecut=0"}
    source = generate.make_video(tmp_path / "v.mp4", 80, codec="libx265", draw=generate.draw_moving, options=options)

    def set_no_output_of_prior_pics(_: int, data: memoryview) -> None:
        at = 0
        while at + 6 < len(data):
            if 16 <= data[at + 4] >> 1 & 63 <= 21:
                data[at + 6] |= 0x40
            at += 4 + int.from_bytes(data[at : at + 4], "big")

    check(source, is_proven=True)
    check(generate.with_edited_packets(source, tmp_path / "w.mp4", set_no_output_of_prior_pics), is_proven=False)


def test_frames_of_which_some_are_flipped(tmp_path: pathlib.Path, ffmpeg: Ffmpeg) -> None:
    source = generate.make_video(tmp_path / "v.mp4", 60, b_frames=2, draw=generate.draw_moving)
    flip = "h264_metadata=display_orientation=insert:flip=vertical"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", flip, tmp_path / "flipped.mp4")
    check(tmp_path / "flipped.mp4", is_proven=True)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_lossless_h264_is_not_for_the_fast_way(tmp_path: pathlib.Path, pix_fmt: str) -> None:
    path = generate.make_video(
        tmp_path / "v.mp4", 40, pix_fmt=pix_fmt, options={"x264-params": "qp=0"}, draw=generate.draw_moving, b_frames=2
    )
    check(path, is_proven=False)


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
def test_parameter_sets_that_change_between_listed_key_frames(tmp_path: pathlib.Path, name: str) -> None:
    """The second part's are in its first packet, too near to a key frame to be listed, and nowhere else."""
    params = "keyint=20:scenecut=0:weightp=0:bframes=2:repeat-headers=1:"
    parts = [
        generate.make_video(
            tmp_path / f"{n}.ts", length, draw=generate.draw_moving, options={"x264-params": params + x}
        )
        for n, (length, x) in enumerate([(24, "8x8dct=1:qp=24"), (80, "8x8dct=0:qp=40")])
    ]
    template = generate.make_video(tmp_path / "t.mp4", 24, options={"x264-params": params[:-17] + ":8x8dct=1:qp=24"})
    path, first = tmp_path / name, 0
    with av.open(str(path), "w") as container, av.open(str(template)) as like:
        stream = container.add_stream_from_template(like.streams.video[0])
        for part in parts:
            with av.open(str(part)) as source:
                packets = [packet for packet in source.demux(video=0) if packet.size]
            start = min(cast(int, packet.pts) for packet in packets)
            for index, packet in enumerate(packets):
                keeps_headers = part is parts[1] and index == 0
                units = [u.rstrip(b"\0") for u in bytes(packet).split(b"\0\0\1") if u.strip(b"\0")]
                units = [u for u in units if keeps_headers or u[0] & 31 not in (7, 8)]
                copy = av.Packet(b"".join(struct.pack(">I", len(u)) + u for u in units))
                copy.time_base, copy.is_keyframe, copy.stream = Fraction(1, 30), packet.is_keyframe, stream
                copy.pts = 20 + first + round((cast(int, packet.pts) - start) * packet.time_base * 30)
                copy.dts = first + index + 8
                container.mux(copy)
            first += len(packets)
    check(path, is_proven=True)


def test_recordings_that_overlap_a_little(tmp_path: pathlib.Path) -> None:
    parts = [
        generate.make_video(tmp_path / f"{n}.ts", 60, start_pts=40 * n, b_frames=2, gop=20, draw=generate.draw_moving)
        for n in range(2)
    ]
    check(joined(tmp_path / "joined.ts", parts), is_proven=True)


@pytest.mark.parametrize(
    ("edits", "seconds"),
    [([(600, 2.22)], Fraction(6, 10)), ([(800, None), (2000, 0.37)], Fraction(2)), ([(1500, 0.5), (1200, 2.3)], None)],
    ids=["the middle", "a late start", "two parts"],
)
def test_edit_lists_that_cut_the_end_away(
    tmp_path: pathlib.Path, edits: list[tuple[int, float | None]], seconds: Fraction | None
) -> None:
    """A sound file, of which no clip is lost."""
    source = generate.make_video(tmp_path / "v.mp4", 120, b_frames=2, gop=20, draw=generate.draw_moving)
    with av.open(str(source)) as container:
        rate = 1 / cast(Fraction, container.streams.video[0].time_base)
    entries = [(length, -1 if start is None else int(start * rate)) for length, start in edits]
    path = _with_edit_list(source, tmp_path / "edited.mp4", entries)
    media = probe(path)
    assert seconds is None or abs(media.duration_seconds - seconds) < Fraction(1, 29)
    assert_same_as_full(path, media, None)
    last = span_at(0, media.duration_seconds - Fraction(1, 100))
    assert decoded(path, media, [last])[1] == "", "the last frame is there"


def _with_edit_list(source: pathlib.Path, path: pathlib.Path, entries: Sequence[tuple[int, int]]) -> pathlib.Path:
    """Copies an MP4 with its index at the end, with another edit list: (milliseconds, start in the media)."""
    data = bytearray(source.read_bytes())
    moov, trak = data.index(b"moov") - 4, data.index(b"trak") - 4
    data[data.index(b"edts", trak) : data.index(b"edts", trak) + 4] = b"free"
    rows = b"".join(struct.pack(">iihh", length, start, 1, 0) for length, start in entries)
    elst = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(entries)) + rows
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    header = data.index(b"tkhd") - 4
    at = header + struct.unpack_from(">I", data, header)[0]
    data[at:at] = edts
    for box in (moov, trak):
        struct.pack_into(">I", data, box, struct.unpack_from(">I", data, box)[0] + len(edts))
    assert data.index(b"mdat") < moov
    path.write_bytes(data)
    return path


def test_an_empty_avcc_still_says_how_long_lengths_are() -> None:
    """Of a sample entry `avc3`, whose parameter sets are in the packets."""
    rules = packet_rules("h264", bytes([1, 0x4D, 0x40, 0x0A, 0xFF, 0xE0, 0]))
    units = [bytes([0x67, 77, 64, 10, 1, 2]), bytes([0x68, 1, 2]), bytes([0x65, 1, 2])]
    packet = memoryview(b"".join(struct.pack(">I", len(unit)) + unit for unit in units))
    assert (
        rules.supports_fast_path(packet, is_key=True) and rules.is_random_access_point(packet) and rules.is_idr(packet)
    )
    bare = memoryview(struct.pack(">I", 3) + units[2])
    assert rules.supports_fast_path(bare, is_key=True) and not rules.is_random_access_point(bare)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_packet_without_a_start_code_is_nothing_to_start_at(codec: str) -> None:
    rules, packet = packet_rules(codec, b""), memoryview(bytes(20))
    assert (
        rules.supports_fast_path(packet, is_key=True)
        and not rules.is_random_access_point(packet)
        and not rules.is_disposable(packet)
    )


def test_bits_are_read_from_the_highest_and_zeros_past_the_end() -> None:
    bits = BitReader(b"\xa5\x40")
    assert [bits.take(n) for n in (1, 3, 4, 2, 20)] == [1, 2, 5, 1, 0]
    numbers = BitReader(bytes([0b1_010_011_0, 0b0100_0000]))
    assert [numbers.take_golomb() for _ in range(4)] == [0, 1, 2, 3]
