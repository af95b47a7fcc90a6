"""Which frames of a planned clip a filmstrip shows, and which part of their pictures. Pure functions."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.media.decoding.geometry import Geometry
from reelbeam.transforms.records import ClipSpan, MediaInfo

MAX_TILES = 8
"""The maximum number of frames of a filmstrip."""

_MAX_ASPECT_RATIO = 4
_MAX_ASPECT_RATIO_OF_CROPS = 16
"""The whole picture is cut to this ratio of its sides, because one pixel row may be thousands of pixels long. Crops at
its ends have to be in it."""


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


def middle_span(tiles: ClipSpan) -> ClipSpan:
    """Returns the span of the tile of which the whole picture is shown."""
    middle = tiles.sample_steps[len(tiles.sample_steps) // 2]
    return dataclasses.replace(tiles, sample_steps=(middle,), num_real_frames=1)


def whole_geometry(geometry: Geometry, media: MediaInfo) -> Geometry:
    """Returns the geometry that gives whole pictures of a video, with the center square in the middle.

    The margin is that of the long side, on all sides: pictures may be turned or cropped, which `media` does not say.
    """
    ratio = _MAX_ASPECT_RATIO if geometry.crops == "center" else _MAX_ASPECT_RATIO_OF_CROPS
    center = dataclasses.replace(geometry, crops="center")
    longest = max(center.scaled_size(media.width, media.height, media.pixel_aspect_ratio))
    shown = min(longest, ratio * geometry.resize)
    return dataclasses.replace(center, margin=-(-(shown - geometry.size) // 2))
