"""The named models, and the input that each one needs.

A custom model is a `ModelSpec` too, created from its handle, its label file and its preset.
"""

from __future__ import annotations

import dataclasses
import difflib
from fractions import Fraction
from typing import Literal

from reelbeam.transforms.errors import ModelNotFoundError

KINETICS_600 = "kinetics-600"
"""The name of the bundled label file."""

_KINETICS_600_FILE = "package:reelbeam.transforms.models.registry/labels/kinetics_600.txt"
_KAGGLE = "https://www.kaggle.com/models/google/movinet/TensorFlow2"
DEMO = "demo"
"""The name of the bundled model, which is for first steps and for tests."""

_DEMO_FOLDER = "package:reelbeam.transforms.models.registry/demo"


OutputActivation = Literal["logits", "softmax", "sigmoid"]
"""The kind of a model's outputs: logits, softmax scores, which sum to 1, or one sigmoid score per class."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """The clips that a model was trained on and expects.

    Attributes:
      num_frames: the number of frames of a clip.
      target_fps: the sampling rate in frames per second, independent of the video's own rate.
      resize: the length of the short side after scaling, in pixels.
      size: the length of each side after the center crop, in pixels.

    Raises:
      ValueError: a value is not positive, or the crop is larger than the scaled picture.
    """

    num_frames: int
    target_fps: Fraction
    resize: int
    size: int

    def __post_init__(self) -> None:
        for name in ("num_frames", "resize", "size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if not isinstance(self.target_fps, Fraction):
            raise ValueError(f"target_fps must be a Fraction, not {self.target_fps!r}: sample times are exact")
        if self.target_fps <= 0:
            raise ValueError(f"target_fps must be above 0, not {self.target_fps}")
        if self.size > self.resize:
            raise ValueError(
                f"--size {self.size} must not exceed --resize {self.resize}: a crop cannot leave the picture"
            )

    @property
    def clip_seconds(self) -> Fraction:
        """The duration of a clip in seconds."""
        return self.num_frames / self.target_fps


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A model: a SavedModel, its classes, and the clips that it takes.

    Attributes:
      name: its name in the catalog, in rows and in messages.
      kind: "base" takes a whole clip at once; "stream" takes chunks and keeps a state.
      handle: the location of its SavedModel, see `reelbeam.transforms.models.registry.resolver`.
      mirrors: further URLs, tried in order if the handle is a URL that cannot be fetched.
      labels: the location of its label file: a path or a `package:` handle.
      preset: the clips that it takes.
      gflops: billions of operations per clip; None if unknown.
      top1_percent: the published accuracy on Kinetics-600; None if unknown.
      pin: the required digest of its folder, see `manifest.pin`; None accepts any.
      output_activation: the kind of its outputs; "auto" reads it from the graph, see `output_activation`.
    """

    name: str
    kind: Literal["base", "stream"]
    handle: str
    labels: str
    preset: Preset
    gflops: float | None = None
    top1_percent: float | None = None
    pin: str | None = None
    output_activation: Literal["auto"] | OutputActivation = "auto"
    mirrors: tuple[str, ...] = ()


# size: (preset, GFLOPs per clip, top-1 % of Base, top-1 % of Stream), from Model Garden's official/projects/movinet.
_MOVINETS: dict[str, tuple[Preset, float, float, float]] = {
    "a0": (Preset(50, Fraction(5), 192, 172), 2.7, 72.28, 72.05),
    "a1": (Preset(50, Fraction(5), 192, 172), 6.0, 76.69, 76.45),
    "a2": (Preset(50, Fraction(5), 256, 224), 10.0, 78.62, 78.40),
    "a3": (Preset(120, Fraction(12), 288, 256), 57.0, 81.79, 80.09),
    "a4": (Preset(80, Fraction(8), 320, 290), 110.0, 83.48, 81.49),
    "a5": (Preset(120, Fraction(12), 368, 320), 280.0, 84.27, 82.37),
}


def _movinet(size: str, kind: Literal["base", "stream"]) -> ModelSpec:
    preset, gflops, base_percent, stream_percent = _MOVINETS[size]
    return ModelSpec(
        name=f"{size}-{kind}",
        kind=kind,
        handle=f"https://tfhub.dev/tensorflow/movinet/{size}/{kind}/kinetics-600/classification/3",
        labels=_KINETICS_600_FILE,
        preset=preset,
        gflops=gflops,
        top1_percent=base_percent if kind == "base" else stream_percent,
        # TensorFlow Hub redirects to Kaggle.
        mirrors=(f"{_KAGGLE}/{size}-{kind}-kinetics-600-classification/{3 if kind == 'base' else 2}",),
    )


def _demo() -> ModelSpec:
    preset = Preset(num_frames=8, target_fps=Fraction(4), resize=72, size=64)
    return ModelSpec(DEMO, "base", _DEMO_FOLDER, f"{_DEMO_FOLDER}/labels.txt", preset)


def _catalog() -> dict[str, ModelSpec]:
    specs = [_movinet(size, "base") for size in _MOVINETS]
    specs += [_movinet(size, "stream") for size in _MOVINETS]
    specs.append(_demo())
    return {spec.name: spec for spec in specs}


CATALOG: dict[str, ModelSpec] = _catalog()


def find(name: str) -> ModelSpec:
    """Returns the catalog's model of that name.

    Raises:
      ModelNotFoundError: the catalog does not have this name; the message suggests the closest names.
    """
    if name in CATALOG:
        return CATALOG[name]
    near = nearest(name)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(CATALOG)}."
    raise ModelNotFoundError(f"no model is called {name!r}: {advice} A URL or a folder works as well.")


def label_file(name: str) -> str:
    """Returns the location of a label file: its own, or that of the bundled one for `KINETICS_600`."""
    return _KINETICS_600_FILE if name == KINETICS_600 else name


def nearest(name: str) -> list[str]:
    """Returns the names of the catalog that a mistyped name may mean, the nearest first; at most three.

    >>> nearest("a0_bse")[0]
    'a0-base'
    """
    return difflib.get_close_matches(name.lower().replace("_", "-"), CATALOG, n=3, cutoff=0.5)
