"""Draw and encode the pictures of one clip."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, WebpPicture
from reelbeam.transforms.filmstrips.tiles import Layout

TILE_SIDE = 112
"""The maximum side of a tile, in pixels."""

_MAX_WIDTH, _MAX_HEIGHT = 224, 126  # of the whole picture: that of 16:9 is a little higher than the strip
_QUALITY = 60
_METHOD = 4
_DIMMED = 0.45
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)

_Frames = npt.NDArray[np.uint8]
_Box = tuple[int, int, int, int]


def draw_filmstrip(frames: _Frames, tile_ms: tuple[int, ...], layout: Layout) -> Filmstrip:
    """Returns the pictures of a clip.

    Args:
      frames: uint8 [T, H, W, 3], decoded with the geometry of the layout.
      tile_ms: the time of each frame.
      layout: where the frames have the picture and the model's square.
    """
    left, top, right, bottom = layout.picture
    pictures = frames[:, top:bottom, left:right]
    left, top, right, bottom = layout.crop
    strip = _strip(pictures[:, top:bottom, left:right])
    return Filmstrip(strip, len(frames), tile_ms, _whole(pictures[len(frames) // 2], layout.crop))


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
