"""Draw and encode the pictures of one clip."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, WebpPicture
from reelbeam.transforms.media.decoding.geometry import PADDING, Geometry

TILE_SIDE = 112
"""The maximum side of a tile, in pixels."""

_MAX_WIDTH, _MAX_HEIGHT = 224, 126  # of the whole picture: that of 16:9 is a little higher than the strip
_QUALITY = 60
_METHOD = 4
_DIMMED = 0.45
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)

_Frames = npt.NDArray[np.uint8]
_Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""


def draw_filmstrip(frames: _Frames, tile_ms: tuple[int, ...], middle: _Frames, geometry: Geometry) -> Filmstrip:
    """Returns the pictures of a clip.

    Args:
      frames: as the model got them, uint8 [T, H, W, 3] with the geometry's shape [H, W].
      tile_ms: the time of each frame.
      middle: the whole picture of the frame in the middle, uint8 [side, side, 3], see `whole_geometry`.
      geometry: of the model's pictures.
    """
    first = (len(middle) - geometry.size) // 2
    stop = first + geometry.size
    left, top, right, bottom = _without_padding(middle, (first, first, stop, stop))
    boxes = [(first - left, first - top, stop - left, stop - top)]
    if geometry.crops != "center":
        boxes = _seen_boxes(geometry, right - left, bottom - top)
    whole = _whole(middle[top:bottom, left:right], boxes)
    return Filmstrip(_strip(_tiles(frames, geometry)), len(frames), tile_ms, whole, geometry.crops)


def _seen_boxes(geometry: Geometry, width: int, height: int) -> list[_Box]:
    """Returns the parts of a whole picture that the model saw."""
    if geometry.crops == "whole":
        return [(0, 0, width, height)]
    size = geometry.size
    return [(left, top, left + size, top + size) for top, left in geometry.corners(width, height)]


def _tiles(frames: _Frames, geometry: Geometry) -> _Frames:
    """Returns the frames as squares, [T, side, side, 3]: several crops in a grid, row by row."""
    if geometry.num_crops == 1:
        return frames
    size = geometry.size
    tiles = np.zeros((len(frames), 2 * size, 2 * size, 3), np.uint8)
    for crop in range(geometry.num_crops):
        top, left = crop // 2 * size, crop % 2 * size
        tiles[:, top : top + size, left : left + size] = frames[:, :, crop * size : (crop + 1) * size]
    return tiles


def _without_padding(picture: _Frames, square: _Box) -> _Box:
    """Returns the smallest box that has the square and all pixels that are not padding."""
    is_shown = (picture != PADDING).any(axis=2)
    rows, columns = is_shown.any(axis=1).nonzero()[0], is_shown.any(axis=0).nonzero()[0]
    left, top, right, bottom = square
    if len(rows):
        top, bottom = min(top, int(rows[0])), max(bottom, int(rows[-1]) + 1)
        left, right = min(left, int(columns[0])), max(right, int(columns[-1]) + 1)
    return left, top, right, bottom


def _strip(squares: _Frames) -> WebpPicture:
    """Returns the model's frames side by side."""
    num_tiles, size = squares.shape[:2]
    side = min(size, TILE_SIDE)
    strip = Image.new("RGB", (num_tiles * side, side))
    for tile, square in enumerate(squares):
        strip.paste(_scaled(square, side, side), (tile * side, 0))
    return _webp(strip)


def _whole(picture: _Frames, crops: Sequence[_Box]) -> WebpPicture:
    """Returns the whole picture with the model's squares framed, and the rest dimmed."""
    height, width = picture.shape[:2]
    factor = min(_MAX_WIDTH / width, _MAX_HEIGHT / height, 1)
    scaled_width, scaled_height = max(round(width * factor), 1), max(round(height * factor), 1)
    scaled = np.array(_scaled(picture, scaled_width, scaled_height))
    x, y = scaled_width / width, scaled_height / height
    boxes = [[round(edge * by) for edge, by in zip(crop, (x, y, x, y), strict=True)] for crop in crops]
    drawn = (scaled * _DIMMED).astype(np.uint8)
    for left, top, right, bottom in boxes:
        _outline(drawn, (left - 1, top - 1, right + 1, bottom + 1), _DARK)
    for left, top, right, bottom in boxes:
        drawn[top:bottom, left:right] = scaled[top:bottom, left:right]
    for left, top, right, bottom in boxes:
        _outline(drawn, (left, top, right, bottom), _LIGHT)
    return _webp(Image.fromarray(drawn))


def _outline(picture: _Frames, box: _Box, color: tuple[int, int, int]) -> None:
    """Draws the outermost pixels of a box; it may extend past the picture."""
    left, top, right, bottom = box
    inside = (slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0)))
    for row in (top, bottom - 1):
        if 0 <= row < picture.shape[0]:
            picture[row, inside[1]] = color
    for column in (left, right - 1):
        if 0 <= column < picture.shape[1]:
            picture[inside[0], column] = color


def _scaled(picture: _Frames, width: int, height: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BICUBIC)


def _webp(image: Image.Image) -> WebpPicture:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=_METHOD)
    return WebpPicture(file.getvalue(), image.width, image.height)
