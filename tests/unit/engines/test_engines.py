"""Both engines against TensorFlow's own logits of the official A0, and what they refuse.

Small SavedModels are made here: with them a case takes milliseconds, and every kind of signature can be had.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gc
import logging
import os
import pathlib
import shutil
import tarfile
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from temporary import use_temporary_folder

from reelbeam.transforms.errors import (
    ConfigError,
    ModelDownloadError,
    ModelError,
    ModelNotFoundError,
    NotASavedModelError,
    SignatureError,
)
from reelbeam.transforms.models.engine import EngineName, accelerator_visible, choose_engine
from reelbeam.transforms.models.loading import load_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset, find

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ENGINES: tuple[EngineName, ...] = ("openvino", "tensorflow")
TOLERANCE = 1e-4
TINY = Preset(num_frames=4, target_fps=Fraction(4), resize=16, size=12)
TINY_CLASSES = 7


def clips(count: int, preset: Preset, seed: int = 2021) -> np.ndarray:
    shape = (count, preset.num_frames, preset.size, preset.size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(autouse=True)
def conversions(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A cache for the whole run, unless a test sets its own."""
    root = tmp_path_factory.getbasetemp() / "engine_cache"
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(root))
    return root / "openvino"


# --- the official A0


@pytest.fixture(scope="session")
def a0_spec(shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("a0")
    with tarfile.open(shared_dir / "models" / "movinet_a0_base.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return dataclasses.replace(find("a0-base"), handle=str(folder))


@pytest.fixture(scope="session")
def reference(shared_dir: pathlib.Path) -> np.ndarray:
    logits: np.ndarray = np.load(shared_dir / "models" / "reference_logits.npz")["base_logits"]
    return logits


@pytest.mark.parametrize(("name", "count"), [("openvino", 2), pytest.param("tensorflow", 1, marks=pytest.mark.slow)])
def test_the_official_a0_gives_the_reference_logits(
    name: Any, count: int, a0_spec: ModelSpec, reference: np.ndarray
) -> None:
    """TensorFlow gets one clip only: it takes 16 seconds of CPU time."""
    engine = load_engine(a0_spec, name, num_threads=2)
    logits = engine.classify(clips(2, a0_spec.preset)[:count])
    assert (engine.name, engine.num_classes) == (name, 600)
    assert (logits.dtype, logits.shape) == (np.float32, (count, 600))
    npt.assert_allclose(logits, reference[:count], atol=TOLERANCE, rtol=0)
    npt.assert_array_equal(np.argsort(-logits)[:, :5], np.argsort(-reference[:count])[:, :5])
    engine.close()


def test_four_threads_get_the_same_logits_as_one(a0_spec: ModelSpec, reference: np.ndarray) -> None:
    """More threads than requests, so that some wait; each clip has its own answer, so that a mix-up shows."""
    engine = load_engine(a0_spec, "openvino", num_threads=3)
    both = clips(2, a0_spec.preset)
    alone = [engine.classify(both[k : k + 1]) for k in range(2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda k: engine.classify(both[k % 2 : k % 2 + 1]), range(12)))
    for k, answer in enumerate(answers):
        npt.assert_array_equal(answer, alone[k % 2])
    npt.assert_allclose(np.concatenate(alone), reference, atol=TOLERANCE, rtol=0)
    assert not np.array_equal(alone[0], alone[1])


@pytest.mark.slow
def test_a_smaller_preset_of_the_official_a0_agrees_between_engines(a0_spec: ModelSpec) -> None:
    """The published graph takes any size; what it gives must not depend on who runs it."""
    preset = Preset(num_frames=8, target_fps=Fraction(4), resize=72, size=64)
    spec = dataclasses.replace(a0_spec, preset=preset)
    frames = clips(3, preset)
    first, second = (load_engine(spec, name, 2).classify(frames) for name in ENGINES)
    npt.assert_allclose(first, second, atol=TOLERANCE, rtol=0)


# --- small models of the test's own


Save = Callable[..., ModelSpec]


@pytest.fixture
def save(tmp_path: pathlib.Path) -> Save:
    """Returns a function that saves a tf.function as a SavedModel with `serving_default`, and labels beside it."""
    import tensorflow as tf

    def save_model(
        function: Callable[..., Any], *inputs: Any, num_labels: int = TINY_CLASSES, preset: Preset = TINY
    ) -> ModelSpec:
        module = tf.Module()
        module.run = tf.function(function, input_signature=list(inputs))
        if hasattr(function, "weights"):
            module.weights = function.weights
        folder = tmp_path / "model"
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})
        labels = tmp_path / "labels.txt"
        labels.write_text("".join(f"class {k}\n" for k in range(num_labels)))
        return ModelSpec("mine", "base", str(folder), str(labels), preset)

    return save_model


def image(*shape: int | None, dtype: Any = None, name: str = "image") -> Any:
    import tensorflow as tf

    return tf.TensorSpec(shape, dtype or tf.float32, name=name)


def tiny_function(constant: bool = False) -> Callable[[Any], dict[str, Any]]:
    """Mean colour of each frame -> dense layer: its logits can be computed by hand."""
    import tensorflow as tf

    values = np.random.default_rng(7).normal(size=(TINY.num_frames * 3, TINY_CLASSES)).astype(np.float32)
    weights = tf.constant(values) if constant else tf.Variable(values)

    def run(video: Any) -> dict[str, Any]:
        colours = tf.reshape(tf.reduce_mean(video, axis=[2, 3]), [-1, TINY.num_frames * 3])
        return {"anything": tf.matmul(colours, weights)}

    function: Any = run
    function.weights = weights
    return function


def expected_logits(frames: np.ndarray) -> np.ndarray:
    values = np.random.default_rng(7).normal(size=(TINY.num_frames * 3, TINY_CLASSES)).astype(np.float32)
    colours = (frames / 255).mean(axis=(2, 3)).reshape(len(frames), -1)
    return colours @ values


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("constant", [False, True], ids=["variables", "no variables"])
def test_a_model_of_ones_own(name: Any, save: Save, constant: bool) -> None:
    """Other names of input and output, fixed sizes, other classes: any model with the shape of a video classifier."""
    shape = (None, TINY.num_frames, TINY.size, TINY.size, 3)
    engine = load_engine(save(tiny_function(constant), image(*shape, name="video")), name, 2)
    assert engine.num_classes == TINY_CLASSES
    frames = clips(5, TINY)
    npt.assert_allclose(engine.classify(frames), expected_logits(frames), atol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_frames_may_be_of_any_memory_layout_and_are_left_alone(name: Any, save: Save) -> None:
    engine = load_engine(save(tiny_function(), image(None, None, None, None, 3)), name, 1)
    frames = clips(4, TINY)
    strided = np.asfortranarray(frames)[::2]
    strided.flags.writeable = False
    npt.assert_allclose(engine.classify(strided), expected_logits(frames[::2]), atol=1e-5)
    kept = frames.copy()
    first = engine.classify(frames[:1])
    engine.classify(frames[1:])
    npt.assert_array_equal(frames, kept)
    npt.assert_allclose(first, expected_logits(kept[:1]), atol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_no_clips_give_no_logits(name: Any, save: Save) -> None:
    engine = load_engine(save(tiny_function(), image(None, None, None, None, 3)), name, 1)
    assert engine.classify(clips(0, TINY)).shape == (0, TINY_CLASSES)


@pytest.mark.parametrize("name", ENGINES)
def test_many_threads_share_one_engine(name: Any, save: Save) -> None:
    engine = load_engine(save(tiny_function(), image(None, None, None, None, 3)), name, 2)
    batches = [clips(1 + k % 3, TINY, seed=k) for k in range(40)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for frames, logits in zip(batches, pool.map(engine.classify, batches), strict=True):
            npt.assert_allclose(logits, expected_logits(frames), atol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_wrong_frames_are_a_bug_of_the_caller(name: Any, save: Save) -> None:
    engine = load_engine(save(tiny_function(), image(None, None, None, None, 3)), name, 1)
    wrong_ones: list[np.ndarray] = [clips(1, TINY).astype(np.float32), clips(1, TINY)[0], clips(1, TINY)[:, :3]]
    for wrong in wrong_ones:
        with pytest.raises(ValueError, match=r"frames must be uint8 \[N, 4, 12, 12, 3\]"):
            engine.classify(wrong)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_can_be_weakly_held_and_closed(name: Any, save: Save) -> None:
    """Beam's shared.Shared holds models weakly."""
    engine = load_engine(save(tiny_function(), image(None, None, None, None, 3)), name, 1)
    held = weakref.ref(engine)
    engine.close()
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.classify(clips(1, TINY))
    del engine
    gc.collect()
    assert held() is None


@pytest.mark.parametrize("name", ENGINES)
def test_each_load_is_logged(name: Any, save: Save, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reelbeam.transforms.models.loading")
    spec = save(tiny_function(), image(None, None, None, None, 3))
    load_engine(spec, name, 1)
    loads = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Loaded")]
    assert len(loads) == 1
    assert spec.handle in loads[0]
    assert name in loads[0]


# --- models that cannot be run


def unsupported() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]]:
    import tensorflow as tf

    rank5, run = image(None, None, None, None, 3), tiny_function(constant=True)
    return {
        "rank 4": (lambda x: {"y": tf.reduce_mean(x, [1, 2])}, (image(None, 8, 8, 3),), "not take one input of rank 5"),
        "two inputs": (
            lambda x, y: {"y": run(x)["anything"] + tf.reduce_mean(y)},
            (rank5, image(None, name="state")),
            "not take one input of rank 5",
        ),
        "two outputs": (
            lambda x: {"a": run(x)["anything"], "b": 2 * run(x)["anything"]},
            (rank5,),
            "not give one output of rank 2",
        ),
        "rank 3 output": (lambda x: {"y": tf.reduce_mean(x, [1, 2])}, (rank5,), "not give one output of rank 2"),
        "uint8 input": (
            lambda x: run(tf.cast(x, tf.float32)),
            (image(None, None, None, None, 3, dtype=tf.uint8),),
            "its input is uint8, not float32",
        ),
        "other frames": (
            lambda x: {"y": tf.reduce_mean(x, [1, 2])[:, 0]},
            (image(None, 5, 12, 12, 3),),
            "does not fit clips of 4 frames of 12 x 12 pixels",
        ),
        "batches": (
            lambda x: {"y": tf.reduce_mean(x, [1, 2])[:, 0]},
            (image(4, 4, 12, 12, 3),),
            "it takes batches of exactly 4 clips",
        ),
        "one channel": (
            lambda x: {"y": tf.reduce_mean(x, [1, 2])[:, 0]},
            (image(None, 4, 12, 12, 1),),
            "does not fit clips",
        ),
    }


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    "case",
    ["rank 4", "two inputs", "two outputs", "rank 3 output", "uint8 input", "other frames", "batches", "one channel"],
)
def test_an_unsupported_signature_is_described(name: Any, case: str, save: Save) -> None:
    function, inputs, problem = unsupported()[case]
    spec = save(function, *inputs)
    with pytest.raises(SignatureError, match=problem) as caught:
        load_engine(spec, name, 1)
    message = str(caught.value)
    assert spec.handle in message
    assert "Wanted: one image input float32 [N, T, H, W, 3], one output [N, C]. Found: inputs (" in message


@pytest.mark.parametrize("name", ENGINES)
def test_a_damaged_graph_is_a_model_error(name: Any, save: Save) -> None:
    spec = save(tiny_function(), image(None, None, None, None, 3))
    graph = pathlib.Path(spec.handle) / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    with pytest.raises(ModelError, match=spec.handle):
        load_engine(spec, name, 1)


@pytest.mark.parametrize("name", ENGINES)
def test_damaged_variables_are_a_model_error(name: Any, save: Save) -> None:
    spec = save(tiny_function(), image(None, None, None, None, 3))
    index = pathlib.Path(spec.handle) / "variables" / "variables.index"
    index.write_bytes(b"\0" * 20)
    with pytest.raises(ModelError, match=spec.handle):
        load_engine(spec, name, 1)


def test_a_stream_model_has_a_loader_of_its_own() -> None:
    with pytest.raises(ModelError, match="a2-stream is a Stream model: load it with load_stream_engine"):
        load_engine(find("a2-stream"))


def test_an_unknown_engine_or_thread_count_is_refused(save: Save) -> None:
    spec = save(tiny_function(), image(None, None, None, None, 3))
    unknown: Any = "torch"
    with pytest.raises(ConfigError, match="--engine 'torch' does not exist"):
        load_engine(spec, unknown)
    with pytest.raises(ConfigError, match="num_threads must be at least 1, not 0"):
        load_engine(spec, "openvino", 0)


def test_a_model_that_is_not_there_or_none_is_refused_before_any_engine_starts(tmp_path: pathlib.Path) -> None:
    spec = dataclasses.replace(find("a0-base"), handle=str(tmp_path))
    with pytest.raises(NotASavedModelError):
        load_engine(spec)
    with pytest.raises(ModelNotFoundError):
        load_engine(dataclasses.replace(spec, handle=str(tmp_path / "gone")))
    with pytest.raises(ModelDownloadError):
        load_engine(dataclasses.replace(spec, handle="http://127.0.0.1:1/model"))


# --- the choice of engine


def test_auto_is_openvino_where_accelerators_are_hidden(
    save: Save, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert load_engine(save(tiny_function(), image(None, None, None, None, 3))).name == "openvino"
    assert "cannot use the accelerator" not in caplog.text


def test_auto_does_not_trust_a_device_that_tensorflow_cannot_use(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A GPU machine with TensorFlow for CPUs would otherwise run a hundred times slower than it could."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow can use the GPU here")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "nvidia0").touch()
    assert choose_engine("auto", devices=tmp_path) == "openvino"
    assert "tensorflow[and-cuda]" in caplog.text


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_do_not_count(hidden: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not accelerator_visible(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert accelerator_visible(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not accelerator_visible(tmp_path)
    (tmp_path / "accel0").touch()
    assert accelerator_visible(tmp_path)


# --- OpenVINO's cache of conversions


@pytest.fixture
def own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "own"))
    return tmp_path / "own" / "openvino"


def conversions_logged(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.getMessage().startswith("Converting") for record in caplog.records)


def test_a_model_is_converted_once(
    save: Save, own_cache: pathlib.Path, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    spec = save(tiny_function(), image(None, None, None, None, 3))
    load_engine(spec, "openvino", 1)
    assert conversions_logged(caplog) == 1
    [entry] = own_cache.iterdir()
    assert sorted(path.name for path in entry.iterdir()) == ["model.bin", "model.xml", "sha256.json"]
    times = {path.name: path.stat().st_mtime_ns for path in entry.iterdir()}
    # The same content elsewhere is the same model; another preset needs no other conversion.
    copy = shutil.copytree(spec.handle, tmp_path / "copy")
    load_engine(dataclasses.replace(spec, handle=str(copy)), "openvino", 2)
    assert conversions_logged(caplog) == 1
    assert times == {path.name: path.stat().st_mtime_ns for path in entry.iterdir()}


@pytest.mark.parametrize("damage", ["truncated weights", "flipped weights", "garbled graph", "no digests", "empty"])
def test_a_damaged_conversion_is_repeated(
    damage: str, save: Save, own_cache: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    spec = save(tiny_function(), image(None, None, None, None, 3))
    load_engine(spec, "openvino", 1)
    [entry] = own_cache.iterdir()
    weights = (entry / "model.bin").read_bytes()
    if damage == "truncated weights":
        (entry / "model.bin").write_bytes(weights[:-4])
    elif damage == "flipped weights":
        (entry / "model.bin").write_bytes(bytes([weights[0] ^ 0x40]) + weights[1:])
    elif damage == "garbled graph":
        (entry / "model.xml").write_text("<net>")
    elif damage == "no digests":
        (entry / "sha256.json").unlink()
    else:
        for path in entry.iterdir():
            path.unlink()
    shutil.rmtree(own_cache.parent / "compiled")  # otherwise the conversion would not be read
    engine = load_engine(spec, "openvino", 1)
    npt.assert_allclose(engine.classify(clips(2, TINY)), expected_logits(clips(2, TINY)), atol=1e-5)
    assert conversions_logged(caplog) == 2
    load_engine(spec, "openvino", 1)
    assert conversions_logged(caplog) == 2


def test_concurrent_first_loads_leave_one_sound_conversion(save: Save, own_cache: pathlib.Path) -> None:
    spec = save(tiny_function(), image(None, None, None, None, 3))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: load_engine(spec, "openvino", 1), range(4)))
    for engine in loaded:
        npt.assert_allclose(engine.classify(clips(1, TINY)), expected_logits(clips(1, TINY)), atol=1e-5)
    assert len(list(own_cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_does_not_stop_the_engine(
    save: Save, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    use_temporary_folder(monkeypatch, tmp_path)
    engine = load_engine(save(tiny_function(), image(None, None, None, None, 3)), "openvino", 1)
    npt.assert_allclose(engine.classify(clips(1, TINY)), expected_logits(clips(1, TINY)), atol=1e-5)


def test_a_process_has_one_copy_of_a_model() -> None:
    spec = find("demo")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: load_engine(spec, "openvino", 1), range(4)))
    assert len({id(engine) for engine in engines}) == 1
    assert load_engine(spec, "openvino", 2) is not engines[0]
