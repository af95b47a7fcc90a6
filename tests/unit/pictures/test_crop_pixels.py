"""The parts of a picture: three crops, and a whole picture, against pictures that are scaled by the same code."""

from __future__ import annotations

import pathlib
from fractions import Fraction

import av
import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import VideoReformatter
from record_factory import span_at

from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.geometry import PADDING, Crops, Geometry
from reelbeam.transforms.media.decoding.picture import _INTERPOLATION, Orientation, PictureConverter
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sandbox import sandboxed

Picture = npt.NDArray[np.uint8]

SIZES = [(40, 24), (24, 40), (24, 24), (25, 24), (97, 55), (400, 24), (131, 999), (64, 7), (13, 1), (1, 13), (1, 1)]


def chance_frame(width: int, height: int, pixel_format: str = "rgb24") -> av.VideoFrame:
    pixels = np.random.default_rng(width + height).integers(0, 256, (height, width, 3), np.uint8)
    return av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pixel_format)


def converted(frame: av.VideoFrame, geometry: Geometry, pixel_aspect_ratio: Fraction = Fraction(1)) -> Picture:
    return PictureConverter(geometry, pixel_aspect_ratio).convert(frame)


def whole_of(frame: av.VideoFrame, geometry: Geometry, pixel_aspect_ratio: Fraction = Fraction(1)) -> Picture:
    """Returns the whole scaled picture, of which the default is the center."""
    longest = max(geometry.scaled_size(frame.width, frame.height, pixel_aspect_ratio))
    picture = converted(frame, Geometry(geometry.resize, geometry.size, margin=longest), pixel_aspect_ratio)
    is_shown = (picture != PADDING).any(axis=2)
    rows, columns = is_shown.any(axis=1).nonzero()[0], is_shown.any(axis=0).nonzero()[0]
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def three_of(whole: Picture, size: int) -> Picture:
    """Returns the squares at the start, in the middle and at the end of the long side, side by side."""
    height, width = whole.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    places = [(top, 0), (top, left), (top, width - size)]
    if height > width:
        places = [(0, left), (top, left), (height - size, left)]
    return np.concatenate([whole[y : y + size, x : x + size] for y, x in places], axis=1)


@pytest.mark.parametrize("pixel_format", ["rgb24", "yuv420p"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_three_crops_are_parts_of_the_scaled_picture(width: int, height: int, pixel_format: str) -> None:
    geometry, frame = Geometry(24, 11, crops="three"), chance_frame(width, height, pixel_format)
    picture = converted(frame, geometry)
    assert picture.shape == (*geometry.shape, 3) == (11, 33, 3)
    assert np.array_equal(picture, three_of(whole_of(frame, geometry), 11))


@pytest.mark.parametrize("pixel_format", ["rgb24", "yuv420p"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_crop_in_the_middle_is_the_default(width: int, height: int, pixel_format: str) -> None:
    frame = chance_frame(width, height, pixel_format)
    picture = converted(frame, Geometry(24, 11, crops="three"))
    assert np.array_equal(picture[:, 11:22], converted(frame, Geometry(24, 11)))


def test_crops_of_a_square_without_margin_are_equal() -> None:
    first, second, third = np.split(converted(chance_frame(50, 50), Geometry(16, 16, crops="three")), 3, axis=1)
    assert np.array_equal(first, second) and np.array_equal(first, third)


def test_three_crops_of_an_anamorphic_picture() -> None:
    geometry, frame, ratio = Geometry(24, 11, crops="three"), chance_frame(72, 58), Fraction(64, 45)
    assert geometry.scaled_size(72, 58, ratio) == (42, 24)
    assert np.array_equal(converted(frame, geometry, ratio), three_of(whole_of(frame, geometry, ratio), 11))


@pytest.mark.parametrize("pixel_format", ["rgb24", "yuv420p"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_whole_picture_is_squeezed(width: int, height: int, pixel_format: str) -> None:
    frame = chance_frame(width, height, pixel_format)
    picture = converted(frame, Geometry(24, 11, crops="whole"))
    squeezed = VideoReformatter().reformat(frame, 11, 11, "rgb24", interpolation=_INTERPOLATION).to_ndarray()
    assert picture.shape == (11, 11, 3)
    # Packed RGB and planes are rounded differently, see `picture.py`.
    assert np.abs(picture.astype(int) - squeezed).max() <= 1


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(("width", "height"), [(160, 90), (90, 160), (97, 61), (80, 80)])
def test_crops_are_upright(tmp_path: pathlib.Path, width: int, height: int, rotation: int, mirror: bool) -> None:
    path = generate.make_video(
        tmp_path / "v.mp4", 2, 10, width, height, pix_fmt="yuv444p", draw=generate.draw_moving, rotation=rotation,
        mirror=mirror,
    )  # fmt: skip
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    turned = Orientation.of_frame(frame)
    three = first_picture(path, "three")
    assert np.array_equal(three, three_of(whole_of(frame, Geometry(72, 64)), 64))
    whole = first_picture(path, "whole")
    assert np.array_equal(whole, converted(frame, Geometry(72, 64, crops="whole")))
    stored = VideoReformatter().reformat(frame, 64, 64, "rgb24", interpolation=_INTERPOLATION).to_ndarray()
    assert np.abs(whole.astype(int) - turned.apply(stored.astype(np.uint8))).max() <= 1


def first_picture(path: pathlib.Path, crops: Crops) -> Picture:
    """Returns the first picture of a video, which is the same from the library and from the sandbox."""
    geometry, media, spans = Geometry(72, 64, crops=crops), probe(path), [span_at(0, Fraction(0))]
    ((_, here),) = decode_clips(path, media, spans, geometry)
    ((_, frames),) = sandboxed.decode_clips(str(path), media, spans, geometry, DEFAULT_LIMITS)
    assert np.array_equal(here, frames) and frames.shape[1:] == (*geometry.shape, 3)
    picture: Picture = frames[0]
    return picture


def test_a_margin_is_for_the_center_only() -> None:
    with pytest.raises(ValueError, match="margin=3"):
        Geometry(24, 11, margin=3, crops="three")


def test_the_fingerprint_is_about_pixels() -> None:
    def fingerprint(resize: int, size: int, margin: int = 0, crops: Crops = "center") -> str:
        return Geometry(resize, size, margin, crops).fingerprint

    assert fingerprint(192, 172) == "192 172" == fingerprint(192, 172, 5), "as before there were other crops"
    assert fingerprint(192, 172, crops="whole") == fingerprint(256, 172, crops="whole")
    others = [fingerprint(192, 172), fingerprint(200, 172), fingerprint(192, 172, crops="three")]
    assert len({*others, fingerprint(200, 172, crops="three"), fingerprint(192, 172, crops="whole")}) == 5
