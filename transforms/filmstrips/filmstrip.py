"""The pictures of one clip as dataclasses."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from reelbeam.transforms.media.decoding.geometry import Crops


@dataclasses.dataclass(frozen=True)
class WebpPicture:
    """An encoded picture.

    Attributes:
      webp: the file.
      width, height: in pixels.
    """

    webp: bytes
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Filmstrip:
    """The pictures of a clip.

    Attributes:
      strip: `num_tiles` square frames from left to right, exactly the pixels that the model got, then scaled. Three
        crops are two beside each other, and the third below the first.
      num_tiles: the number of frames.
      tile_ms: the time in the video that each frame shows.
      whole: the middle frame before it was cropped. The parts that the model saw are framed; the rest is dimmed.
      crops: which parts of its pictures the model saw.
    """

    strip: WebpPicture
    num_tiles: int
    tile_ms: tuple[int, ...]
    whole: WebpPicture
    crops: Crops = "center"


@dataclasses.dataclass(frozen=True)
class NoFilmstrip:
    """Why a clip has no pictures.

    Attributes:
      reason: "gone": the video does not exist; "changed": its content is not what was labeled; "unreadable": it cannot
        be read or decoded now; "omitted": pictures were not requested, or the report would be too large.
      message: the error text; "" if there is none.
    """

    reason: Literal["gone", "changed", "unreadable", "omitted"]
    message: str = ""


Pictures: TypeAlias = Filmstrip | NoFilmstrip
