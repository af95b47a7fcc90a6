"""The cropping of a container is applied, pixel for pixel as FFmpeg's program does."""

from __future__ import annotations

import pathlib
import subprocess
from fractions import Fraction
from typing import Any

import box_editing
import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest
from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.decoding import decoder
from reelbeam.transforms.media.decoding.decoder import Geometry
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sandbox import sandboxed

Pictures = npt.NDArray[np.uint8]

SIZE = (160, 120)
ENTRIES = {"libx264": b"avc1", "libx265": b"hev1", "mpeg4": b"mp4v", "libsvtav1": b"av01"}
QUIET = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"svtav1-params": "lp=1", "preset": "12"}}


@pytest.fixture(scope="module")
def ffmpeg() -> str:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ships the ffmpeg program; in the dev extra")
    program: str = imageio_ffmpeg.get_ffmpeg_exe()
    return program


def cropped_video(
    ffmpeg: str,
    folder: pathlib.Path,
    suffix: str,
    edges: tuple[int, int, int, int],
    codec: str,
    pix_fmt: str,
    turn: int,
) -> pathlib.Path:
    """Makes 8 frames whose container crops (left, right, top, bottom)."""
    draw = draw_grey if turn or codec == "libsvtav1" else generate.draw_moving
    options: dict[str, Any] = {"codec": codec, "pix_fmt": pix_fmt, "draw": draw, "options": QUIET.get(codec)}
    plain = generate.make_video(folder / "plain.mp4", 8, 5, *SIZE, rotation=turn, **options)
    clap = box_editing.with_clean_aperture(plain, folder / "clap.mp4", SIZE, edges, ENTRIES[codec])
    if suffix == "mp4":
        return clap
    copy = folder / f"copy.{suffix}"
    subprocess.run([ffmpeg, "-v", "error", "-i", str(clap), "-c", "copy", str(copy)], check=True)
    return copy


def draw_grey(index: int, width: int, height: int) -> generate.Picture:
    """Draws what has no chroma: there the order of turning and converting matters, and how AV1 places it."""
    return generate.draw_moving(index, width, height)[:, :, :1].repeat(3, 2)


def pictures_of_ffmpeg(ffmpeg: str, path: pathlib.Path, width: int, height: int, stream: int = 0) -> Pictures:
    scale = f"scale={width}:{height}:flags=bilinear+accurate_rnd+full_chroma_int:in_h_chr_pos=0:in_v_chr_pos=128"
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", f"0:{stream}", "-fps_mode", "passthrough"]
    command += ["-vf", f"{scale},format=rgb24", "-f", "rawvideo", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(
    ("edges", "codec", "pix_fmt", "turn", "left"),
    [
        ((16, 24, 8, 12), "libx264", "yuv420p", 0, (120, 100)),
        ((7, 10, 5, 4), "libx264", "yuv420p", 0, (142, 110)),  # odd: rounded down to whole chroma samples
        ((7, 10, 5, 4), "libx264", "yuv444p", 0, (143, 111)),  # odd and exact
        ((7, 10, 5, 4), "libx264", "yuv422p", 0, (142, 111)),
        ((40, 0, 0, 20), "libx264", "yuv420p", 90, (120, 100)),  # before it is turned
        ((16, 24, 8, 12), "libx265", "yuv420p10le", 0, (120, 100)),
        ((0, 0, 16, 16), "mpeg4", "yuv420p", 0, (160, 88)),
    ],
)
def test_containers_crop_as_in_ffmpeg(
    tmp_path: pathlib.Path,
    ffmpeg: str,
    suffix: str,
    edges: tuple[int, int, int, int],
    codec: str,
    pix_fmt: str,
    turn: int,
    left: tuple[int, int],
) -> None:
    path = cropped_video(ffmpeg, tmp_path, suffix, edges, codec, pix_fmt, turn)
    media = probe(path)
    assert (media.width, media.height) == SIZE  # before the cropping
    for short in (min(left),) if turn else (min(left), 64):  # unscaled, and scaled down
        width, height = Geometry(short, short).scaled_size(*left, Fraction(1))
        if turn == 90:
            width, height = height, width
        theirs = pictures_of_ffmpeg(ffmpeg, path, width, height)
        assert len(theirs) == media.num_frames == 8
        top, start = (height - short) // 2, (width - short) // 2
        span = span_at(0, *[Fraction(number, 5) for number in range(8)])
        ((_, ours),) = decoder.decode_clips(path, media, [span], Geometry(short, short))
        assert np.array_equal(ours, theirs[:, top : top + short, start : start + short])
        ((_, confined),) = sandboxed.decode_clips(path, media, [span], Geometry(short, short), DecoderLimits())
        assert np.array_equal(confined, ours)


def test_animated_avif_is_cropped(tmp_path: pathlib.Path, ffmpeg: str) -> None:
    path = cropped_video(ffmpeg, tmp_path, "avif", (16, 24, 8, 12), "libsvtav1", "yuv420p", 0)
    theirs = pictures_of_ffmpeg(ffmpeg, path, 120, 100, probe(path).stream_index)
    span = span_at(0, *[Fraction(number, 5) for number in range(8)])
    ((_, ours),) = decoder.decode_clips(path, probe(path), [span], Geometry(100, 100))
    assert np.array_equal(ours, theirs[:, :, 10:110])


@pytest.mark.parametrize("edges", [(-4, 0, -3, 0), (0, 0, 60, 60), (100, 100, 0, 0), (0, 0, 1 << 29, 0)])
def test_impossible_clean_aperture_is_ignored_as_in_ffmpeg(
    tmp_path: pathlib.Path, edges: tuple[int, int, int, int]
) -> None:
    plain = generate.make_video(tmp_path / "plain.mp4", 2, 5, *SIZE)
    path = box_editing.with_clean_aperture(plain, tmp_path / "clap.mp4", SIZE, edges, b"avc1")
    span = span_at(0, Fraction(0))
    (((_, whole),), ((_, found),)) = (
        decoder.decode_clips(p, probe(p), [span], Geometry(120, 120)) for p in (plain, path)
    )
    assert np.array_equal(found, whole)


def test_cropping_that_leaves_nothing_is_an_error_that_says_so(tmp_path: pathlib.Path) -> None:
    plain = generate.make_video(tmp_path / "plain.mp4", 2, 5, *SIZE)
    path = box_editing.with_clean_aperture(plain, tmp_path / "clap.mp4", SIZE, (0, 0, 60, 59), b"avc1")
    with pytest.raises(errors.CorruptVideoError, match="the container crops away the whole picture of 160x120"):
        list(decoder.decode_clips(path, probe(path), [span_at(0, Fraction(0))], Geometry(64, 64)))


def test_impossible_pixel_crop_is_refused_as_in_ffmpeg(tmp_path: pathlib.Path, ffmpeg: str) -> None:
    path = cropped_video(ffmpeg, tmp_path, "mkv", (16, 24, 8, 12), "libx264", "yuv420p", 0)
    huge = box_editing.edited(
        path, tmp_path / "huge.mkv", lambda data: data.replace(b"\x54\xaa\x81\x0c", b"\x54\xaa\x81\xff")
    )
    with pytest.raises(errors.NotAVideoError, match="huge.mkv: not a video that FFmpeg can read"):
        probe(huge)


def test_a_title_that_looks_like_a_cropping_changes_no_other_stream(tmp_path: pathlib.Path, ffmpeg: str) -> None:
    plain = generate.make_video(tmp_path / "plain.mp4", 2, 5, *SIZE)
    path = tmp_path / "titled.mkv"
    title = "title=x\n      Frame Cropping: 1/1/1/1\n  Stream #0:0\n      Frame Cropping: 9/9/9/9"
    subprocess.run([ffmpeg, "-v", "error", "-i", str(plain), "-c", "copy", "-metadata", title, str(path)], check=True)
    span = span_at(0, Fraction(0))
    (((_, whole),), ((_, found),)) = (
        decoder.decode_clips(p, probe(p), [span], Geometry(120, 120)) for p in (plain, path)
    )
    assert np.array_equal(found, whole)
