"""Which frames a filmstrip shows, and that one decode gives the model's pixels and the whole picture."""

from __future__ import annotations

import pathlib
from fractions import Fraction

import av
import box_editing
import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest

from reelbeam.transforms.filmstrips.tiles import tile_span, tile_times, whole_geometry
from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.picture import PADDING, Geometry, PictureConverter
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.stream import plan_stream_spans
from reelbeam.transforms.records import ClipSpan

Picture = npt.NDArray[np.uint8]

FIVE_FPS = ClipSampling(50, Fraction(5))


def first_clip(seconds: Fraction, sampling: ClipSampling = FIVE_FPS) -> ClipSpan:
    return plan_clip_spans(seconds, sampling)[0]


def test_tiles_are_spread_evenly_over_a_clip() -> None:
    tiles = tile_span(first_clip(Fraction(30)))
    assert tiles.sample_steps == (3, 9, 15, 21, 28, 34, 40, 46)
    assert tile_times(tiles) == (600, 1800, 3000, 4200, 5600, 6800, 8000, 9200)


def test_tiles_are_instants_of_the_clip() -> None:
    clip = plan_clip_spans(Fraction(100), ClipSampling(50, Fraction(30000, 1001), Fraction(7, 3)))[7]
    tiles = tile_span(clip)
    assert set(tiles.sample_seconds) <= set(clip.sample_seconds)
    assert tile_times(tiles) == tuple(round(1000 * seconds) for seconds in tiles.sample_seconds)


@pytest.mark.parametrize("tail", ["shift_back", "repeat_last"])
def test_repeats_of_a_short_video_are_not_shown(tail: str) -> None:
    sampling = ClipSampling(50, Fraction(5), tail_policy=tail)  # type: ignore[arg-type]
    assert tile_span(first_clip(Fraction(1), sampling)).sample_steps == (0, 1, 2, 3, 4)
    assert tile_span(first_clip(Fraction(2), sampling)).sample_steps == (0, 1, 3, 4, 5, 6, 8, 9)


def test_a_warm_up_is_not_shown() -> None:
    sampling = ClipSampling(10, Fraction(5), Fraction(60), kind="stream", carry_state=True)
    second = plan_stream_spans(Fraction(100), sampling)[1]
    assert second.num_warm_up_frames == 100
    tiles = tile_span(second)
    assert tiles.sample_steps == (0, 1, 3, 4, 5, 6, 8, 9)
    assert tile_times(tiles)[0] == 60_000
    assert not tiles.num_warm_up_frames and not tiles.continues


def frames_of(path: pathlib.Path, geometry: Geometry) -> Picture:
    media = probe(path)
    tiles = tile_span(first_clip(media.duration_seconds))
    ((_, frames),) = decode_clips(path, media, [tiles], geometry)
    return frames


def require_same_pixels(path: pathlib.Path, geometry: Geometry) -> tuple[int, int]:
    """Asserts that the square of whole pictures is what the model gets; returns the pictures' width and height."""
    whole = whole_geometry(geometry, probe(path))
    frames, square = frames_of(path, whole), slice(whole.margin, whole.margin + whole.size)
    assert frames.shape[1:] == (whole.side, whole.side, 3)
    assert np.array_equal(frames[:, square, square], frames_of(path, geometry))
    is_shown = (frames != PADDING).any(axis=3)
    rows, columns = (is_shown.any(axis=axes).nonzero()[0] for axes in ((0, 2), (0, 1)))
    return int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("kinetics_style_256p.mp4", (341, 192)),
        ("mpeg4_packed_bframes.avi", (256, 192)),
        ("carving_ice.mp4", (192, 192)),
        ("hevc.mp4", (192, 192)),
        ("av1.mkv", (341, 192)),
        ("nasa_13013.mp4", (341, 192)),
        ("small_192x144.mp4", (256, 192)),
        ("long_1080p.mp4", (341, 192)),
    ],
)
def test_real_videos_give_the_models_pixels(shared_dir: pathlib.Path, name: str, size: tuple[int, int]) -> None:
    assert require_same_pixels(shared_dir / "media" / name, Geometry(192, 172)) == size


@pytest.mark.parametrize("geometry", [Geometry(192, 172), Geometry(72, 64), Geometry(51, 50), Geometry(33, 33)])
@pytest.mark.parametrize(
    ("width", "height", "rotation", "mirror", "ratio", "shape"),
    [
        (96, 72, 0, False, "1", (4, 3)),
        (160, 90, 90, False, "1", (9, 16)),
        (160, 90, 180, True, "1", (16, 9)),
        (160, 90, 270, True, "1", (9, 16)),
        (90, 160, 0, False, "1", (9, 16)),
        (97, 61, 0, False, "1", (97, 61)),
        (61, 97, 90, False, "1", (97, 61)),
        (72, 58, 0, False, "64/45", (512, 290)),
        (80, 80, 0, False, "1/2", (1, 2)),
        (16, 16, 0, False, "1", (1, 1)),
        (320, 80, 0, False, "1", (4, 1)),
    ],
)
def test_turned_anamorphic_odd_and_tiny_videos_give_the_models_pixels(
    tmp_path: pathlib.Path,
    geometry: Geometry,
    width: int,
    height: int,
    rotation: int,
    mirror: bool,
    ratio: str,
    shape: tuple[int, int],
) -> None:
    path = generate.make_video(
        tmp_path / "v.mp4",
        20,
        10,
        width,
        height,
        pix_fmt="yuv444p",
        draw=generate.draw_moving if min(width, height) >= 32 else generate.draw_number,
        rotation=rotation,
        mirror=mirror,
        pixel_aspect_ratio=Fraction(ratio),
    )
    shown = require_same_pixels(path, geometry)
    assert min(shown) == geometry.resize
    assert shown[0] / shown[1] == pytest.approx(shape[0] / shape[1], rel=0.02)


def test_an_extreme_picture_is_cut(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 20, 10, 400, 16)
    assert require_same_pixels(path, Geometry(72, 64)) == (4 * 72, 72)


@pytest.mark.parametrize("turn", [0, 90])
@pytest.mark.parametrize(("edges", "size"), [((20, 20, 0, 0), (72, 72)), ((30, 30, 0, 0), (72, 86))])
def test_what_the_container_crops_away_is_not_shown(
    tmp_path: pathlib.Path, turn: int, edges: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    draw = generate.draw_moving
    plain = generate.make_video(tmp_path / "plain.mp4", 20, 10, 160, 120, draw=draw, rotation=turn)
    path = box_editing.with_clean_aperture(plain, tmp_path / "clap.mp4", (160, 120), edges, b"avc1")
    assert require_same_pixels(path, Geometry(72, 64)) == (size if turn == 0 else size[::-1])


def test_pictures_of_any_size_have_the_square_in_the_middle() -> None:
    """A stream may change its size."""
    geometry = Geometry(24, 11, margin=20)
    converter, plain = PictureConverter(geometry, Fraction(1)), PictureConverter(Geometry(24, 11), Fraction(1))
    chance = np.random.default_rng(1)
    for width, height in [(24, 24), (48, 24), (24, 60), (97, 55), (100, 100), (25, 24), (24, 400)]:
        frame = av.VideoFrame.from_ndarray(chance.integers(0, 256, (height, width, 3), np.uint8), "rgb24")
        picture = converter.convert(frame)
        assert picture.shape == (51, 51, 3)
        assert np.array_equal(picture[20:31, 20:31], plain.convert(frame))
        assert (picture[0, 0] == PADDING).all()


def test_a_margin_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="margin=-1"):
        Geometry(24, 11, margin=-1)
