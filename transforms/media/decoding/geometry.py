"""Which part of a picture the model gets, and at which size. Pure."""

from __future__ import annotations

import dataclasses
import typing
from fractions import Fraction
from typing import Literal

PADDING = (255, 0, 255)
"""The color around pictures that are smaller than the margin of their geometry; edges of pictures do not have it."""

Crops = Literal["center", "three", "whole"]
"""The part of a picture: the square in its center; three squares along its long side; all of it."""

CROPS: tuple[Crops, ...] = typing.get_args(Crops)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The scaled size of a picture, and the squares to cut out of it.

    Attributes:
      resize: the length of the short side after scaling, in pixels. A whole picture does not use it.
      size: the side of a square, in pixels; at most `resize`.
      margin: how many more pixels to keep on each side of a center square. The square has the same pixels with any
        margin. Where the picture ends before the margin, the rest has the color `PADDING`.
      crops: the part of the picture. "three" are the squares at the start, in the middle and at the end of the long
        side, from left to right or from top to bottom; they overlap unless the picture is very wide. "whole" is the
        picture squeezed into the square: both of its sides get `size` pixels.
    """

    resize: int
    size: int
    margin: int = 0
    crops: Crops = "center"

    def __post_init__(self) -> None:
        if not 0 < self.size <= self.resize:
            raise ValueError(f"size={self.size}, resize={self.resize}: must be 0 < size <= resize")
        if self.margin < 0:
            raise ValueError(f"margin={self.margin}: must be 0 or more")
        if self.margin and self.crops != "center":
            raise ValueError(f"margin={self.margin}: must be 0 for crops={self.crops}")

    @property
    def side(self) -> int:
        """The side of a square with its margin, in pixels."""
        return self.size + 2 * self.margin

    @property
    def num_crops(self) -> int:
        """The number of squares that are cut out of a picture."""
        return 3 if self.crops == "three" else 1

    @property
    def shape(self) -> tuple[int, int]:
        """The height and the width of what is cut out, in pixels: the squares are side by side."""
        return self.side, self.num_crops * self.side

    @property
    def fingerprint(self) -> str:
        """A text that changes if and only if the pixels change. A margin does not change them."""
        if self.crops == "whole":
            return f"whole {self.size}"
        return f"{self.resize} {self.size}" + (" three" if self.crops == "three" else "")

    def scaled_size(self, width: int, height: int, pixel_aspect_ratio: Fraction) -> tuple[int, int]:
        """Returns (width, height) of a whole picture after scaling.

        The short side of the displayed picture is `resize`.
        """
        if self.crops == "whole":
            return self.size, self.size
        display_width = width * pixel_aspect_ratio
        factor = self.resize / min(display_width, Fraction(height))
        return _round_half_up(display_width * factor), _round_half_up(height * factor)

    def corners(self, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """Returns top and left of each square in a scaled upright picture, with its margin.

        They are negative where the margin extends past the picture.
        """
        top, left = (height - self.size) // 2 - self.margin, (width - self.size) // 2 - self.margin
        if self.crops != "three":
            return ((top, left),)
        if height > width:
            return (0, left), (top, left), (height - self.size, left)
        return (top, 0), (top, left), (top, width - self.size)


def _round_half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))
