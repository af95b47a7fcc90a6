"""The catalog of models and its presets."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import pytest

from reelbeam.transforms.errors import ModelNotFoundError
from reelbeam.transforms.models.registry.catalog import CATALOG, Preset, find
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels

SIZES = ("a0", "a1", "a2", "a3", "a4", "a5")


def preset(**changes: Any) -> Preset:
    values: dict[str, Any] = {"num_frames": 50, "target_fps": Fraction(5), "resize": 192, "size": 172}
    return Preset(**(values | changes))


def test_the_catalog_holds_every_movinet_and_the_demo() -> None:
    names = [f"{size}-{kind}" for kind in ("base", "stream") for size in SIZES]
    assert list(CATALOG) == [*names, "demo"]
    assert all(name == spec.name for name, spec in CATALOG.items())


@pytest.mark.parametrize(
    ("size", "frames", "fps", "resize", "crop", "gflops", "base", "stream"),
    [
        ("a0", 50, 5, 192, 172, 2.7, 72.28, 72.05),
        ("a1", 50, 5, 192, 172, 6.0, 76.69, 76.45),
        ("a2", 50, 5, 256, 224, 10.0, 78.62, 78.40),
        ("a3", 120, 12, 288, 256, 57.0, 81.79, 80.09),
        ("a4", 80, 8, 320, 290, 110.0, 83.48, 81.49),
        ("a5", 120, 12, 368, 320, 280.0, 84.27, 82.37),
    ],
)
def test_presets_and_figures_are_those_published(
    size: str, frames: int, fps: int, resize: int, crop: int, gflops: float, base: float, stream: float
) -> None:
    for kind, percent in (("base", base), ("stream", stream)):
        spec = find(f"{size}-{kind}")
        assert spec.kind == kind
        assert spec.preset == Preset(frames, Fraction(fps), resize, crop)
        assert (spec.gflops, spec.top1_percent) == (gflops, percent)
        version = {"base": 3, "stream": 2}[kind]
        kaggle = "https://www.kaggle.com/models/google/movinet/TensorFlow2"
        assert spec.mirrors == (f"{kaggle}/{size}-{kind}-kinetics-600-classification/{version}",)
        assert spec.handle == f"https://tfhub.dev/tensorflow/movinet/{size}/{kind}/kinetics-600/classification/3"


def test_every_movinet_preset_is_ten_seconds() -> None:
    assert {spec.preset.clip_seconds for name, spec in CATALOG.items() if name != "demo"} == {Fraction(10)}


def test_the_demo_is_bundled() -> None:
    demo = find("demo")
    assert demo.kind == "base"
    assert demo.handle == "package:reelbeam.transforms.models.registry/demo"
    assert demo.preset == Preset(8, Fraction(4), 72, 64)
    assert demo.preset.clip_seconds == 2


def test_the_bundled_kinetics_labels_number_600() -> None:
    LabelMap.load(resolve_labels(find("a0-base").labels)).check(600)


@pytest.mark.parametrize(
    ("name", "near"),
    [("a0", "a0-base"), ("a2_base", "a2-base"), ("A3-Stream", "a3-stream"), ("dem", "demo"), ("a6-base", "a0-base")],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, near: str) -> None:
    with pytest.raises(ModelNotFoundError, match="no model is called") as caught:
        find(name)
    assert repr(name) in str(caught.value)
    if name != "a6-base":
        assert near in str(caught.value)
    else:
        assert "-base" in str(caught.value)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ModelNotFoundError, match=r"there are a0-base.*demo"):
        find("resnet50/xyz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 0}, "num_frames must be a whole number of at least 1, not 0"),
        ({"num_frames": 2.5}, "num_frames .* not 2.5"),
        ({"num_frames": True}, "num_frames .* not True"),
        ({"resize": -1, "size": 1}, "resize .* not -1"),
        ({"size": 0}, "size .* not 0"),
        ({"target_fps": Fraction(0)}, "target_fps must be above 0, not 0"),
        ({"target_fps": 29.97}, "target_fps must be a Fraction, not 29.97"),
        ({"size": 193}, "--size 193 must not exceed --resize 192"),
    ],
)
def test_a_preset_that_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preset(**changes)


def test_clip_seconds_is_exact() -> None:
    assert preset(num_frames=16, target_fps=Fraction(30000, 1001)).clip_seconds == Fraction(16016, 30000)


def test_a_crop_as_large_as_the_picture_is_allowed() -> None:
    assert preset(size=192).size == 192


def test_specs_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        find("demo").name = "other"  # type: ignore[misc]
