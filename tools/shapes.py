"""The shapes of the motion videos as signed distances: negative inside, for a radius of 1, in plain NumPy."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def _disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - np.float32(1)


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - np.float32(0.75)) - np.float32(0.25)


def _box(x: Array, y: Array, half_width: float, half_height: float) -> Array:
    dx, dy = np.abs(x) - np.float32(half_width), np.abs(y) - np.float32(half_height)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return outside + np.minimum(np.maximum(dx, dy), 0)


def _square(x: Array, y: Array) -> Array:
    return _box(x, y, 0.72, 0.72)


def _bar(x: Array, y: Array) -> Array:
    return _box(x, y, 0.95, 0.3)


def _ell(x: Array, y: Array) -> Array:
    upright = _box(x + np.float32(0.35), y, 0.25, 0.85)
    return np.minimum(upright, _box(x - np.float32(0.05), y - np.float32(0.6), 0.65, 0.25))


def _triangle(x: Array, y: Array) -> Array:
    sides = [math.radians(angle) for angle in (90, 210, 330)]
    planes = [x * np.float32(math.cos(a)) + y * np.float32(math.sin(a)) for a in sides]
    return np.maximum.reduce(planes) - np.float32(0.5)


def _half_disc(x: Array, y: Array) -> Array:
    return np.maximum(_disc(x, y), y - np.float32(0.1))


def _arrow(x: Array, y: Array) -> Array:
    head = np.maximum((np.abs(y) + x - np.float32(0.95)) * np.float32(0.707), -x)
    return np.minimum(head, _box(x + np.float32(0.5), y, 0.5, 0.22))


def _lollipop(x: Array, y: Array) -> Array:
    head = np.hypot(x - np.float32(0.5), y) - np.float32(0.45)
    return np.minimum(head, _box(x + np.float32(0.4), y, 0.55, 0.15))


def _blades(count: int) -> Callable[[Array, Array], Array]:
    def field(x: Array, y: Array) -> Array:
        nearest = np.full_like(x, np.inf)
        for turn in np.arange(count) * (2 * math.pi / count):
            along = x * np.float32(math.cos(turn)) + y * np.float32(math.sin(turn))
            across = y * np.float32(math.cos(turn)) - x * np.float32(math.sin(turn))
            beyond = along - np.clip(along, 0, np.float32(0.78))
            nearest = np.minimum(nearest, np.hypot(beyond, across))
        return nearest - np.float32(0.2)

    return field


# The signed distance of each shape and its rotational symmetry: how often it looks the same within a full turn (0: at
# every angle, so its rotation is invisible).
SHAPES: Mapping[str, tuple[Callable[[Array, Array], Array], int]] = {
    "arrow": (_arrow, 1),
    "bar": (_bar, 2),
    "cross": (_blades(4), 4),
    "disc": (_disc, 0),
    "ell": (_ell, 1),
    "half disc": (_half_disc, 1),
    "lollipop": (_lollipop, 1),
    "propeller": (_blades(3), 3),
    "ring": (_ring, 0),
    "square": (_square, 4),
    "star": (_blades(5), 5),
    "triangle": (_triangle, 3),
}
