"""A long video in many segments gives the clips of one segment, and heavy segments go first."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from fractions import Fraction

import apache_beam as beam
import data_generation as generate
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline, counters
from slow_cases import fast_first

from reelbeam.transforms import metrics
from reelbeam.transforms.decode_clips import DecodeClips
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.records import Clip, VideoRef

GEOMETRY = Geometry(48, 48)
CAP = 1 << 30
SAMPLING = ClipSampling(10, Fraction(1))


def digest(frames: np.ndarray) -> str:
    return hashlib.sha256(frames.tobytes()).hexdigest()


def row(clip: Clip) -> tuple[int, int, int, str]:
    return clip.span.clip_index, clip.span.start_ms, clip.span.end_ms, digest(clip.frames)


@pytest.mark.parametrize("name", fast_first(["long.mp4", "long.mkv", "long.ts"]))
def test_the_parts_give_the_clips_of_the_whole(tmp_path: pathlib.Path, name: str) -> None:
    path = generate.make_video(
        tmp_path / name, 2 * 385, 2, 64, 48, b_frames=2, gop=19, draw=generate.draw_moving, start_pts=11
    )
    media = probe(path)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    whole = dataclasses.replace(media, key_frame_pts=())
    expected = [
        (span.clip_index, span.start_ms, span.end_ms, digest(frames))
        for span, frames in decode_clips(path, whole, spans, GEOMETRY)
    ]
    assert len(expected) == 39
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(str(path), 1)])
            | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        )
        assert_that(
            plan.planned | beam.Map(lambda p: (p.num_segments > 3, p.num_clips)), equal_to([(True, 39)]), "plan"
        )
        decoded = plan.segments | beam.Reshuffle() | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP))
        assert_that(decoded.clips | beam.Map(row), equal_to(expected), "clips")
        assert_that(decoded.failures, equal_to([]), "failures")
    assert counters(pipeline)[metrics.VIDEOS_DONE] == 1
    assert counters(pipeline)[metrics.FULL_DECODES] == 0


def test_heavy_segments_come_first(tmp_path: pathlib.Path) -> None:
    seconds = {"short.mp4": 12, "long.mp4": 75, "middle.mp4": 40}
    paths = [generate.make_video(tmp_path / name, 2 * n, 2, 64, 48) for name, n in seconds.items()]
    weights = []
    with LocalPipeline() as pipeline:
        videos = pipeline | beam.Create([VideoRef(str(path), 1) for path in paths], reshuffle=False)
        plan = videos | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP))
        ordered = plan.segments | beam.Map(lambda s: (pathlib.Path(s.video.video_uri).name, s.num_segments))
        weights = ordered | beam.WindowInto(beam.window.GlobalWindows()) | beam.combiners.ToList()
        assert_that(weights, equal_to([[("long.mp4", 1), ("middle.mp4", 1), ("short.mp4", 1)]]))
