"""DecodeClips: the frames of the plan, failures as data, and pixels that are never coded."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
from fractions import Fraction

import apache_beam as beam
import data_generation as generate
import fake_engine
import numpy as np
import processes
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline, counters

from reelbeam.transforms import metrics, schemas
from reelbeam.transforms.classify_clips import ClassifyClips
from reelbeam.transforms.decode_clips import ClipCoder, DecodeClips
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sandbox import protocol
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.records import Clip, SegmentSpan, VideoRef

DEMO = find("demo")
SAMPLING = ClipSampling(DEMO.preset.num_frames, DEMO.preset.target_fps)
GEOMETRY = Geometry(DEMO.preset.resize, DEMO.preset.size)
CAP = 1 << 30


def test_the_coder_keeps_everything_but_is_only_for_emergencies() -> None:
    clip = make.clip(index=3, value=9)
    again = ClipCoder().decode(ClipCoder().encode(clip))
    assert (again.video_uri, again.segment_index, again.span) == (clip.video_uri, clip.segment_index, clip.span)
    np.testing.assert_array_equal(again.frames, clip.frames)
    assert ClipCoder().estimate_size(clip) >= clip.frames.nbytes


def test_clips_of_good_videos_come_out_and_a_vanished_one_is_a_failure(samples_dir: pathlib.Path) -> None:
    good = str(samples_dir / "growing.mp4")
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(good, 1)])
            | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        )
        vanished = plan.segments | beam.Map(_renamed)
        segments = (plan.segments, vanished) | beam.Flatten()
        decoded = segments | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        shapes = decoded.clips | beam.Map(lambda clip: (clip.video_uri, clip.span.clip_index, clip.frames.shape))
        assert_that(shapes, equal_to([(good, i, (8, 64, 64, 3)) for i in (0, 1)]), label="clips")
        failures = decoded.failures | beam.Map(lambda f: (f.video_uri, f.stage, f.code, f.segment_index))
        assert_that(failures, equal_to([(good + ".gone", "decode", "not_found", 0)]), label="failures")
    counted = counters(pipeline)
    assert (counted[metrics.CLIPS_DECODED], counted[metrics.VIDEOS_DONE], counted[metrics.VIDEOS_BROKEN]) == (2, 2, 1)
    assert counted[metrics.VIDEO_MS_DECODED] == 8000


def test_rows_count_the_real_frames_of_a_recording_that_starts_inside_a_gop(tmp_path: pathlib.Path) -> None:
    source = generate.make_video(tmp_path / "v.ts", 150, 25, gop=50, options={"sc_threshold": "0"})
    path = str(generate.cut_before_packet(source, tmp_path / "cut.ts", 10))  # its first key frame is shown at 1.6 s
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(path, 1)])
            | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        )
        decoded = plan.segments | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        classified = decoded.clips | ClassifyClips(ClassifierConfig(model=DEMO, labels=make.LABELS), fake_engine.load)
        rows = classified.scores | beam.Map(lambda scores: schemas.clip_row(scores, make.RUN))
        found = rows | beam.Map(
            lambda row: (row["clip_index"], row["end_ms"], row["num_frames"], row["num_real_frames"])
        )
        assert_that(found, equal_to([(0, 2000, 8, 1), (1, 4000, 8, 8), (2, 5600, 8, 8)]))


def test_a_crashed_decoder_loses_only_its_segment(tmp_path: pathlib.Path) -> None:
    path = generate.make_video(tmp_path / "v.mp4", 250, 25, 320, 240)
    many = ClipSampling(5, Fraction(20))
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(str(path), 1)])
            | PlanClips(PlannerConfig(sampling=many, max_video_bytes=CAP))
        )
        segments = plan.segments | beam.FlatMap(lambda s: [s, dataclasses.replace(s, video=VideoRef(str(path), 2))])
        decoded = segments | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        # The model's side of the first clip that comes kills the decoder that is at work on it.
        seen = decoded.clips | beam.Map(_kill_the_decoder_once, marker=str(tmp_path / "killed"))
        assert_that(seen, lambda indices: None, label="clips")
        assert_that(decoded.failures | beam.Map(lambda f: f.code), equal_to(["decoder_crashed"]), label="failures")
        for name, costs in (("plan", plan.costs), ("decode", decoded.costs)):
            total = costs | f"Sum_{name}" >> beam.CombineGlobally(RunCost.total)
            is_measured = total | f"Check_{name}" >> beam.Map(
                lambda cost: (cost.decode_cpu_seconds > 0, cost.model_cpu_seconds)
            )
            assert_that(is_measured, equal_to([(True, 0)]), label=f"cost_{name}")
    assert counters(pipeline)[metrics.DECODE_CPU_MS] > 0
    assert counters(pipeline)[metrics.DECODER_RESTARTS] == 1
    # What the ring held when the decoder died is not lost, and the other segment is whole.
    assert 41 <= counters(pipeline)[metrics.CLIPS_DECODED] <= 41 + protocol.NUM_SLOTS


def _kill_the_decoder_once(clip: Clip, marker: str) -> int:
    if not os.path.exists(marker):
        pathlib.Path(marker).touch()
        for pid in processes.decoders_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)
    return clip.span.clip_index


def _renamed(segment: SegmentSpan) -> SegmentSpan:
    return dataclasses.replace(segment, video=VideoRef(segment.video.video_uri + ".gone", 1))


def test_no_clip_is_pickled_or_encoded_between_decoder_and_model(
    samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beam decides when it codes an element, so the two ways to code a clip are watched."""
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
    with LocalPipeline() as pipeline:
        plan = pipeline | beam.Create(videos) | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        decoded = plan.segments | beam.Reshuffle() | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        classified = decoded.clips | ClassifyClips(ClassifierConfig(model=DEMO, labels=make.LABELS), fake_engine.load)
        assert_that(classified.failures, equal_to([]))
    assert counters(pipeline)[metrics.CLIPS_CLASSIFIED] == counters(pipeline)[metrics.CLIPS_PLANNED] > 15
    assert coded == []
