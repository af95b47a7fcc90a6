"""Draw and encode the pictures of one clip."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, WebpPicture
from reelbeam.transforms.media.decoding.picture import PADDING, Geometry

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


def draw_filmstrip(frames: _Frames, tile_ms: tuple[int, ...], geometry: Geometry) -> Filmstrip:
    """Returns the pictures of a clip.

    Args:
      frames: uint8 [T, side, side, 3], decoded with the geometry.
      tile_ms: the time of each frame.
      geometry: of whole pictures, see `whole_geometry`.
    """
    first, stop = geometry.margin, geometry.margin + geometry.size
    strip = _strip(frames[:, first:stop, first:stop])
    middle = frames[len(frames) // 2]
    left, top, right, bottom = _without_padding(middle, (first, first, stop, stop))
    whole = _whole(middle[top:bottom, left:right], (first - left, first - top, stop - left, stop - top))
    return Filmstrip(strip, len(frames), tile_ms, whole)


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


def _whole(picture: _Frames, crop: _Box) -> WebpPicture:
    """Returns the whole picture with the model's square framed, and the rest dimmed."""
    height, width = picture.shape[:2]
    factor = min(_MAX_WIDTH / width, _MAX_HEIGHT / height, 1)
    scaled_width, scaled_height = max(round(width * factor), 1), max(round(height * factor), 1)
    scaled = np.array(_scaled(picture, scaled_width, scaled_height))
    x, y = scaled_width / width, scaled_height / height
    left, top, right, bottom = (round(edge * by) for edge, by in zip(crop, (x, y, x, y), strict=True))
    drawn = (scaled * _DIMMED).astype(np.uint8)
    _outline(drawn, (left - 1, top - 1, right + 1, bottom + 1), _DARK)
    drawn[top:bottom, left:right] = scaled[top:bottom, left:right]
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
