"""Make wide videos of known classes: each clip at one side of a 21:9 picture, for `benchmarks.accuracy`.

The clips are at the left and at the right in turn. The rest of the picture is black, or shows the middle of another
clip. The frames keep their times. The same clips give the same videos.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

Beside = Literal["black", "another clip"]
BESIDE: tuple[Beside, ...] = ("black", "another clip")

Picture = npt.NDArray[np.uint8]

_WIDTH, _HEIGHT = 560, 240
_X264 = {"crf": "18", "preset": "veryfast", "threads": "1"}
_OTHER = 7
"""How many clips further the other clip is in the list."""


def make_wide(clips: pathlib.Path, folder: pathlib.Path, beside: Beside) -> None:
    """Writes a wide video for each clip, and their truth file.

    Args:
      clips: a folder of videos with `truth.csv`.
      folder: where to; it is created.
      beside: what is beside a clip.
    """
    folder.mkdir()
    paths = sorted(path for path in clips.iterdir() if path.suffix not in (".csv", ".md"))
    for number, path in enumerate(paths):
        other = paths[(number + _OTHER) % len(paths)] if beside == "another clip" else None
        _write(folder / f"{path.stem}.mkv", path, other, is_left=number % 2 == 0)
    truth = (clips / "truth.csv").read_text("utf-8")
    for path in paths:
        truth = truth.replace(path.name, f"{path.stem}.mkv")
    (folder / "truth.csv").write_text(truth, "utf-8")


def _write(to: pathlib.Path, path: pathlib.Path, other: pathlib.Path | None, is_left: bool) -> None:
    others = _endless(other) if other else None
    with av.open(str(to), "w") as sink:
        stream = sink.add_stream("libx264", rate=30, options=_X264)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        last = -1
        for seconds, picture in _pictures(path):
            wide = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
            width = min(picture.shape[1], _WIDTH)
            place, rest = slice(None, width), slice(width, None)
            if not is_left:
                place, rest = slice(_WIDTH - width, None), slice(None, _WIDTH - width)
            wide[:, place] = picture[:, :width]
            if others is not None:
                wide[:, rest] = _middle(next(others), _WIDTH - width)
            frame = av.VideoFrame.from_ndarray(wide, "rgb24")
            frame.time_base = stream.time_base
            frame.pts = last = max(round(seconds * 1000), last + 1)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))


def _pictures(path: pathlib.Path) -> Iterator[tuple[float, Picture]]:
    """Yields the time and the picture of each frame, at the height of the wide pictures."""
    with av.open(str(path)) as container:
        first = None
        for frame in container.decode(video=0):
            if frame.time is None:
                continue
            first = frame.time if first is None else first
            width = round(frame.width * _HEIGHT / frame.height)
            yield frame.time - first, frame.reformat(width, _HEIGHT, "rgb24").to_ndarray().astype(np.uint8, copy=False)


def _endless(path: pathlib.Path) -> Iterator[Picture]:
    while True:
        for _, picture in _pictures(path):
            yield picture


def _middle(picture: Picture, width: int) -> Picture:
    """Returns the middle of a picture, or the whole one enlarged if it is narrower."""
    if picture.shape[1] < width:
        enlarged = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(width, _HEIGHT)
        picture = enlarged.to_ndarray().astype(np.uint8, copy=False)
    left = (picture.shape[1] - width) // 2
    return picture[:, left : left + width]
