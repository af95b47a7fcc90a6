"""Convert a decoded frame to the model's input: upright, RGB, scaled, cropped.

One swscale pass converts the decoder's format to RGB at the final scale, with bilinear interpolation as in Model
Garden's own input pipeline. Rotation and crops apply to the small picture before its pixels are copied. The
container's cropping is applied first, see `cropping.py`.

If the picture shrinks clearly, swscale outputs the three colors as planes, and they are interleaved here. The bytes are
the same, and it is faster because FFmpeg has vector code for planes only. Otherwise swscale outputs packed RGB: with
vertical filters of one or two taps, it rounds packed RGB differently from planes.

Color follows the frame's tags (matrix BT.601, BT.709 or BT.2020; limited or full range). Without tags, FFmpeg's
defaults apply: BT.601, limited range (full for the yuvj formats). Transfer functions and primaries are not converted,
as in the training data: HDR video looks pale, but its hues are right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import cast

import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from reelbeam.transforms.media.decoding.cropping import NO_CROPPING, Cropper, Cropping
from reelbeam.transforms.media.decoding.geometry import PADDING, Geometry

__all__ = ["PADDING", "Geometry", "Orientation", "PictureConverter"]

# Without FULL_CHR_H_INT, pairs of neighboring pixels in the small picture would share their chroma.
_INTERPOLATION = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
# From this ratio of heights on, bilinear filters have at least three taps.
_MIN_RATIO_OF_PLANES = 1.25
_PLANES_OF_RGB = (2, 0, 1)  # FFmpeg's order is GBR


@dataclasses.dataclass(frozen=True)
class Orientation:
    """The transformation from stored to displayed picture: transposition, then mirroring; covers all eight cases."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> Orientation:
        """Reads the frame's display matrix."""
        try:
            # Not `frame.side_data`: it and the frame refer to each other, so only the garbage collector would free
            # them. Large frames would pile up to hundreds of megabytes.
            read = cast(Callable[[object], Mapping[str, Buffer]], SideDataContainer)
            matrix = read(frame).get("DISPLAYMATRIX")
        except ValueError:  # PyAV's enumeration does not have every kind of side data (EXIF of MJPEG)
            return cls.of_degrees(-frame.rotation)
        return cls() if matrix is None else cls.of_matrix(np.frombuffer(memoryview(matrix), np.int32))

    @classmethod
    def of_degrees(cls, clockwise_degrees: int) -> Orientation:
        """Returns the orientation for a rotation, rounded to a multiple of 90 degrees."""
        turns = round(clockwise_degrees / 90) % 4
        return cls(transpose=turns in (1, 3), flip_x=turns in (1, 2), flip_y=turns in (2, 3))

    @classmethod
    def of_matrix(cls, matrix: npt.NDArray[np.int32]) -> Orientation:
        """Reads a display matrix, int32 [9]: a stored point (x, y) is displayed at (a x + c y, b x + d y)."""
        a, b, _, c, d = (int(value) for value in matrix[:5])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, flip_x=a < 0, flip_y=d < 0)
        return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Returns a view of the picture, [H, W, 3] or one plane [H, W], in display orientation."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


class PictureConverter:
    """Converts decoded frames to the model's size. It caches the scaler's tables, so use one per decoder."""

    def __init__(self, geometry: Geometry, pixel_aspect_ratio: Fraction, cropping: Cropping = NO_CROPPING) -> None:
        self._cropper = Cropper(cropping)
        self._geometry = geometry
        self._pixel_aspect_ratio = pixel_aspect_ratio
        self._reformatter = VideoReformatter()
        self._scaled_sizes: dict[tuple[int, int], tuple[int, int]] = {}

    def convert(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """Returns uint8 [H, W, 3] with the geometry's shape [H, W], RGB.

        It is an array, or a view that keeps the scaled picture alive.

        Raises:
          av.error.FFmpegError: swscale does not support the frame's format, or the cropping leaves no pixels.
        """
        orientation = Orientation.of_frame(frame)  # read for each frame, because it may change inside a stream
        frame = self._cropper.crop(frame)
        width, height = self._scaled_size(frame.width, frame.height)
        in_planes = frame.height >= _MIN_RATIO_OF_PLANES * height
        scaled = self._reformatter.reformat(
            frame, width, height, "gbrp" if in_planes else "rgb24", interpolation=_INTERPOLATION, threads=1
        )
        if in_planes:
            parts = [orientation.apply(_view(scaled, plane, 1)[:, :, 0]) for plane in _PLANES_OF_RGB]
        else:
            parts = [orientation.apply(_view(scaled, 0, 3))]
        height, width = parts[0].shape[:2]
        squares = [self._square(parts, corner) for corner in self._geometry.corners(width, height)]
        return squares[0] if len(squares) == 1 else np.concatenate(squares, axis=1)

    def _square(self, parts: list[npt.NDArray[np.uint8]], corner: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Returns a square of a picture with its margin, uint8 [side, side, 3].

        Args:
          parts: the picture, [H, W, 3], or its three planes, [H, W].
          corner: top and left of the square.
        """
        cuts = [self._cut(part, corner) for part in parts]
        square = cuts[0]
        if len(cuts) > 1:
            square = np.empty((*cuts[0].shape, 3), np.uint8)
            for channel, cut in enumerate(cuts):
                square[:, :, channel] = cut
        return self._padded(square, corner)

    def _cut(self, part: npt.NDArray[np.uint8], corner: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Returns the square of a picture, or of a plane, with as much of its margin as there is."""
        (top, left), side = corner, self._geometry.side
        return part[max(top, 0) : top + side, max(left, 0) : left + side]

    def _padded(self, cut: npt.NDArray[np.uint8], corner: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Returns what was cut out of a picture with its whole margin."""
        side = self._geometry.side
        if cut.shape == (side, side, 3):
            return cut
        padded = np.empty((side, side, 3), np.uint8)
        padded[:] = PADDING
        top, left = (max(-place, 0) for place in corner)
        padded[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        return padded

    def _scaled_size(self, width: int, height: int) -> tuple[int, int]:
        if (width, height) not in self._scaled_sizes:
            scaled = self._geometry.scaled_size(width, height, self._pixel_aspect_ratio)
            self._scaled_sizes[width, height] = scaled
        return self._scaled_sizes[width, height]


def _view(frame: VideoFrame, index: int, num_channels: int) -> npt.NDArray[np.uint8]:
    """Returns a view of a plane's pixels, [H, W, num_channels]; rows may be padded."""
    plane = frame.planes[index]
    strides = (plane.line_size, num_channels, 1)
    return np.ndarray((frame.height, frame.width, num_channels), np.uint8, memoryview(plane).toreadonly(), 0, strides)
