"""PlanClips: every video comes out once, as planned or as a failure with its code."""

from __future__ import annotations

import pathlib

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline, counters

from transforms import metrics
from transforms.media.sampling import ClipSampling
from transforms.models.catalog import find
from transforms.plan_clips import PlanClips
from transforms.records import VideoRef

PRESET = find("demo").preset


def sampling(**changes: object) -> ClipSampling:
    return ClipSampling(PRESET.num_frames, PRESET.target_fps, **changes)  # type: ignore[arg-type]


def test_each_video_is_planned_or_failed(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    paths = [samples_dir / "growing.mp4", samples_dir / "broken.mp4", empty, tmp_path / "gone.mp4", tmp_path]
    uris = [*map(str, paths), "nowhere://bucket/a.mp4"]
    with LocalPipeline() as pipeline:
        plan = pipeline | beam.Create([VideoRef(uri) for uri in uris]) | PlanClips(sampling(), 1 << 30)
        planned = plan.planned | beam.Map(lambda p: (p.video.video_uri, p.num_segments, p.num_clips, p.media.codec))
        assert_that(planned, equal_to([(uris[0], 1, 2, "h264")]), label="planned")
        segments = plan.segments | beam.Map(lambda s: (s.video.video_uri, s.segment_index, len(s.clips)))
        assert_that(segments, equal_to([(uris[0], 0, 2)]), label="segments")
        failures = plan.failures | beam.Map(lambda f: (f.video_uri, f.code, f.stage, f.transient))
        codes = ["not_a_video", "empty_file", "not_found", "not_found", "unsupported_uri"]
        expected = [(uri, code, "plan", False) for uri, code in zip(uris[1:], codes, strict=True)]
        assert_that(failures, equal_to(expected), label="failures")
    counted = counters(pipeline)
    assert (counted[metrics.VIDEOS_PLANNED], counted[metrics.VIDEOS_BROKEN], counted[metrics.CLIPS_PLANNED]) == (
        1,
        5,
        2,
    )


def test_a_video_without_clips_is_planned_without_segments(samples_dir: pathlib.Path) -> None:
    uri = str(samples_dir / "growing.mp4")
    short = ClipSampling(num_frames=400, target_fps=PRESET.target_fps, tail_policy="drop")
    with LocalPipeline() as pipeline:
        plan = pipeline | beam.Create([VideoRef(uri, 1)]) | PlanClips(short, 1 << 30)
        assert_that(plan.segments, equal_to([]), label="segments")
        assert_that(plan.planned | beam.Map(lambda p: p.num_clips), equal_to([0]), label="planned")


@pytest.mark.parametrize("size_bytes", [28547, None])
def test_a_file_over_the_cap_is_not_opened(samples_dir: pathlib.Path, size_bytes: int | None) -> None:
    video = VideoRef(str(samples_dir / "growing.mp4"), size_bytes)
    with LocalPipeline() as pipeline:
        plan = pipeline | beam.Create([video]) | PlanClips(sampling(), max_video_bytes=1000)
        assert_that(plan.failures | beam.Map(lambda f: f.code), equal_to(["file_too_large"]))
