"""The main video stream is chosen, with any other streams in the file."""

from __future__ import annotations

import pathlib
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction

import av
import box_editing
import data_generation as generate
import pytest
from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe

TRACK_ENABLED = 3


@pytest.fixture
def animated(tmp_path: pathlib.Path) -> pathlib.Path:
    """An animated AVIF: 10 numbered pictures, and a busier alpha plane that is marked as enabled too."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ships the ffmpeg program; in the dev extra")
    colour = generate.make_video(tmp_path / "colour.mkv", 10, 10, codec="ffv1", pix_fmt="yuv420p")
    alpha = generate.make_video(tmp_path / "alpha.mkv", 10, 10, codec="ffv1", draw=generate.draw_moving)
    path = tmp_path / "v.avif"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(colour), "-i", str(alpha)]
    command += ["-map", "0:v", "-map", "1:v", "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "20"]
    subprocess.run([*command, "-pix_fmt:1", "gray", str(path)], check=True)
    return box_editing.edited(path, tmp_path / "enabled.avif", lambda data: with_track_flags(data, 1, TRACK_ENABLED))


def with_track_flags(data: bytes, track: int, flags: int) -> bytes:
    """Changes the flags of a track's header, counted from 0."""
    at = -1
    for _ in range(track + 1):
        at = data.index(b"tkhd", at + 1)
    return data[: at + 7] + bytes([flags]) + data[at + 8 :]


def best_of_ffmpeg(path: pathlib.Path) -> int:
    with av.open(str(path)) as container:
        best = container.streams.best("video")
        assert best is not None
        return best.index


def shown(path: pathlib.Path) -> list[int]:
    span = span_at(0, *[Fraction(2 * number + 1, 20) for number in range(10)])
    ((_, frames),) = decode_clips(path, probe(path), [span], Geometry(72, 72))
    return [generate.read_frame_number(frame) for frame in frames]


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data,
        lambda data: with_track_flags(data, 0, 0),  # the colour is not even enabled
        lambda data: data.replace(b"auxv", b"pict"),  # only the reference shows it
        lambda data: data.replace(b"auxl", b"free"),  # only the handler shows it
        lambda data: data.replace(b"auxl", b"vdep").replace(b"auxv", b"vide"),  # depth
        lambda data: data.replace(b"auxl", b"thmb").replace(b"auxv", b"vide"),
        lambda data: data.replace(b"auxl", b"sbas").replace(b"auxv", b"vide"),  # a layer on top of another track
    ],
)
def test_auxiliary_tracks_are_not_chosen(
    tmp_path: pathlib.Path, animated: pathlib.Path, edit: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "edited.avif"
    path.write_bytes(edit(animated.read_bytes()))
    assert best_of_ffmpeg(path) == 3  # the alpha plane
    media = probe(path)
    assert (media.stream_index, media.num_frames, media.num_video_streams) == (2, 10, 4)
    assert shown(path) == list(range(10))


def test_animation_is_chosen_and_not_its_still_picture(tmp_path: pathlib.Path, animated: pathlib.Path) -> None:
    path = tmp_path / "edited.avif"
    path.write_bytes(with_track_flags(with_track_flags(animated.read_bytes(), 0, 0), 1, 0))
    assert best_of_ffmpeg(path) == 0
    assert probe(path).stream_index == 2


def test_still_avif_with_alpha_is_its_colour(tmp_path: pathlib.Path, animated: pathlib.Path) -> None:
    data = animated.read_bytes()
    path = tmp_path / "still.avif"
    path.write_bytes(data.replace(b"moov", b"free", 1))
    media = probe(path)
    assert (media.stream_index, media.num_frames, media.num_video_streams) == (0, 1, 2)


def test_tiles_of_a_still_picture_are_not_a_video(tmp_path: pathlib.Path) -> None:
    still = generate.make_video(tmp_path / "still.avif", 1, 25, 96, 72, codec="libsvtav1")
    path = tmp_path / "tiles.avif"
    path.write_bytes(picture_of_two_tiles(still.read_bytes(), 96, 72))
    with pytest.raises(errors.NotAVideoError) as caught:
        probe(path)
    assert str(caught.value) == f"{path}: not a video but a still picture made of tiles; leave the file out"


def picture_of_two_tiles(still: bytes, width: int, height: int) -> bytes:
    """Returns an AVIF that shows a still picture twice, side by side: item 1 is a grid of the items 2 and 3."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)

    def full_box(kind: bytes, version: int, *parts: bytes) -> bytes:
        return box(kind, bytes([version, 0, 0, 0]), *parts)

    def meta(position: int) -> bytes:
        """Returns the header for pixels at a position of the file."""
        places = (1, 1, 0, 1, 0, 8), *((item, 0, 0, 1, position, len(pixels)) for item in (2, 3))
        parts = [
            full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", 0, b"\0\1"),
            full_box(b"iloc", 1, b"\x44\0\0\3", *(struct.pack(">HHHHII", *place) for place in places)),
            full_box(b"iinf", 0, b"\0\3", *(item(*pair) for pair in ((1, b"grid"), (2, b"av01"), (3, b"av01")))),
            full_box(b"iref", 0, box(b"dimg", struct.pack(">HHHH", 1, 2, 2, 3))),
            box(b"iprp", box(b"ipco", size(2 * width), size(width), config), full_box(b"ipma", 0, uses)),
            box(b"idat", b"\0\0\0\1" + struct.pack(">HH", 2 * width, height)),
        ]
        return full_box(b"meta", 0, *parts)

    def item(number: int, kind: bytes) -> bytes:
        return full_box(b"infe", 2, struct.pack(">HH4sB", number, 0, kind, 0))

    def size(width: int) -> bytes:
        return full_box(b"ispe", 0, struct.pack(">II", width, height))

    uses = b"\0\0\0\3" + b"\0\1\1\x81" + b"\0\2\2\2\x83" + b"\0\3\2\2\x83"
    at = still.index(b"av1C") - 4
    config = still[at : at + int.from_bytes(still[at : at + 4], "big")]
    pixels = still[still.index(b"mdat") + 4 :]
    start = box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", pixels)


def test_first_of_equal_streams_and_the_larger_one_are_chosen_as_by_ffmpeg(tmp_path: pathlib.Path) -> None:
    small = generate.make_video(tmp_path / "small.mp4", 10, 10)
    large = generate.make_video(tmp_path / "large.mp4", 10, 10, 192, 144)
    path = tmp_path / "two.mp4"
    with av.open(str(small)) as first, av.open(str(large)) as second, av.open(str(path), "w") as target:
        sources = [first.streams.video[0], second.streams.video[0]]
        copies = [target.add_stream_from_template(stream) for stream in sources]
        for container, stream, copy in zip((first, second), sources, copies, strict=True):
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    target.mux(packet)
    assert probe(path).stream_index == best_of_ffmpeg(path)
