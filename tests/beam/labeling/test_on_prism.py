"""The heavy steps on Prism: decoding and inference are one step there, too, and counters arrive."""

from __future__ import annotations

import pathlib

import apache_beam as beam
import fake_engine
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import counters
from prism import PrismPipeline

from reelbeam.transforms import metrics
from reelbeam.transforms.classify_clips import ClassifyClips
from reelbeam.transforms.decode_clips import ClipCoder, DecodeClips
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.records import Clip, VideoRef

pytestmark = pytest.mark.slow
DEMO = find("demo")
SAMPLING = ClipSampling(DEMO.preset.num_frames, DEMO.preset.target_fps)
GEOMETRY = Geometry(DEMO.preset.resize, DEMO.preset.size)
CAP = 1 << 30


def test_no_clip_is_pickled_or_encoded_between_decoder_and_model(
    prism_program: str, samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers are threads of this process, so the two ways to code a clip can be watched."""
    coded: list[str] = []

    def encode(_: ClipCoder, clip: Clip) -> bytes:
        coded.append("encode")
        return b""

    def pickle(_: Clip, protocol: int) -> tuple[type, tuple[()]]:
        coded.append("pickle")
        return str, ()

    monkeypatch.setattr(ClipCoder, "encode", encode)
    monkeypatch.setattr(Clip, "__reduce_ex__", pickle)
    videos = [VideoRef(str(path), 1) for path in sorted(samples_dir.iterdir()) if path.stem != "broken"]
    with PrismPipeline(prism_program) as pipeline:
        plan = pipeline | beam.Create(videos) | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        decoded = plan.segments | beam.Reshuffle() | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        classified = decoded.clips | ClassifyClips(ClassifierConfig(model=DEMO, labels=make.LABELS), fake_engine.load)
        assert_that(classified.failures, equal_to([]))
    assert counters(pipeline)[metrics.CLIPS_CLASSIFIED] == counters(pipeline)[metrics.CLIPS_PLANNED] > 15
    assert coded == []


def test_a_clip_that_is_shuffled_would_be_found_out(
    prism_program: str, samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded: list[str] = []
    encode = ClipCoder.encode

    def watched(coder: ClipCoder, clip: Clip) -> bytes:
        coded.append("encode")
        return encode(coder, clip)

    monkeypatch.setattr(ClipCoder, "encode", watched)
    videos = [VideoRef(str(samples_dir / "growing.mp4"), 1)]
    with PrismPipeline(prism_program) as pipeline:
        plan = pipeline | beam.Create(videos) | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        decoded = plan.segments | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        _ = decoded.clips | beam.Reshuffle() | beam.Map(lambda clip: clip.span.clip_index)
    assert coded == ["encode"] * 2
