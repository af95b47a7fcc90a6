"""The main moving picture is chosen, whatever else a file holds."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Callable
from fractions import Fraction

import av
import box_editing
import data_generation as generate
import pytest
from record_factory import span_at

from transforms.media.decoder import Geometry, decode_clips
from transforms.media.probe import probe

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
        lambda data: data.replace(b"auxv", b"pict"),  # the reference alone tells
        lambda data: data.replace(b"auxl", b"free"),  # the handler alone tells
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


def test_first_of_equal_streams_and_the_larger_one_are_chosen_as_by_ffmpeg(tmp_path: pathlib.Path) -> None:
    small = generate.make_video(tmp_path / "small.mp4", 10, 10)
    large = generate.make_video(tmp_path / "large.mp4", 10, 10, 192, 144)
    path = tmp_path / "two.mp4"
    with av.open(str(small)) as first, av.open(str(large)) as second, av.open(str(path), "w") as target:
        sources = [first.streams.video[0], second.streams.video[0]]
        copies = [target.add_stream_from_template(stream) for stream in sources]
        for stream, copy in zip(sources, copies, strict=True):
            for packet in stream.container.demux(stream):  # type: ignore[attr-defined]
                if packet.size:
                    packet.stream = copy
                    target.mux(packet)
    assert probe(path).stream_index == best_of_ffmpeg(path)
