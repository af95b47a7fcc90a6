"""Stream models: both engines against TensorFlow's own logits of the official ones, and against arithmetic by hand.

The small Stream model of `tiny_stream_model` has every kind of state that the official ones have, and its outputs
can be computed by hand.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
import tarfile
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from tiny_stream_model import dense_model, ring_model, tiny_model

from reelbeam.transforms.errors import ModelError, SignatureError
from reelbeam.transforms.models.engines.stream import State, StreamEngine, find_stream_signatures, is_stream_model
from reelbeam.transforms.models.loading import load_engine, load_stream_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset, find

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ENGINES = ("openvino", "tensorflow")
TOLERANCE = 1e-4
TINY = Preset(num_frames=25, target_fps=Fraction(5), resize=8, size=6)
CLASSES = 3
CUTS = {"one at a time": [1] * 23, "chunks": [8, 8, 7], "uneven": [1, 9, 2, 11], "whole": [23]}


@pytest.fixture(autouse=True, scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One cache for the whole file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELBEAM_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "engine_cache"))
        yield


def video(num_segments: int, num_frames: int, size: int, seed: int = 2021) -> np.ndarray:
    shape = (num_segments, num_frames, size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def watch(engine: StreamEngine, frames: np.ndarray, cuts: list[int]) -> tuple[np.ndarray, list[State]]:
    """Shows segments from their start, in calls of the given numbers of frames."""
    states = [engine.initial_state()] * len(frames)
    logits: np.ndarray = np.empty(0)
    for start, length in zip(np.cumsum([0, *cuts]), cuts, strict=False):
        logits, states = engine.classify_next(states, frames[:, start : start + length])
    return logits, states


# --- a small Stream model


def expected(frames: np.ndarray) -> np.ndarray:
    colours = (frames[:, :, ::2, ::2] / 255).mean(axis=(2, 3))
    before = np.concatenate([np.zeros((len(frames), 2, 3)), colours], axis=1)
    return (colours.mean(axis=1) + before[:, -3] * frames.shape[1]) * [1, 2, 3]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    root = tmp_path_factory.mktemp("tiny")
    tiny_model(root / "model")
    (root / "labels.txt").write_text("a\nb\nc\n")
    return ModelSpec("mine", "stream", str(root / "model"), str(root / "labels.txt"), TINY)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_answers_do_not_depend_on_how_a_segment_is_cut(name: Any, cuts: list[int], tiny: ModelSpec) -> None:
    engine = load_stream_engine(tiny, name, 2)
    frames = video(3, 23, TINY.size)
    logits, states = watch(engine, frames, cuts)
    assert (logits.dtype, logits.shape) == (np.float32, (3, CLASSES))
    npt.assert_allclose(logits, expected(frames), rtol=1e-5)
    assert [state.num_frames for state in states] == [23] * 3


@pytest.mark.parametrize("name", ENGINES)
def test_segments_at_different_places_share_a_batch(name: Any, tiny: ModelSpec) -> None:
    """Their frame counters differ, which the model keeps once for a whole batch."""
    engine = load_stream_engine(tiny, name, 2)
    frames = video(4, 12, TINY.size)
    ahead = [watch(engine, frames[k : k + 1, :start], [start])[1][0] for k, start in ((1, 5), (3, 2))]
    states = [engine.initial_state(), ahead[0], engine.initial_state(), ahead[1]]
    shown = np.stack([frames[0, :4], frames[1, 5:9], frames[2, :4], frames[3, 2:6]])
    logits, after = engine.classify_next(states, shown)
    for k, seen in enumerate((4, 9, 4, 6)):
        npt.assert_allclose(logits[k : k + 1], expected(frames[k : k + 1, :seen]), rtol=1e-5)
        assert after[k].num_frames == seen


@pytest.mark.parametrize("name", ENGINES)
def test_a_state_can_be_used_again(name: Any, tiny: ModelSpec) -> None:
    """So that a call that failed can be made again, with half the segments for instance."""
    engine = load_stream_engine(tiny, name, 1)
    frames = video(1, 20, TINY.size)
    _, states = watch(engine, frames[:, :9], [9])
    first, _ = engine.classify_next(states, frames[:, 9:])
    second, _ = engine.classify_next(states, frames[:, 9:])
    npt.assert_array_equal(first, second)
    npt.assert_allclose(first, expected(frames), rtol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_many_threads_share_one_engine(name: Any, tiny: ModelSpec) -> None:
    engine = load_stream_engine(tiny, name, 2)
    videos = [video(1 + k % 2, 11 + k % 3, TINY.size, seed=k) for k in range(24)]

    def run(frames: np.ndarray) -> np.ndarray:
        return watch(engine, frames, [5, frames.shape[1] - 5])[0]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for frames, logits in zip(videos, pool.map(run, videos), strict=True):
            npt.assert_allclose(logits, expected(frames), rtol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_no_segments_give_no_logits(name: Any, tiny: ModelSpec) -> None:
    logits, states = load_stream_engine(tiny, name, 1).classify_next([], video(0, 4, TINY.size))
    assert (logits.shape, states) == ((0, CLASSES), [])


@pytest.mark.parametrize("name", ENGINES)
def test_wrong_calls_are_a_bug_of_the_caller(name: Any, tiny: ModelSpec) -> None:
    engine = load_stream_engine(tiny, name, 1)
    state = engine.initial_state()
    good = video(1, 4, TINY.size)
    wrong_ones: list[np.ndarray] = [good.astype(np.float32), good[0], good[:, :0], good[:, :, :5]]
    for wrong in wrong_ones:
        with pytest.raises(ValueError, match=r"frames must be uint8 \[N, T, 6, 6, 3\]"):
            engine.classify_next([state], wrong)
    with pytest.raises(ValueError, match="2 states for 1 segments"):
        engine.classify_next([state, state], good)
    closed = load_stream_engine(dataclasses.replace(tiny, name="to close"), name, 1)
    closed.close()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        closed.classify_next([state], good)


@pytest.mark.parametrize("name", ENGINES)
def test_what_an_engine_says_of_itself(name: Any, tiny: ModelSpec) -> None:
    engine = load_stream_engine(tiny, name, 1)
    # 25 frames are three chunks and one frame more; a state is 2 frames of 3 x 3 colours, a sum and a counter.
    assert (engine.num_classes, engine.chunk_frames, engine.state_bytes) == (CLASSES, 8, 4 * (54 + 3 + 1))
    assert engine.initial_state().num_frames == 0


@pytest.mark.parametrize("name", ENGINES)
def test_a_model_that_takes_one_frame_at_a_time(name: Any, tiny: ModelSpec, tmp_path: pathlib.Path) -> None:
    tiny_model(tmp_path / "model", image_frames=1)
    engine = load_stream_engine(dataclasses.replace(tiny, handle=str(tmp_path / "model")), name, 1)
    assert engine.chunk_frames == 1
    frames = video(2, 5, TINY.size)
    npt.assert_allclose(watch(engine, frames, [3, 2])[0], expected(frames), rtol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_a_state_may_depend_on_the_number_of_frames(name: Any, tiny: ModelSpec, tmp_path: pathlib.Path) -> None:
    """What was compiled for one number of frames must not be taken for the other's."""
    ring_model(tmp_path / "model")
    frames = video(1, 25, TINY.size)
    colours = (frames / 255).mean(axis=(2, 3))
    for num_frames in (20, 10):
        preset = dataclasses.replace(TINY, num_frames=num_frames)
        spec = dataclasses.replace(tiny, handle=str(tmp_path / "model"), preset=preset)
        engine = load_stream_engine(spec, name, 1)
        logits, _ = watch(engine, frames, [10, 10, 5])
        npt.assert_allclose(logits, colours[:, -num_frames:].sum(axis=1), rtol=1e-5)
        del engine


# --- what is no Stream model, and what does not fit


@pytest.mark.parametrize("name", ENGINES)
def test_a_base_model_is_not_a_stream_model(name: Any) -> None:
    demo = find("demo")
    with pytest.raises(ModelError, match="demo is not a Stream model"):
        load_stream_engine(demo, name)
    with pytest.raises(
        SignatureError, match=r"it is not a Stream model\. Wanted: .* Found: serving_default\(image: float"
    ):
        load_stream_engine(dataclasses.replace(demo, kind="stream"), name)


def test_a_stream_model_is_recognized_by_its_graph(tiny: ModelSpec) -> None:
    folder = pathlib.Path(tiny.handle)
    assert is_stream_model(folder)
    assert not is_stream_model(pathlib.Path(__file__).parents[3] / "transforms/models/registry/demo")
    found = find_stream_signatures(folder, TINY)
    assert (found.init, found.call, found.input_shape) == ("begin", "step", "like")
    assert (found.image.name, found.logits, sorted(found.states)) == ("pictures", "answer", ["count", "last", "sum"])


def test_a_base_engine_refuses_a_stream_model(tiny: ModelSpec) -> None:
    with pytest.raises(ModelError, match="is a Stream model"):
        load_engine(tiny)


# --- the official ones


@pytest.fixture(scope="module")
def a0(shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("a0_stream")
    with tarfile.open(shared_dir / "models" / "movinet_a0_stream.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return dataclasses.replace(find("a0-stream"), handle=str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_the_official_a0_gives_the_reference_logits(name: Any, a0: ModelSpec, shared_dir: pathlib.Path) -> None:
    reference = np.load(shared_dir / "models" / "reference_logits.npz")
    engine = load_stream_engine(a0, name, num_threads=2)
    frames = video(2, 50, 172)[:1]
    states = [engine.initial_state()]
    for k, wanted in enumerate(reference["stream_logits_after_each_10_frames"]):
        logits, states = engine.classify_next(states, frames[:, 10 * k : 10 * k + 10])
        npt.assert_allclose(logits[0], wanted, atol=TOLERANCE, rtol=0)
    for cuts in ([50], [13, 36, 1], [1] * 50 if name == "openvino" else [25, 25]):
        npt.assert_allclose(watch(engine, frames, cuts)[0], reference["stream_logits_whole"], atol=TOLERANCE, rtol=0)
    engine.close()


@pytest.mark.slow
def test_the_official_a0s_embeddings_are_found_in_chunks_of_any_length(a0: ModelSpec) -> None:
    engine = load_stream_engine(a0, "openvino", num_threads=2)
    frames = video(1, 22, 172)
    assert engine.embedding_size() == 2048
    found = []
    for cuts in ([22], [11, 11], [21, 1]):
        _, states = watch(engine, frames, cuts[:-1]) if cuts[1:] else (None, [engine.initial_state()])
        logits, embeddings, after = engine.classify_next_with_embeddings(states, frames[:, 22 - cuts[-1] :])
        assert (embeddings.dtype, embeddings.shape, after[0].num_frames) == (np.float32, (1, 2048), 22)
        assert set(after[0].tensors) == set(engine.initial_state().tensors)
        npt.assert_allclose(logits, watch(engine, frames, [22])[0], atol=TOLERANCE, rtol=0)
        found.append(embeddings)
    npt.assert_allclose(found[1], found[0], atol=1e-3, rtol=0)
    npt.assert_allclose(found[2], found[0], atol=1e-3, rtol=0)
    other = engine.classify_next_with_embeddings([engine.initial_state()], 255 - frames)[1]
    assert np.abs(other - found[0]).max() > 0.01


@pytest.mark.slow
def test_the_official_a0s_embeddings_are_alike_in_both_engines(a0: ModelSpec) -> None:
    """TensorFlow keeps this graph in a function that is compiled by itself; it is looked into all the same."""
    engines = [load_stream_engine(a0, name, num_threads=2) for name in ("openvino", "tensorflow")]
    assert [engine.embedding_size() for engine in engines] == [2048, 2048]
    states = [[engine.initial_state()] for engine in engines]
    for frames in video(2, 7, 172).reshape(2, 1, 7, 172, 172, 3):
        (ours, embeddings, states[0]), (theirs, reference, states[1]) = (
            engine.classify_next_with_embeddings(state, frames) for engine, state in zip(engines, states, strict=True)
        )
        npt.assert_allclose(embeddings, reference, atol=TOLERANCE, rtol=0)
        npt.assert_allclose(ours, theirs, atol=TOLERANCE, rtol=0)
    assert [state[0].num_frames for state in states] == [14, 14]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("compiled_apart", [False, True])
def test_embeddings_are_what_the_last_layer_takes(name: Any, compiled_apart: bool, tmp_path: pathlib.Path) -> None:
    dense_model(tmp_path / "model", compiled_apart)
    engine = load_stream_engine(ModelSpec("mine", "stream", str(tmp_path / "model"), "", TINY), name, 1)
    frames = video(3, 9, TINY.size)
    assert engine.embedding_size() == 3
    _, states = engine.classify_next([engine.initial_state()] * 3, frames[:, :4])
    logits, embeddings, after = engine.classify_next_with_embeddings(states, frames[:, 4:])
    colours = (frames / 255).mean(axis=(1, 2, 3))
    npt.assert_allclose(embeddings, colours, atol=1e-5)
    npt.assert_allclose(logits, colours @ [[1, 2], [3, 4], [5, 6]] + [0.5, 0.25], atol=TOLERANCE)
    npt.assert_allclose(
        engine.classify_next(after, frames)[0],
        engine.classify_next(states, np.concatenate([frames[:, 4:], frames], axis=1))[0],
        atol=TOLERANCE,
    )
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.classify_next_with_embeddings(states, frames)


@pytest.mark.parametrize("name", ENGINES)
def test_a_model_without_a_last_layer_has_no_embeddings(name: Any, tiny: ModelSpec) -> None:
    engine = load_stream_engine(tiny, name, 1)
    assert engine.embedding_size() is None
    with pytest.raises(ModelError, match="no dense layer"):
        engine.classify_next_with_embeddings([engine.initial_state()], video(1, 2, TINY.size))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", ["a1", "a2", "a3", "a4", "a5"])
def test_larger_official_models_agree_between_engines(size: str, official_models: pathlib.Path) -> None:
    """A3 to A5 have positions in their state. Small pictures: the published graph takes any, and TensorFlow is slow."""
    folder = official_models / f"{size}-stream"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: see REELBEAM_OFFICIAL_MODELS")
    preset = Preset(num_frames=20, target_fps=Fraction(5), resize=64, size=64)
    spec = dataclasses.replace(find(f"{size}-stream"), handle=str(folder), preset=preset)
    frames = video(1, 15, preset.size)
    ours = load_stream_engine(spec, "openvino", 2)
    theirs, _ = watch(load_stream_engine(spec, "tensorflow", 2), frames, [6, 9])
    for cuts in ([15], [6, 9], [1] * 15):
        npt.assert_allclose(watch(ours, frames, cuts)[0], theirs, atol=1e-3, rtol=0)
        npt.assert_array_equal(np.argsort(-watch(ours, frames, cuts)[0])[:, :5], np.argsort(-theirs)[:, :5])
