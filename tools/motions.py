"""Seeded motion videos: one bright shape that moves, rotates, grows, shrinks or does not move.

The bundled demo model is trained on these scenes, the sample videos show nine of them, and the accuracy benchmark
renders held-out ones. A scene is a function of time, so it can be rendered at any frame rate, size and aspect ratio.

Lengths are in units of half the frame's short side, from the frame's centre, x to the right and y downwards: the centre
square crop, all that the model sees, is [-1, 1] x [-1, 1] for any aspect ratio.

    >>> import numpy as np
    >>> scene = draw_scene(np.random.default_rng(7), label="moving left")
    >>> render(scene, time_seconds=0.5, width=160, height=120).shape
    (120, 160, 3)
"""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tools.shapes import SHAPES, Array

Frame = npt.NDArray[np.uint8]
Color = tuple[float, float, float]

LABELS = (
    "growing",
    "moving down",
    "moving left",
    "moving right",
    "moving up",
    "rotating clockwise",
    "rotating counterclockwise",
    "shrinking",
    "standing still",
)
DIRECTIONS = {
    "moving down": (0.0, 1.0),
    "moving left": (-1.0, 0.0),
    "moving right": (1.0, 0.0),
    "moving up": (0.0, -1.0),
}
# The frame rate of the demo model's clips, for which the speeds below are chosen.
CLIP_FPS = 4.0
# The distance between the copies of a moving shape, so that one is always visible.
WRAP_DISTANCE = 2.3
SMALLEST_RADIUS, LARGEST_RADIUS = 0.16, 0.95
# x264's macroblock tree reads uninitialized memory. With it, the same frames give different bytes in each run.
STEADY_X264 = {"x264-params": "no-mbtree=1:log-level=error"}


@dataclass(frozen=True)
class Blob:
    """A dim, motionless disc on the ground, as a distraction."""

    x: float
    y: float
    radius: float
    color: Color


@dataclass(frozen=True)
class Scene:
    """The content of a video at any time."""

    label: str
    shape: str
    color: Color
    x: float  # the shape's centre at time 0
    y: float
    radius: float  # of the circle around the shape, at time 0
    angle: float  # radians, clockwise, at time 0
    rate: float  # moving: lengths a second; turning: radians a second; else: e-foldings a second
    ground: tuple[Color, Color]  # the gradient's two ends
    ground_angle: float
    waves: tuple[Color, ...]  # (x frequency, y frequency, amplitude) of the ground's texture
    blobs: tuple[Blob, ...]


def render(scene: Scene, time_seconds: float, width: int, height: int) -> Frame:
    """Returns the scene at a time, as uint8 RGB [height, width, 3]."""
    x, y = _grid(width, height)
    shape_x, shape_y = x - np.float32(scene.x), y - np.float32(scene.y)
    radius, angle = scene.radius, scene.angle
    if scene.label in DIRECTIONS:
        step_x, step_y = DIRECTIONS[scene.label]
        distance = np.float32(scene.rate * time_seconds)
        # Wrap only along the direction of motion: one row or column of copies, not a grid.
        shape_x = _wrap(shape_x - step_x * distance) if step_x else shape_x
        shape_y = _wrap(shape_y - step_y * distance) if step_y else shape_y
    elif scene.label.startswith("rotating"):
        angle += scene.rate * time_seconds
    else:
        radius *= math.exp(scene.rate * time_seconds)
    cos, sin = np.float32(math.cos(angle) / radius), np.float32(math.sin(angle) / radius)
    field, _ = SHAPES[scene.shape]
    distance_in_radii = field(shape_x * cos + shape_y * sin, shape_y * cos - shape_x * sin)
    ground = _ground(scene, width, height)
    cover = _cover(distance_in_radii * np.float32(radius), width, height)
    return np.rint(ground + cover * (_array(scene.color) * np.float32(255) - ground)).astype(np.uint8)


def draw_scene(
    rng: np.random.Generator,
    label: str | None = None,
    duration_seconds: float = 6.0,
    clutter: float = 1.0,
) -> Scene:
    """Draws a scene.

    Args:
        rng: the only source of randomness.
        label: the action; None draws it too.
        duration_seconds: how long a growing or shrinking shape must stay between visible and too large.
        clutter: the amount of distraction, from 0 (flat, black ground) to 1.
    """
    label = label or LABELS[rng.integers(len(LABELS))]
    shape = _draw_shape(rng, label)
    rate = _draw_rate(rng, label, shape, duration_seconds)
    x, y = _draw_position(rng, label)
    return Scene(
        label=label,
        shape=shape,
        color=_draw_color(rng, low=0.7, high=1.0),
        x=x,
        y=y,
        radius=_draw_radius(rng, label, rate * duration_seconds),
        angle=rng.uniform(0, 2 * math.pi),
        rate=rate,
        ground=(
            _draw_color(rng, low=0.0, high=0.3 * clutter),
            _draw_color(rng, low=0.0, high=0.3 * clutter),
        ),
        ground_angle=rng.uniform(0, 2 * math.pi),
        waves=tuple(_draw_wave(rng, clutter) for _ in range(3)),
        blobs=tuple(_draw_blob(rng, clutter) for _ in range(rng.integers(0, 1 + round(3 * clutter)))),
    )


def write_video(
    path: Path,
    frames: Iterable[Frame],
    fps: Fraction,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    ticks: Iterable[int] | None = None,
    rotation_degrees: int = 0,
) -> None:
    """Encodes frames to a file. The same frames give the same bytes in every run (x264 needs STEADY_X264).

    Args:
        path: the file; its suffix determines the container.
        frames: uint8 RGB [H, W, 3], of one size.
        fps: frames per second.
        codec: an FFmpeg encoder.
        pix_fmt: the format of the encoded pixels.
        options: the encoder's options, such as crf.
        ticks: the display times of frames in units of 1 / fps, for a variable frame rate; by default 0, 1, 2, …
        rotation_degrees: the counterclockwise rotation that a player applies to the frames.
    """
    # Without bitexact, Matroska and WebM files contain random ids. With several threads, results may differ by machine.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        moments = iter(ticks) if ticks is not None else None
        for index, pixels in enumerate(frames):
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
                if rotation_degrees:
                    stream.set_display_rotation(rotation_degrees)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index if moments is None else next(moments)
            frame.time_base = 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _draw_shape(rng: np.random.Generator, label: str) -> str:
    turning = label.startswith("rotating")
    names = [name for name, (_, symmetry) in SHAPES.items() if symmetry or not turning]
    return names[rng.integers(len(names))]


def _draw_rate(rng: np.random.Generator, label: str, shape: str, duration_seconds: float) -> float:
    if label == "standing still":
        return 0.0
    if label in DIRECTIONS:
        return float(rng.uniform(0.05, 0.22) * WRAP_DISTANCE * CLIP_FPS)
    if label.startswith("rotating"):
        # Between two sampled frames, the shape rotates by less than half of its symmetry angle, so the direction is
        # unambiguous. Over two steps it rotates by more: sampled at half the rate, it seems to rotate backward.
        step = rng.uniform(0.28, 0.4) * 2 * math.pi / SHAPES[shape][1]
        return float(step * CLIP_FPS * (1 if label == "rotating clockwise" else -1))
    # At least 1.5 times as large or small within 2 seconds, and visible all the time.
    fastest = math.log(LARGEST_RADIUS / SMALLEST_RADIUS) / duration_seconds
    rate = rng.uniform(math.log(1.55) / 2, max(min(fastest, 0.6), math.log(1.6) / 2))
    return float(rate if label == "growing" else -rate)


def _draw_radius(rng: np.random.Generator, label: str, foldings: float) -> float:
    if label in DIRECTIONS:
        return float(rng.uniform(0.22, 0.55))
    if label.startswith("rotating"):
        return float(rng.uniform(0.4, 0.85))
    lowest = SMALLEST_RADIUS * math.exp(max(-foldings, 0))
    highest = LARGEST_RADIUS * math.exp(min(-foldings, 0))
    return float(math.exp(rng.uniform(math.log(lowest), math.log(max(lowest, highest)))))


def _draw_position(rng: np.random.Generator, label: str) -> tuple[float, float]:
    step_x, step_y = DIRECTIONS.get(label, (0.0, 0.0))
    slack = 0.3 if step_x == step_y else 0.6
    x, y = rng.uniform(-slack, slack, 2)
    along = rng.uniform(-WRAP_DISTANCE / 2, WRAP_DISTANCE / 2)
    return float(along if step_x else x), float(along if step_y else y)


def _draw_color(rng: np.random.Generator, low: float, high: float) -> Color:
    """Returns a color of any hue and saturation whose strongest channel is between low and high."""
    channels = rng.uniform(0, 1, 3) ** rng.uniform(0, 2)
    red, green, blue = channels / channels.max() * rng.uniform(low, high)
    return float(red), float(green), float(blue)


def _draw_wave(rng: np.random.Generator, clutter: float) -> Color:
    frequency_x, frequency_y = rng.uniform(-12, 12, 2)
    return float(frequency_x), float(frequency_y), float(rng.uniform(0, 0.03 * clutter))


def _draw_blob(rng: np.random.Generator, clutter: float) -> Blob:
    x, y = rng.uniform(-1.2, 1.2, 2)
    color = _draw_color(rng, low=0.0, high=0.45 * clutter)
    return Blob(float(x), float(y), float(rng.uniform(0.08, 0.4)), color)


@functools.lru_cache(maxsize=8)
def _grid(width: int, height: int) -> tuple[Array, Array]:
    half = min(width, height) / 2
    xs = ((np.arange(width) + 0.5 - width / 2) / half).astype(np.float32)
    ys = ((np.arange(height) + 0.5 - height / 2) / half).astype(np.float32)
    x, y = np.meshgrid(xs, ys)
    return x, y


@functools.lru_cache(maxsize=8)
def _ground(scene: Scene, width: int, height: int) -> Array:
    """Returns the motionless background, as float32 [H, W, 3] in 0 to 255."""
    x, y = _grid(width, height)
    across = x * np.float32(math.cos(scene.ground_angle)) + y * np.float32(math.sin(scene.ground_angle))
    mix = np.clip(across / 2 + np.float32(0.5), 0, 1)[..., None]
    start, end = _array(scene.ground[0]), _array(scene.ground[1])
    ground = start + mix * (end - start)
    for frequency_x, frequency_y, amplitude in scene.waves:
        wave = np.sin(x * np.float32(frequency_x) + y * np.float32(frequency_y))
        ground += np.float32(amplitude) * wave[..., None]
    for blob in scene.blobs:
        distance = np.hypot(x - np.float32(blob.x), y - np.float32(blob.y)) - np.float32(blob.radius)
        ground += _cover(distance, width, height) * (_array(blob.color) - ground)
    return np.clip(ground, 0, 1) * np.float32(255)


def _array(color: Color) -> Array:
    return np.array(color, np.float32)


def _cover(distance: Array, width: int, height: int) -> Array:
    """Returns the share of each pixel that a shape covers, 0 to 1. Its edge is one pixel wide."""
    pixels = distance * np.float32(min(width, height) / 2)
    return np.clip(np.float32(0.5) - pixels, 0, 1)[..., None]


def _wrap(offset: Array) -> Array:
    """Returns the offsets to the nearest copy."""
    return np.mod(offset + np.float32(WRAP_DISTANCE / 2), np.float32(WRAP_DISTANCE)) - np.float32(WRAP_DISTANCE / 2)
