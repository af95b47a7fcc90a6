"""Compiled models are kept on disk, and what is read back computes the same to the last bit."""

from __future__ import annotations

import os
import pathlib
from typing import Any, NoReturn

import numpy as np
import pytest
from temporary import use_temporary_folder

from reelbeam.transforms.models.engines.compiled_cache import compile_model
from reelbeam.transforms.models.registry import cache

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.ROOT_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def core() -> Any:
    openvino = pytest.importorskip("openvino")
    return openvino.Core()


def build() -> Any:
    import openvino
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, 16, 16], np.float32, name="image")
    weights = np.random.default_rng(3).normal(size=(4, 3, 3, 3)).astype(np.float32)
    convolved = ops.convolution(image, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    return openvino.Model([ops.reduce_mean(convolved, np.array([2, 3]), False)], [image], "small")


def never() -> NoReturn:
    raise AssertionError("the model was built again")


def answer(compiled: Any) -> bytes:
    image = np.random.default_rng(1).random((1, 3, 16, 16), np.float32)
    return bytes(compiled(image)[0].tobytes())


def blobs(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    return sorted((tmp_path / "cache" / "compiled").iterdir())


def test_the_second_time_nothing_is_built(core: Any, tmp_path: pathlib.Path) -> None:
    first = compile_model(core, "small", build, CONFIG)
    second = compile_model(core, "small", never, CONFIG)
    assert answer(first) == answer(second)
    assert [port.get_any_name() for port in second.inputs] == ["image"]
    assert len(blobs(tmp_path)) == 1


@pytest.mark.parametrize("key, config", [("other", CONFIG), ("small", {**CONFIG, "NUM_STREAMS": 2})])
def test_another_model_or_way_of_compiling_is_another_entry(
    core: Any, tmp_path: pathlib.Path, key: str, config: dict[str, Any]
) -> None:
    compile_model(core, "small", build, CONFIG)
    with pytest.raises(AssertionError, match="built again"):
        compile_model(core, key, never, config)
    compile_model(core, key, build, config)
    assert len(blobs(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_entry_is_compiled_again(core: Any, tmp_path: pathlib.Path, damage: str) -> None:
    wanted = answer(compile_model(core, "small", build, CONFIG))
    (blob,) = blobs(tmp_path)
    content = bytearray(blob.read_bytes())
    sound = bytes(content)
    content[len(content) // 2] ^= 1
    blob.write_bytes({"cut": sound[: len(sound) // 2], "flipped": bytes(content), "empty": b""}[damage])
    with pytest.raises(AssertionError, match="built again"):
        compile_model(core, "small", never, CONFIG)
    assert answer(compile_model(core, "small", build, CONFIG)) == wanted
    assert answer(compile_model(core, "small", never, CONFIG)) == wanted
    assert len(blobs(tmp_path)) == 1


def test_an_entry_that_openvino_refuses_is_compiled_again(core: Any, tmp_path: pathlib.Path) -> None:
    import hashlib

    wanted = answer(compile_model(core, "small", build, CONFIG))
    (blob,) = blobs(tmp_path)
    nonsense = b"an export of some later version"
    blob.write_bytes(hashlib.sha256(nonsense).digest() + nonsense)
    assert answer(compile_model(core, "small", build, CONFIG)) == wanted
    assert answer(compile_model(core, "small", never, CONFIG)) == wanted


def test_a_run_succeeds_without_a_writable_cache(
    core: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    use_temporary_folder(monkeypatch, tmp_path / "missing")
    assert answer(compile_model(core, "small", build, CONFIG))
    assert "Cannot cache the compiled model" in caplog.text


def test_drafts_that_dead_processes_left_are_removed(core: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "cache" / "compiled"
    folder.mkdir(parents=True)
    old, young = folder / "a.blob.x.tmp", folder / "a.blob.y.tmp"
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    compile_model(core, "small", build, CONFIG)
    assert not old.exists() and young.exists() and len(blobs(tmp_path)) == 2
