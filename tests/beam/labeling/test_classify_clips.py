"""ClassifyClips: batches, one bad clip among good ones, and one load per process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction

import apache_beam as beam
import fake_engine
import numpy as np
import numpy.typing as npt
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from fake_engine import BAD_VALUE, NAN_VALUE, FakeEngine
from local_pipeline import LocalPipeline, counters

from reelbeam.transforms import classify_clips, metrics
from reelbeam.transforms.classify_clips import ClassifyClips, MoViNetModelHandler
from reelbeam.transforms.errors import LabelMapError
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.models import classifier_config
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.cpu_meter import CpuMeter
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec, Preset
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Clip, ClipScores, Failure

SPEC = ModelSpec("fake", "base", "nowhere", "nowhere", Preset(2, Fraction(1), 4, 4))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def classifier(top_k: int = 2) -> ClipClassifier:
    return ClipClassifier(ClassifierConfig(model=SPEC, labels=make.LABELS, kept=LabelFilter(top_k)))


def test_every_clip_gets_its_own_scores(engine: FakeEngine) -> None:
    clips = [make.clip(index=0, value=3), make.clip(index=1, value=100)]
    first, second = classifier().classify(clips, engine)
    assert isinstance(first, ClipScores) and isinstance(second, ClipScores)
    assert (first.span.clip_index, first.labels[0].label, len(first.labels)) == (0, "left", 2)
    assert (second.span.clip_index, second.labels[0].label) == (1, "still")
    np.testing.assert_allclose(first.scores, np.exp([3, 0, 0]) / (np.exp(3) + 2), rtol=1e-6)
    assert first.labels[0].score == pytest.approx(float(first.scores[0]))


def test_a_bad_clip_fails_alone_and_its_neighbours_keep_their_scores(engine: FakeEngine) -> None:
    clips = [make.clip(index=i, value=BAD_VALUE if i == 5 else i) for i in range(8)]
    results = classifier().classify(clips, engine)
    assert [type(result) for result in results] == [Failure if i == 5 else ClipScores for i in range(8)]
    bad = results[5]
    assert isinstance(bad, Failure)
    assert (bad.stage, bad.code, bad.segment_index, bad.clip_index) == ("classify", "inference_failed", 0, 5)
    assert "clip 5 of a.mp4" in bad.message and "cannot look at that" in bad.message
    assert engine.batch_sizes == [8, 4, 4, 2, 1, 1, 2]


def test_non_finite_logits_fail_one_clip(engine: FakeEngine) -> None:
    results = classifier().classify([make.clip(index=0, value=NAN_VALUE), make.clip(index=1)], engine)
    assert [type(result) for result in results] == [Failure, ClipScores]
    assert engine.batch_sizes == [2]


def test_out_of_memory_halves_the_batch_and_is_remembered() -> None:
    engine = FakeEngine(memory_clips=3)
    for _ in range(2):  # each thread of a process has a classifier of its own, and all share the engine
        results = classifier().classify([make.clip(index=i, value=i) for i in range(8)], engine)
        assert [type(result) for result in results] == [ClipScores] * 8
    assert engine.batch_sizes == [8, 4, 2, 2, 2, 2] + [2, 2, 2, 2]


def test_no_memory_for_one_clip_is_a_failure_that_may_be_tried_again() -> None:
    (result,) = classifier().classify([make.clip(index=0, value=1)], FakeEngine(memory_clips=0))
    assert isinstance(result, Failure)
    assert (result.code, result.transient) == ("out_of_memory", True)


class BuggyEngine(FakeEngine):
    """An engine with a defect of its own."""

    def classify(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        raise AttributeError("a bug")


def test_a_bug_in_the_engine_is_not_a_row() -> None:
    with pytest.raises(AttributeError):
        classifier().classify([make.clip()], BuggyEngine())


def test_batches_are_bounded_by_bytes_for_every_model() -> None:
    for spec in CATALOG.values():
        batching = MoViNetModelHandler(ClassifierConfig(model=spec, labels=())).batch_elements_kwargs()
        size = spec.preset.num_frames * spec.preset.size**2 * 3
        assert 1 <= batching["max_batch_size"] <= classifier_config.MAX_BATCH_CLIPS
        assert batching["max_batch_size"] == 1 or batching["max_batch_size"] * size <= classifier_config.MAX_BATCH_BYTES


def test_a_batch_is_measured_without_pickling_it() -> None:
    handler = MoViNetModelHandler(ClassifierConfig(model=SPEC, labels=make.LABELS))
    assert handler.get_num_bytes([make.clip(), make.clip()]) == 2 * 2 * 4 * 4 * 3


def test_in_a_pipeline_each_clip_comes_out_once_and_the_model_is_loaded_once() -> None:
    fake_engine.LOADED.clear()
    with LocalPipeline() as pipeline:
        clips = pipeline | beam.Create(range(40)) | beam.ParDo(_MakeClips())
        results = clips | ClassifyClips(ClassifierConfig(model=SPEC, labels=make.LABELS), fake_engine.load)
        scored = results.scores | beam.Map(lambda scores: scores.span.clip_index)
        failed = results.failures | beam.Map(lambda failure: failure.clip_index)
        assert_that(scored, equal_to([i for i in range(40) if i not in (7, 23)]), label="scored")
        assert_that(failed, equal_to([7, 23]), label="failed")
    counted = counters(pipeline)
    (loaded,) = fake_engine.LOADED
    assert isinstance(loaded, FakeEngine) and counted[metrics.MODELS_LOADED] == 1
    assert sum(size for size in loaded.batch_sizes if size == 1) >= 2 and max(loaded.batch_sizes) > 1
    assert (counted[metrics.CLIPS_CLASSIFIED], counted[metrics.CLIPS_UNCLASSIFIED]) == (38, 2)
    assert counted[metrics.VIDEOS_BROKEN] == 1


def test_the_cost_is_the_cpu_time_of_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    _readings.clear()
    monkeypatch.setattr(classify_clips, "model_meter", CpuMeter(_read_clock))
    with LocalPipeline("--direct_num_workers=1") as pipeline:
        clips = pipeline | beam.Create(range(40)) | beam.ParDo(_MakeClips())
        results = clips | ClassifyClips(ClassifierConfig(model=SPEC, labels=make.LABELS), fake_engine.load)
        assert_that(results.costs | beam.CombineGlobally(RunCost.total), _check_cost)
    num_batches = len(_readings) // 2
    assert num_batches >= 40 / classifier_config.MAX_BATCH_CLIPS
    assert counters(pipeline)[metrics.MODEL_CPU_MS] == 1000 * num_batches


_readings: list[float] = []


def _read_clock() -> float:
    """Returns the CPU time of a process that uses 1 s from one reading to the next, so 1 s in each batch."""
    _readings.append(len(_readings) + 1.0)
    return _readings[-1]


def _check_cost(found: Sequence[RunCost]) -> None:
    assert found == [RunCost(model_cpu_seconds=len(_readings) / 2)]


DEMO = dataclasses.replace(CATALOG["demo"], labels="on/the/launcher/alone.txt")
CLASSES = tuple(f"class {k}" for k in range(9))


def demo_clip(index: int) -> Clip:
    preset = DEMO.preset
    frames = np.full((preset.num_frames, preset.size, preset.size, 3), 20 * index, np.uint8)
    return dataclasses.replace(make.clip(index=index), frames=frames)


@pytest.mark.slow
def test_workers_need_no_label_file() -> None:
    """The labels come with the step: the file may be on the launcher's disk alone."""
    with LocalPipeline() as pipeline:
        clips = pipeline | beam.Create(range(3)) | beam.Map(demo_clip)
        results = clips | ClassifyClips(
            ClassifierConfig(model=DEMO, labels=CLASSES, kept=LabelFilter(9), num_threads=1)
        )
        named = results.scores | beam.Map(lambda scores: sorted(label.label for label in scores.labels))
        assert_that(named, equal_to([list(CLASSES)] * 3))


def test_labels_of_another_model_are_refused() -> None:
    config = ClassifierConfig(model=DEMO, labels=CLASSES[:7], engine="openvino", num_threads=1)
    own = MoViNetModelHandler(config)
    with pytest.raises(LabelMapError, match=r"alone\.txt holds 7 labels but the model gives 9 scores"):
        own.load_model()


class _MakeClips(beam.DoFn):
    def process(self, index: int) -> Iterator[object]:
        yield make.clip("broken.mp4", index, BAD_VALUE if index in (7, 23) else index)
