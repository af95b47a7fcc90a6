"""What the encoded pictures of a clip show."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from record_factory import MEDIA

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, WebpPicture
from reelbeam.transforms.filmstrips.pictures import draw_filmstrip
from reelbeam.transforms.filmstrips.tiles import Layout
from reelbeam.transforms.media.decoding.picture import Geometry

Picture = npt.NDArray[np.uint8]


def pixels(picture: WebpPicture) -> Picture:
    with Image.open(io.BytesIO(picture.webp)) as image:
        assert image.format == "WEBP" and image.size == (picture.width, picture.height)
        return np.array(image.convert("RGB"))


def layout_of(width: int, height: int, resize: int = 192, size: int = 172) -> Layout:
    return Layout.of(Geometry(resize, size), dataclasses.replace(MEDIA, width=width, height=height))


def drawn(layout: Layout, num_frames: int = 8, level: int = 128) -> Filmstrip:
    """Returns the filmstrip of grey frames."""
    frames = np.full((num_frames, *layout.geometry.cut_size, 3), level, np.uint8)
    return draw_filmstrip(frames, tuple(range(num_frames)), layout)


@pytest.mark.parametrize(
    ("width", "height", "whole"),
    [
        (1920, 1080, (224, 126)),
        (640, 480, (168, 126)),
        (1080, 1920, (71, 126)),
        (500, 500, (126, 126)),
        (2000, 500, (224, 56)),
        (500, 2000, (32, 126)),
        (9000, 500, (224, 56)),
    ],
)
def test_the_whole_picture_fits_beside_the_strip(width: int, height: int, whole: tuple[int, int]) -> None:
    made = drawn(layout_of(width, height))
    assert (made.strip.width, made.strip.height) == (8 * 112, 112)
    assert abs(made.whole.width - whole[0]) <= 1 and abs(made.whole.height - whole[1]) <= 1
    pixels(made.strip), pixels(made.whole)


def test_small_pictures_are_not_enlarged() -> None:
    made = drawn(layout_of(128, 96, 72, 64), num_frames=3)
    assert (made.strip.width, made.strip.height) == (3 * 64, 64)
    assert (made.whole.width, made.whole.height) == (96, 72)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (640, 480), (480, 480)])
def test_the_frame_is_where_the_crop_is(width: int, height: int) -> None:
    layout = layout_of(width, height)
    whole = pixels(drawn(layout).whole).astype(int).mean(axis=2)
    left, top, right, bottom = layout.picture
    factors = (whole.shape[1] / (right - left), whole.shape[0] / (bottom - top))
    left, top, right, bottom = (round(edge * by) for edge, by in zip(layout.crop, factors * 2, strict=True))
    middle_row, middle_column = whole[whole.shape[0] // 2], whole[:, whole.shape[1] // 2]
    for line, first, last in [(middle_row, left, right - 1), (middle_column, top, bottom - 1)]:
        assert all(line[place] > 190 for place in (first, last)), "a light line"
        assert all(line[place] < 60 for place in (first - 1, last + 1)), "a dark line around it"
        assert (abs(line[first + 3 : last - 3] - 128) < 16).all(), "inside, the picture as it is"
        assert (line[: first - 3] < 80).all() and (line[last + 4 :] < 80).all(), "outside, a dimmed one"


def test_a_crop_of_the_whole_picture_is_framed_at_its_edges() -> None:
    whole = pixels(drawn(layout_of(100, 100, 64, 64)).whole).astype(int).mean(axis=2)
    assert min(whole[32, 0], whole[32, -1], whole[0, 32], whole[-1, 32]) > 190
    assert abs(whole[32, 32] - 128) < 16


def test_tiles_are_the_frames_in_order() -> None:
    layout = layout_of(640, 480)
    levels = [20 + 30 * tile for tile in range(8)]
    frames = np.empty((8, *layout.geometry.cut_size, 3), np.uint8)
    frames[:] = np.array(levels, np.uint8)[:, None, None, None]
    made = draw_filmstrip(frames, tuple(range(8)), layout)
    assert (made.num_tiles, made.tile_ms) == (8, tuple(range(8)))
    strip, whole = pixels(made.strip).astype(int), pixels(made.whole).astype(int)
    assert [abs(strip[56, 112 * tile + 56].mean() - level) < 8 for tile, level in enumerate(levels)] == [True] * 8
    assert abs(whole[63, 84].mean() - levels[4]) < 8, "the middle frame"


def test_equal_frames_give_equal_bytes() -> None:
    layout = layout_of(640, 480)
    frames = np.random.default_rng(1).integers(0, 256, (8, *layout.geometry.cut_size, 3), np.uint8)
    first, second = (draw_filmstrip(frames.copy(), (0,) * 8, layout) for _ in range(2))
    assert first == second
