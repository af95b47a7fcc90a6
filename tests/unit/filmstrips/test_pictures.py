"""What the encoded pictures of a clip show."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from record_factory import MEDIA

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, WebpPicture
from reelbeam.transforms.filmstrips.pictures import draw_filmstrip
from reelbeam.transforms.filmstrips.tiles import whole_geometry
from reelbeam.transforms.media.decoding.geometry import PADDING, Geometry
from reelbeam.transforms.media.decoding.picture import PictureConverter

Picture = npt.NDArray[np.uint8]

A0 = Geometry(192, 172)


def pixels(picture: WebpPicture) -> Picture:
    with Image.open(io.BytesIO(picture.webp)) as image:
        assert image.format == "WEBP" and image.size == (picture.width, picture.height)
        return np.array(image.convert("RGB"))


def grey_frames(width: int, height: int, geometry: Geometry = A0, num_frames: int = 8) -> tuple[Picture, Geometry]:
    """Returns frames of a grey video of this size, and their geometry."""
    whole = whole_geometry(geometry, dataclasses.replace(MEDIA, width=width, height=height))
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 128, np.uint8), "rgb24")
    picture = PictureConverter(whole, Fraction(1)).convert(frame)
    return np.stack([picture] * num_frames), whole


def drawn(width: int, height: int, geometry: Geometry = A0, num_frames: int = 8) -> Filmstrip:
    """Returns the filmstrip of a grey video."""
    frames, whole = grey_frames(width, height, geometry, num_frames)
    return draw_center(frames, whole)


def draw_center(frames: Picture, whole: Geometry) -> Filmstrip:
    """Returns the filmstrip of whole pictures with the model's square in the middle."""
    square = slice(whole.margin, whole.margin + whole.size)
    times, geometry = tuple(range(len(frames))), dataclasses.replace(whole, margin=0)
    return draw_filmstrip(frames[:, square, square], times, frames[len(frames) // 2], geometry)


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
    made = drawn(width, height)
    assert (made.strip.width, made.strip.height) == (8 * 112, 112)
    assert abs(made.whole.width - whole[0]) <= 1 and abs(made.whole.height - whole[1]) <= 1
    pixels(made.strip), pixels(made.whole)


def test_small_pictures_are_not_enlarged() -> None:
    made = drawn(128, 96, Geometry(72, 64), num_frames=3)
    assert (made.strip.width, made.strip.height) == (3 * 64, 64)
    assert (made.whole.width, made.whole.height) == (96, 72)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (640, 480), (480, 480)])
def test_the_frame_is_where_the_crop_is(width: int, height: int) -> None:
    whole = pixels(drawn(width, height).whole).astype(int).mean(axis=2)
    scaled = Geometry(192, 172).scaled_size(width, height, Fraction(1))
    (left, right), (top, bottom) = (
        (round((side - 172) // 2 * shown / side), round(((side - 172) // 2 + 172) * shown / side))
        for side, shown in zip(scaled, reversed(whole.shape), strict=True)
    )
    middle_row, middle_column = whole[whole.shape[0] // 2], whole[:, whole.shape[1] // 2]
    for line, first, last in [(middle_row, left, right - 1), (middle_column, top, bottom - 1)]:
        assert all(line[place] > 190 for place in (first, last)), "a light line"
        assert all(line[place] < 60 for place in (first - 1, last + 1)), "a dark line around it"
        assert (abs(line[first + 3 : last - 3] - 128) < 16).all(), "inside, the picture as it is"
        assert (line[: first - 3] < 80).all() and (line[last + 4 :] < 80).all(), "outside, a dimmed one"


def test_a_crop_of_the_whole_picture_is_framed_at_its_edges() -> None:
    whole = pixels(drawn(100, 100, Geometry(64, 64)).whole).astype(int).mean(axis=2)
    assert min(whole[32, 0], whole[32, -1], whole[0, 32], whole[-1, 32]) > 190
    assert abs(whole[32, 32] - 128) < 16


def test_tiles_are_the_frames_in_order() -> None:
    frames, geometry = grey_frames(640, 480)
    levels = [20 + 30 * tile for tile in range(8)]
    frames[frames == 128] = np.repeat(levels, (frames == 128).sum() // 8)
    made = draw_center(frames, geometry)
    assert (made.num_tiles, made.tile_ms) == (8, tuple(range(8)))
    strip, whole = pixels(made.strip).astype(int), pixels(made.whole).astype(int)
    assert [abs(strip[56, 112 * tile + 56].mean() - level) < 8 for tile, level in enumerate(levels)] == [True] * 8
    assert abs(whole[63, 84].mean() - levels[4]) < 8, "the middle frame"


def test_equal_frames_give_equal_bytes() -> None:
    frames, geometry = grey_frames(640, 480)
    frames[frames == 128] = np.random.default_rng(1).integers(0, 256, (frames == 128).sum())
    first, second = (draw_center(frames.copy(), geometry) for _ in range(2))
    assert first == second


def test_pictures_in_the_color_of_the_padding_have_the_models_square() -> None:
    frames, geometry = grey_frames(640, 480)
    frames[:] = PADDING
    whole = draw_center(frames, geometry).whole
    assert (whole.width, whole.height) == (126, 126)
