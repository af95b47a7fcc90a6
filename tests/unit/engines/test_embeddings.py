"""Embeddings: both engines find them by the graph's structure, and report when a graph has none."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tarfile
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.engine import EngineName
from reelbeam.transforms.models.loading import load_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset, find

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ENGINES: tuple[EngineName, ...] = ("openvino", "tensorflow")
TINY = Preset(num_frames=2, target_fps=Fraction(2), resize=8, size=8)


@pytest.fixture(autouse=True, scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELBEAM_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "engine_cache"))
        yield


def clips(count: int, preset: Preset) -> np.ndarray:
    shape = (count, preset.num_frames, preset.size, preset.size, 3)
    return np.random.default_rng(2021).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.slow
def test_the_demo_models_embeddings_are_alike_and_lead_to_its_logits() -> None:
    demo = find("demo")
    frames = clips(3, demo.preset)
    loaded = [load_engine(demo, name, 2) for name in ENGINES]
    assert [engine.embedding_size() for engine in loaded] == [1024, 1024]
    (ours, embeddings), (theirs, reference) = (engine.classify_with_embeddings(frames) for engine in loaded)
    assert (embeddings.dtype, embeddings.shape) == (np.float32, (3, 1024))
    npt.assert_allclose(embeddings, reference, atol=1e-3, rtol=0)
    npt.assert_allclose(ours, theirs, atol=1e-4, rtol=0)
    for engine in loaded:
        npt.assert_allclose(engine.classify(frames), theirs, atol=1e-4, rtol=0)
        assert [part.shape for part in engine.classify_with_embeddings(frames[:0])] == [(0, 9), (0, 1024)]


@pytest.mark.slow
def test_the_official_a0s_embeddings_are_alike(shared_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with tarfile.open(shared_dir / "models" / "movinet_a0_base.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    preset = Preset(num_frames=10, target_fps=Fraction(5), resize=96, size=96)
    spec = dataclasses.replace(find("a0-base"), handle=str(tmp_path), preset=preset)
    frames = clips(2, preset)
    (ours, embeddings), (theirs, reference) = (
        load_engine(spec, name, 2).classify_with_embeddings(frames) for name in ENGINES
    )
    assert embeddings.shape == (2, 2048)
    npt.assert_allclose(embeddings, reference, atol=1e-3, rtol=0)
    npt.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def dense(features: Any, weights: Any, bias: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(tf.matmul(features, weights) + bias)


def no_layer(features: Any, weights: Any, bias: Any) -> Any:
    return features[:, :4] * 2.0


def activation_last(features: Any, weights: Any, bias: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(tf.matmul(features, weights))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("head", "size"), [(dense, 6), (no_layer, None), (activation_last, None)])
def test_structure_decides(name: Any, head: Callable[..., Any], size: int | None, tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    values = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    module = tf.Module()
    module.weights, module.bias = tf.Variable(values), tf.Variable([1.0, 2.0, 3.0, 4.0])

    def run(video: Any) -> Any:
        features = tf.reshape(tf.reduce_mean(video, axis=[2, 3]), [-1, 6])
        return {"scores": head(tf.sqrt(features), module.weights, module.bias)}

    image = tf.TensorSpec([None, None, None, None, 3], tf.float32, name="image")
    module.run = tf.function(run, input_signature=[image])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.run})
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    spec = ModelSpec("mine", "base", str(tmp_path / "model"), str(tmp_path / "labels.txt"), TINY)
    engine = load_engine(spec, name, 1)
    frames = clips(3, TINY)
    assert engine.embedding_size() == size
    if size is None:
        with pytest.raises(ModelError, match="no dense layer"):
            engine.classify_with_embeddings(frames)
    else:
        wanted = np.sqrt((frames / 255).mean(axis=(2, 3)).reshape(3, 6))
        npt.assert_allclose(engine.classify_with_embeddings(frames)[1], wanted, atol=1e-5)
