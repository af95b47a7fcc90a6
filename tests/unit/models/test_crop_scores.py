"""Several crops of a clip: each goes through the model as a clip, and the clip gets the mean of their scores."""

from __future__ import annotations

import dataclasses
import gc
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import record_factory as make
from fake_engine import BAD_VALUE, NAN_VALUE, FakeEngine, FakeStreamEngine

from reelbeam.transforms.errors import InferenceError
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.crops import mean_outputs
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec, OutputActivation, Preset
from reelbeam.transforms.models.scores import log_sum_exp, to_scores
from reelbeam.transforms.records import Clip, ClipScores, Failure, StateSlot

BASE = ModelSpec("fake", "base", "nowhere", "nowhere", Preset(2, Fraction(1), 4, 4))
STREAM = dataclasses.replace(BASE, kind="stream")


def handler(
    spec: ModelSpec = BASE, num_crops: int = 3, outputs: tuple[str, ...] = ("logits",), batch_clips: int = 8
) -> ClipClassifier:
    config = ClassifierConfig(
        model=spec,
        labels=make.LABELS,
        num_crops=num_crops,
        outputs=outputs,
        max_batch_bytes=batch_clips * 2 * 4 * 4 * 3,
    )
    return ClipClassifier(config)


def clip(*values: int, index: int = 0, slot: StateSlot | None = None, num_clips: int = 1) -> Clip:
    """Returns a clip with one crop for each value."""
    frames = np.concatenate([np.full((2, 4, 4, 3), value, np.uint8) for value in values], axis=2)
    span = dataclasses.replace(make.span(index), continues=index > 0, is_continued=index < num_clips - 1)
    return Clip("a.mp4", 0, span, frames, state_slot=slot or StateSlot())


def scores_of(result: ClipScores | Failure) -> npt.NDArray[np.float32]:
    assert isinstance(result, ClipScores)
    return result.scores


@pytest.mark.parametrize("batch_clips", [1, 2, 3, 8])
def test_a_clip_has_the_mean_of_its_crops_scores(batch_clips: int) -> None:
    results = handler(batch_clips=batch_clips).classify([clip(3, 100, 0), clip(1, 1, 1)], FakeEngine())
    alone = handler(num_crops=1).classify([make.clip(value=value) for value in (3, 100, 0, 1)], FakeEngine())
    expected = [np.mean([scores_of(each) for each in alone[:3]], axis=0), scores_of(alone[3])]
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(scores_of(result), wanted, atol=1e-6)
    first = results[0]
    assert isinstance(first, ClipScores) and first.logits is not None
    assert first.labels[0].score == pytest.approx(float(expected[0].max()), abs=1e-6)
    np.testing.assert_allclose(first.log_sum_exp, log_sum_exp(first.logits.astype(np.float32)), atol=0.1)  # float16


@pytest.mark.parametrize("bad", [BAD_VALUE, NAN_VALUE])
@pytest.mark.parametrize("place", range(3))
def test_a_bad_crop_fails_its_clip_alone(bad: int, place: int) -> None:
    values = [5, 6, 7]
    values[place] = bad
    first, second, third = handler().classify([clip(1, 2, 3), clip(*values), clip(4, 5, 6)], FakeEngine())
    assert isinstance(first, ClipScores) and isinstance(third, ClipScores)
    assert isinstance(second, Failure) and second.code == "inference_failed"


def test_crops_of_a_single_clip_are_separated_if_memory_is_short() -> None:
    engine = FakeEngine(memory_clips=1)
    (result,) = handler().classify([clip(1, 2, 3)], engine)
    assert isinstance(result, ClipScores) and engine.batch_sizes == [3, 1, 2, 1, 1]


def test_each_crop_of_a_stream_model_has_its_own_state() -> None:
    engine, values = FakeStreamEngine(), [(1, 2, 3), (4, 5, 6), (3, 2, 1)]
    slots = [StateSlot() for _ in range(4)]
    clips = [clip(*crops, index=i, slot=slots[3], num_clips=3) for i, crops in enumerate(values)]
    expected = []
    for i, crops in enumerate(values):
        alone = [clip(value, index=i, slot=slot, num_clips=3) for value, slot in zip(crops, slots[:3], strict=True)]
        results = handler(STREAM, num_crops=1).classify(alone, engine)
        expected.append(np.mean([scores_of(result) for result in results], axis=0))
    once = handler(STREAM, outputs=("logits", "embedding"))
    results = [*once.classify(clips[:1], engine), *once.classify(clips[1:], engine)]
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(scores_of(result), wanted, atol=1e-6)
    last = results[-1]
    # The fake embeds ten times the sum of what it saw and the last pixel: here their means over the crops.
    assert isinstance(last, ClipScores) and last.embedding is not None
    np.testing.assert_allclose(last.embedding, [10 * 2 * (8 + 9 + 10) / 3, 20])
    del clips, results, last, once
    gc.collect()
    assert engine.live_states == 0


def test_a_crop_that_lost_its_state_fails_the_rest_of_the_segment() -> None:
    slot = StateSlot()
    values = [(1, 2, 3), (1, BAD_VALUE, 3), (1, 2, 3)]
    clips = [clip(*crops, index=i, slot=slot, num_clips=3) for i, crops in enumerate(values)]
    first, second, third = handler(STREAM).classify(clips, FakeStreamEngine())
    assert isinstance(first, ClipScores)
    assert [each.code for each in (second, third) if isinstance(each, Failure)] == [
        "inference_failed",
        "predecessor_lost",
    ]


@pytest.mark.parametrize("activation", ["logits", "softmax", "sigmoid"])
def test_the_scores_of_the_mean_outputs_are_the_mean_of_the_scores(activation: OutputActivation) -> None:
    outputs = np.random.default_rng(1).normal(0, 4, (3, 600)).astype(np.float32)
    outputs[0, 5], outputs[1, 7] = 80, -300
    if activation != "logits":
        outputs = to_scores(outputs)
    joined = mean_outputs(outputs, activation)
    assert joined.dtype == np.float32 and np.isfinite(joined).all()
    wanted = to_scores(outputs, activation).mean(axis=0)
    np.testing.assert_allclose(to_scores(joined[None], activation)[0], wanted, rtol=1e-4, atol=1e-9)
    if activation == "logits":
        mean = np.mean([log_sum_exp(each) for each in outputs])
        assert log_sum_exp(joined) == pytest.approx(mean, abs=1e-4)


def test_an_output_that_is_not_a_score_is_not_hidden_by_the_mean() -> None:
    outputs = np.array([[0.5, 0.5], [-0.4, 1.0], [0.9, 0.1]], np.float32)
    with pytest.raises(InferenceError, match="--output_activation logits"):
        mean_outputs(outputs, "softmax")


@pytest.mark.parametrize(
    ("model", "engine", "num_crops", "expected"),
    [
        ("a0-base", "openvino", 1, (1, 1)),
        ("a0-base", "openvino", 3, (1, 1)),
        ("a0-base", "tensorflow", 1, (8, 8)),
        ("a0-base", "tensorflow", 3, (2, 8)),
        ("a5-base", "tensorflow", 1, (1, 1)),
        ("a5-base", "tensorflow", 3, (1, 1)),
        ("demo", "openvino", 1, (8, 8)),
        ("demo", "openvino", 3, (2, 8)),
    ],
)
def test_batches_have_fewer_clips_with_more_crops(
    model: str, engine: str, num_crops: int, expected: tuple[int, int]
) -> None:
    config = ClassifierConfig(model=CATALOG[model], labels=(), engine=engine, num_crops=num_crops)  # type: ignore[arg-type]
    assert (config.max_batch_clips, config.max_batch_crops) == expected
