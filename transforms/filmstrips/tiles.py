"""Which frames of a planned clip a filmstrip shows, and which part of their pictures. Pure functions."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.records import ClipSpan, MediaInfo

MAX_TILES = 8
"""The maximum number of frames of a filmstrip."""

_MAX_ASPECT_RATIO = 4
"""The whole picture is cut to this ratio of its sides, because one pixel row may be thousands of pixels long."""


def tile_span(clip: ClipSpan) -> ClipSpan:
    """Returns a clip with the instants that its filmstrip shows.

    They are spread evenly over the instants of the clip, without the warm-up, and without repeats of a short video.
    """
    first = clip.num_warm_up_frames
    steps = clip.sample_steps[first : first + clip.num_real_frames]
    num_tiles = min(MAX_TILES, len(steps))
    chosen = tuple(steps[(2 * tile + 1) * len(steps) // (2 * num_tiles)] for tile in range(num_tiles))
    return dataclasses.replace(
        clip,
        sample_steps=chosen,
        num_real_frames=num_tiles,
        num_warm_up_frames=0,
        continues=False,
        is_continued=False,
    )


def tile_times(span: ClipSpan) -> tuple[int, ...]:
    """Returns the instants of a clip in whole milliseconds of the video, rounded."""
    return tuple(round(seconds * 1000) for seconds in span.sample_seconds)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where decoded pictures have their pixels. All coordinates are (left, top, right, bottom) in pixels.

    Attributes:
      geometry: decodes the whole pictures.
      picture: the place of the picture; what is outside is padding.
      crop: the place of the model's square in the picture.
    """

    geometry: Geometry
    picture: tuple[int, int, int, int]
    crop: tuple[int, int, int, int]

    @classmethod
    def of(cls, geometry: Geometry, media: MediaInfo) -> Layout:
        """Returns the layout for the pictures of a video.

        Args:
          geometry: scale and crop of the model.
          media: the properties of the video.
        """
        width, height = geometry.scaled_size(media.width, media.height, media.pixel_aspect_ratio)
        if media.rotation_degrees in (90, 270):
            width, height = height, width
        (left, right, margin_x), (top, bottom, margin_y) = _axis(width, geometry), _axis(height, geometry)
        x, y, size = margin_x - left, margin_y - top, geometry.size
        whole = dataclasses.replace(geometry, margin_x=margin_x, margin_y=margin_y)
        return cls(whole, (left, top, right, bottom), (x, y, x + size, y + size))


def _axis(length: int, geometry: Geometry) -> tuple[int, int, int]:
    """Returns start and end of the picture in a decoded picture, and the margin, along one axis."""
    shown = min(length, _MAX_ASPECT_RATIO * geometry.resize)
    margin = -(-(shown - geometry.size) // 2)
    start = max(margin - (length - geometry.size) // 2, 0)
    return start, min(start + length, geometry.size + 2 * margin), margin
