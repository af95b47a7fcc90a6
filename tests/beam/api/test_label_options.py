"""The options of LabelVideos: their types, their defaults, and what wrong ones raise when a pipeline is built."""

from __future__ import annotations

import math
import pathlib
import types
import typing
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import reelbeam
from reelbeam.pipeline.api.options import LabelOptions, Seconds, all_options, checked
from reelbeam.pipeline.api.preparation import errors_of_options, prepare
from reelbeam.transforms.errors import ConfigError, ModelError, ReelbeamError


def test_label_options_are_the_declared_settings_with_their_types() -> None:
    hints = typing.get_type_hints(LabelOptions)
    assert set(hints) == set(all_options())
    for name, setting in all_options().items():
        of_value = Seconds if setting.kind is Fraction else setting.kind
        wanted = {*_members(of_value), *([types.NoneType] if setting.default is None else [])}
        assert set(_members(hints[name])) == wanted, name


def _members(hint: Any) -> tuple[Any, ...]:
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def test_the_default_of_every_option_is_that_of_its_setting() -> None:
    defaults = {name: setting.default for name, setting in all_options().items()}
    assert checked({}) == checked(dict.fromkeys(defaults)) == checked(defaults) == defaults


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"top_k": np.int64(3)}, {"top_k": 3}),
        ({"min_score": np.float32(0.5)}, {"min_score": 0.5}),
        ({"max_duration_seconds": 60}, {"max_duration_seconds": 60.0}),
        ({"save_logits": np.True_}, {"save_logits": True}),
        ({"target_fps": np.float64(12.5)}, {"target_fps": Fraction(25, 2)}),
        ({"target_fps": "30000/1001"}, {"target_fps": Fraction(30000, 1001)}),
        ({"clip_stride_seconds": 0.1}, {"clip_stride_seconds": Fraction(1, 10)}),
        ({"labels": pathlib.Path("classes.txt")}, {"labels": "classes.txt"}),
    ],
)
def test_values_are_converted_to_the_type_of_their_setting(options: dict[str, Any], values: dict[str, Any]) -> None:
    found = {name: checked(options)[name] for name in options}
    assert found == values and {*map(type, found.values())} == {*map(type, values.values())}


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0},
        {"top_k": "3"},
        {"top_k": True},
        {"top_k": 2.5},
        {"num_frames": np.array([8, 9])},
        {"min_score": math.nan},
        {"min_score": 1.5},
        {"min_score": "0.5"},
        {"clip_stride_seconds": "soon"},
        {"clip_stride_seconds": math.nan},
        {"clip_stride_seconds": math.inf},
        {"clip_stride_seconds": 0},
        {"clip_stride_seconds": [1]},
        {"target_fps": "1/0"},
        {"engine": "cuda"},
        {"engine": 3},
        {"tail_policy": "loop"},
        {"labels": ""},
        {"labels": 3},
        {"save_logits": 1},
        {"save_logits": "yes"},
        {"spool_dir": " "},
        {"model_fingerprint": "abc"},
        {"decoder_memory_bytes": 1},
        {"warm_up_seconds": 3},  # the demo is no Stream model
        {"num_frames": 10_000, "resize": 8192, "size": 8192},  # a clip does not fit into a decoder's memory
        {"precision": "bfloat16", "engine": "tensorflow"},
    ],
    ids=repr,
)
def test_a_wrong_value_is_a_config_error_that_names_the_option_as_a_keyword(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        reelbeam.LabelVideos("demo", **options)
    assert any(name in str(caught.value) for name in options), caught.value
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("topk", " (did you mean top_k?)"), ("--top_k", " (did you mean top_k?)"), ("output", ""), ("input_list", "")],
)
def test_an_unknown_option_is_a_type_error_that_names_the_nearest_one(name: str, hint: str) -> None:
    unknown: Any = {name: 3}
    with pytest.raises(TypeError) as caught:
        reelbeam.LabelVideos("demo", **unknown)
    assert str(caught.value) == f"unknown option {name!r}{hint}"


def test_options_are_keyword_only_and_the_model_is_needed() -> None:
    make: Any = reelbeam.LabelVideos
    for wrong in (lambda: make("demo", 5), lambda: make(top_k=5)):
        with pytest.raises(TypeError, match="argument"):
            wrong()


@pytest.mark.parametrize(
    ("model", "options", "kind"),
    [
        (None, {}, ConfigError),
        ("", {}, ConfigError),
        (b"demo", {}, ConfigError),
        ("dem", {}, ModelError),
        ("no/such/folder", {}, ModelError),
        ("demo", {"labels": "no-such-file.txt"}, ReelbeamError),
        ("demo", {"labels": "kinetics-600"}, ModelError),
        ("demo", {"model_fingerprint": "0" * 64}, ModelError),
    ],
)
def test_a_model_that_cannot_be_used_is_an_error_without_flags(
    model: Any, options: dict[str, Any], kind: type[ReelbeamError]
) -> None:
    with pytest.raises(kind) as caught:
        reelbeam.LabelVideos(model, **options)
    assert "--" not in str(caught.value)


def test_only_flags_lose_their_dashes_in_messages() -> None:
    text = "my--model/a--size.zip: --size 8 must fit (--resize 4); run `tool --other_flag` or pass --model"
    with pytest.raises(ConfigError) as caught, errors_of_options():
        raise ConfigError(text)
    assert (
        str(caught.value) == "my--model/a--size.zip: size 8 must fit (resize 4); run `tool --other_flag` or pass model"
    )


def test_a_model_may_be_a_path(samples_dir: pathlib.Path) -> None:
    folder = samples_dir.parents[2] / "transforms" / "models" / "registry" / "demo"
    options: Any = {"num_frames": 8, "target_fps": 4, "resize": 64, "size": 64}
    found = prepare(folder, options | {"labels": folder / "labels.txt"}, runs_here=True).facts
    assert found.model_fingerprint == prepare("demo", {}, runs_here=True).facts.model_fingerprint
