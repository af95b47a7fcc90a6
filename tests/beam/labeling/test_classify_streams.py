"""ClassifyClips with a Stream model, in Beam: each segment keeps its state, with any bundles and batches."""

from __future__ import annotations

import dataclasses
import gc
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import apache_beam as beam
import fake_engine
import numpy as np
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from fake_engine import BAD_VALUE, FakeStreamEngine
from local_pipeline import LocalPipeline, counters
from slow_cases import fast_first

from reelbeam.transforms import classify_clips, metrics
from reelbeam.transforms.decode_clips import DecodeClips
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec, Preset
from reelbeam.transforms.models.scores import softmax
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.records import Clip, ClipScores, ClipSpan, Failure, StateSlot, VideoRef

SPEC = ModelSpec("fake", "stream", "nowhere", "nowhere", Preset(4, Fraction(1), 2, 2))
NUM_SEGMENTS, NUM_CLIPS = 9, 5


@pytest.fixture
def engine() -> FakeStreamEngine:
    return FakeStreamEngine(chunk_frames=2)


def config(**changes: Any) -> ClassifierConfig:
    return dataclasses.replace(ClassifierConfig(model=SPEC, labels=make.LABELS), **changes)


def values(segment: int) -> np.ndarray:
    return np.random.default_rng(segment).integers(0, 9, (NUM_CLIPS, 4)).astype(np.uint8)


class _MakeClips(beam.DoFn):
    """The clips of a segment, as DecodeClips gives them; some segments lack one, or have one that the model refuses."""

    def process(self, segment: int) -> Iterator[Clip]:
        slot = StateSlot()
        for index, pixels in enumerate(values(segment)):
            span = ClipSpan(
                index,
                Fraction(4 * index),
                Fraction(4 * index + 4),
                Fraction(1),
                (0, 1, 2, 3),
                4,
                continues=index > 0,
                is_continued=index < NUM_CLIPS - 1,
            )
            if segment == 7 and index == 2:
                continue
            if segment == 8 and index == 3:
                pixels = np.full(4, BAD_VALUE, np.uint8)
            frames = np.broadcast_to(pixels[:, None, None, None], (4, 2, 2, 3)).copy()
            yield Clip(f"{segment}.mp4", 0, span, frames, state_slot=slot)


def expected() -> list[tuple[str, int, list[float]]]:
    rows = []
    for segment in range(NUM_SEGMENTS):
        seen: list[int] = []
        for index, pixels in enumerate(values(segment).tolist()):
            seen += pixels
            if (segment, index) not in LOST:
                logits = np.array([[sum(seen), seen[-1], len(seen)]], np.float32)
                rows.append((f"{segment}.mp4", index, softmax(logits)[0].tolist()))
    return rows


LOST = {(7, 2): None, (7, 3): "predecessor_lost", (7, 4): "predecessor_lost"} | {
    (8, 3): "inference_failed",
    (8, 4): "predecessor_lost",
}


@pytest.mark.parametrize("batch_clips", fast_first([3, 8, 1, 2], 2))
def test_answers_do_not_depend_on_the_size_of_batches(batch_clips: int) -> None:
    metrics.reset_tally()  # a video is counted as broken once a process
    with LocalPipeline() as pipeline:
        clips = pipeline | beam.Create(range(NUM_SEGMENTS)) | beam.ParDo(_MakeClips())
        results = clips | classify_clips.ClassifyClips(config(max_batch_bytes=48 * batch_clips), fake_engine.load)
        rows = results.scores | beam.Map(lambda s: (s.video_uri, s.span.clip_index, s.scores.tolist()))
        assert_that(rows, equal_to(expected()), label="scores")
        failures = results.failures | beam.Map(lambda f: (int(f.video_uri[0]), f.clip_index, f.code, f.stage))
        lost = [(*place, code, "classify") for place, code in LOST.items() if code]
        assert_that(failures, equal_to(lost), label="failures")
    counted = counters(pipeline)
    assert counted[metrics.CLIPS_CLASSIFIED] == NUM_SEGMENTS * NUM_CLIPS - 5
    assert (counted[metrics.CLIPS_UNCLASSIFIED], counted[metrics.VIDEOS_BROKEN]) == (4, 2)


@pytest.mark.slow
def test_a_run_leaves_no_state() -> None:
    fake_engine.LOADED.clear()
    with LocalPipeline() as pipeline:
        clips = pipeline | beam.Create(range(7)) | beam.ParDo(_MakeClips())
        results = clips | classify_clips.ClassifyClips(config(max_batch_bytes=48 * 2), fake_engine.load)
        assert_that(results.failures, equal_to([]))
    gc.collect()
    (loaded,) = fake_engine.LOADED
    assert isinstance(loaded, FakeStreamEngine) and loaded.live_states == 0


@pytest.mark.parametrize(("is_carried", "calls"), [(False, [(4, 2)] * 2), (True, [(1, 2)] * 8)])
def test_clips_of_one_video_share_a_call_unless_they_continue_each_other(
    samples_dir: pathlib.Path, is_carried: bool, calls: list[tuple[int, int]]
) -> None:
    fake_engine.LOADED.clear()
    sampling = ClipSampling(4, Fraction(4), kind="stream", carry_state=is_carried)
    decoder = DecoderConfig(geometry=Geometry(2, 2), max_video_bytes=1 << 30)
    with LocalPipeline() as pipeline:
        videos = pipeline | beam.Create([VideoRef(str(samples_dir / "growing.mp4"), 1)])
        plan = videos | PlanClips(PlannerConfig(sampling=sampling, max_video_bytes=1 << 30))
        decoded = plan.segments | DecodeClips(decoder)
        results = decoded.clips | classify_clips.ClassifyClips(config(max_batch_bytes=48 * 4), fake_engine.load)
        assert_that(results.failures, equal_to([]))
    (loaded,) = fake_engine.LOADED
    assert isinstance(loaded, FakeStreamEngine) and loaded.calls == calls


def classifier(**changes: object) -> ClipClassifier:
    return ClipClassifier(config(kept=LabelFilter(1), **changes))


def test_logits_and_embeddings_come_along_where_they_are_asked_for(engine: FakeStreamEngine) -> None:
    clips = list(_MakeClips().process(0))
    plain = classifier().classify(clips, engine)
    with_outputs = classifier(outputs=("logits", "embedding")).classify(clips, engine)
    for one, other in zip(plain, with_outputs, strict=True):
        assert isinstance(one, ClipScores) and isinstance(other, ClipScores)
        assert one.logits is None and one.embedding is None
        assert other.logits is not None and other.embedding is not None
        assert (other.logits.dtype, other.embedding.dtype) == (np.float16, np.float16)
        np.testing.assert_allclose(np.log(one.scores) + one.log_sum_exp, other.logits, atol=1e-3, rtol=0)
        assert other.embedding.tolist() == [10 * x for x in other.logits[:2].tolist()]


def test_the_failure_says_what_is_missing(engine: FakeStreamEngine) -> None:
    _, _, third = list(_MakeClips().process(0))[:3]
    (failure,) = classifier().classify([third], engine)
    assert isinstance(failure, Failure)
    assert failure.message.startswith("clip 2 of 0.mp4 continues clip 1, of which the model gave no answer")
    assert (failure.segment_index, failure.clip_index, failure.transient) == (0, 2, False)


def test_batches_are_bounded_by_bytes_with_the_warm_up() -> None:
    a0 = CATALOG["a0-stream"]
    frame_bytes = 172 * 172 * 3
    long = config(model=a0, engine="tensorflow", clip_frames=100)
    assert long.max_batch_clips == min(8, (64 << 20) // (100 * frame_bytes))
    assert dataclasses.replace(long, max_batch_bytes=1).max_batch_clips == 1
    # A CPU gains nothing from more than one of A0's, and something from eight of the demo's.
    assert config(model=a0, engine="openvino").max_batch_clips == 1
    assert config(model=CATALOG["demo"], engine="openvino").max_batch_clips == 8
