"""Filmstrips of runs with other crops: the tiles are the model's pixels, and the frames are where the crops are."""

from __future__ import annotations

import io
import pathlib

import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest
from filmstrip_factory import labeled_run
from PIL import Image

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, WebpPicture
from reelbeam.transforms.filmstrips.making import make_filmstrips
from reelbeam.transforms.filmstrips.pictures import draw_filmstrip
from reelbeam.transforms.media.decoding.decoder import decode_clips
from reelbeam.transforms.media.decoding.geometry import PADDING, Crops, Geometry
from reelbeam.transforms.media.decoding.probe import probe

Picture = npt.NDArray[np.uint8]


def pixels(picture: WebpPicture) -> npt.NDArray[np.int64]:
    with Image.open(io.BytesIO(picture.webp)) as image:
        return np.array(image.convert("RGB")).astype(int)


def blocks(index: int, width: int, height: int) -> Picture:
    """Returns a picture of blocks of chance grays, which move. WebP keeps grays better than colors."""
    grays = np.random.default_rng(1).integers(0, 256, (-(-height // 8), -(-width // 8), 1), np.uint8)
    picture = np.repeat(np.repeat(grays, 8, axis=0), 8, axis=1)[:height, :width].repeat(3, axis=2)
    return np.roll(picture, 8 * index, axis=1)


def in_tile(frames: Picture, crops: Crops) -> Picture:
    """Returns the model's frames as they are in tiles, before they are scaled."""
    if crops != "three":
        return frames
    first, second, third = np.split(frames, 3, axis=2)
    upper = np.concatenate([first, second], axis=2)
    return np.concatenate([upper, np.concatenate([third, np.zeros_like(third)], axis=2)], axis=1)


@pytest.mark.parametrize("crops", ["three", "whole"])
@pytest.mark.parametrize(("width", "height", "rotation"), [(200, 72, 0), (200, 72, 90), (72, 120, 0), (80, 80, 0)])
def test_tiles_are_the_pixels_of_the_model(
    tmp_path: pathlib.Path, crops: Crops, width: int, height: int, rotation: int
) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 50, 10, width, height, draw=blocks, rotation=rotation)
    run = labeled_run(tmp_path / "out", f"--crops={crops}")
    clips = run.clips(path)
    made = make_filmstrips(clips, str(run.output))
    decoded = decode_clips(path, probe(path), run.spans(path), run.config.geometry)
    for clip, (span, frames) in zip(clips, decoded, strict=True):
        strip = made[clip.key]
        assert isinstance(strip, Filmstrip) and strip.crops == crops
        at = [round(seconds * 1000) for seconds in span.sample_seconds]
        shown = in_tile(frames[[at.index(milliseconds) for milliseconds in strip.tile_ms]], crops)
        tiles = np.split(pixels(strip.strip), strip.num_tiles, axis=1)
        for tile, expected in zip(tiles, shown, strict=True):
            scaled = Image.fromarray(expected).resize(tile.shape[:2], Image.Resampling.BICUBIC)
            assert np.abs(tile - np.array(scaled).astype(int)).mean() < 8
        ratio = strip.whole.width / strip.whole.height
        shape = (height, width) if rotation == 90 else (width, height)
        assert ratio == pytest.approx(shape[0] / shape[1], rel=0.03), "the whole picture is not squeezed"


def drawn(width: int, height: int, geometry: Geometry) -> Picture:
    """Returns the whole picture of a gray video of this size at the final scale."""
    side = max(width, height)
    middle = np.empty((side, side, 3), np.uint8)
    middle[:] = PADDING
    top, left = (side - height) // 2, (side - width) // 2
    middle[top : top + height, left : left + width] = 128
    frames = np.full((1, *geometry.shape, 3), 128, np.uint8)
    return pixels(draw_filmstrip(frames, (0,), middle, geometry).whole).mean(axis=2).astype(np.uint8)


@pytest.mark.parametrize("turned", [False, True])
def test_three_squares_are_framed(turned: bool) -> None:
    geometry = Geometry(100, 60, crops="three")
    whole = drawn(100, 220, geometry).T if turned else drawn(220, 100, geometry)
    assert whole.shape == ((100, 220) if not turned else (126 * 100 // 220, 126))
    scale = whole.shape[1] / 220
    row = whole[whole.shape[0] // 2].astype(int)
    edges = [round(each * scale) for each in (0, 60, 80, 140, 160, 220)]
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        assert row[left] > 190 and row[right - 1] > 190, "light lines"
        assert (abs(row[left + 4 : right - 4] - 128) < 16).all(), "inside, the picture as it is"
    for right, left in zip(edges[1:-1:2], edges[2::2], strict=True):
        assert (row[right + 4 : left - 4] < 90).all(), "between them, a dimmed one"
    assert whole[1].max() < 100 and whole[-2].max() < 100, "above and below, a dimmed one"


def test_a_squeezed_picture_is_framed_at_its_edges() -> None:
    whole = drawn(200, 100, Geometry(100, 60, crops="whole")).astype(int)
    assert whole.shape == (100, 200)
    assert min(whole[50, 0], whole[50, -1], whole[0, 100], whole[-1, 100]) > 190
    assert (abs(whole[5:-5, 5:-5] - 128) < 16).all()
