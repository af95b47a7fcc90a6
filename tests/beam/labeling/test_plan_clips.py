"""PlanClips: every video comes out once, as planned or as a failure with its code."""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import Any

import apache_beam as beam
import data_generation as generate
import pytest
from apache_beam.testing.util import assert_that, equal_to
from faulty_proxy import FaultyProxy
from local_pipeline import LocalPipeline, counters, list_videos
from object_stores import S3Server, s3_flags

from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms import metrics
from reelbeam.transforms.labeling.config import PlannerConfig
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.records import VideoRef

PRESET = find("demo").preset


def sampling(**changes: Any) -> ClipSampling:
    return ClipSampling(PRESET.num_frames, PRESET.target_fps, **changes)


def test_each_video_is_planned_or_failed(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    paths = [samples_dir / "growing.mp4", samples_dir / "broken.mp4", empty, tmp_path / "gone.mp4", tmp_path]
    uris = [*map(str, paths), "nowhere://bucket/a.mp4"]
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(uri, 1) for uri in uris])
            | PlanClips(PlannerConfig(sampling=sampling(), max_video_bytes=1 << 30))
        )
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


@pytest.mark.usefixtures("quick_retries")
def test_what_the_listing_could_not_identify_is_never_labeled(
    s3: S3Server, proxy: FaultyProxy, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A store that was busy while the videos were listed, and answers a moment later."""
    uris = [s3.put("growing.mp4", (samples_dir / "growing.mp4").read_bytes()), f"{s3.uri}/gone.mp4"]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(uris))
    proxy.fault = lambda request: "503"
    with LocalPipeline(*s3_flags(proxy.url)) as pipeline:
        videos = list_videos(pipeline, input_list=str(listing))
        assert_that(videos, equal_to([VideoRef(uri) for uri in uris]))
    assert proxy.faults()
    proxy.fault = lambda request: ""
    with LocalPipeline(*s3_flags(proxy.url)) as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(uri) for uri in uris])
            | PlanClips(PlannerConfig(sampling=sampling(), max_video_bytes=1 << 30))
        )
        assert_that(plan.planned, equal_to([]), label="planned")
        failures = plan.failures | beam.Map(lambda f: (f.video_uri, f.code, f.transient))
        expected = [(uris[0], "video_changed", True), (uris[1], "not_found", False)]
        assert_that(failures, equal_to(expected), label="failures")


def test_a_video_without_clips_is_planned_without_segments(samples_dir: pathlib.Path) -> None:
    uri = str(samples_dir / "growing.mp4")
    short = ClipSampling(num_frames=400, target_fps=PRESET.target_fps, tail_policy="drop")
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([VideoRef(uri, 1)])
            | PlanClips(PlannerConfig(sampling=short, max_video_bytes=1 << 30))
        )
        assert_that(plan.segments, equal_to([]), label="segments")
        assert_that(plan.planned | beam.Map(lambda p: p.num_clips), equal_to([0]), label="planned")


@pytest.mark.parametrize("size_bytes", [28547, 1])  # 1: it grew after it was listed
def test_a_file_over_the_cap_is_not_opened(samples_dir: pathlib.Path, size_bytes: int) -> None:
    video = VideoRef(str(samples_dir / "growing.mp4"), size_bytes)
    with LocalPipeline() as pipeline:
        plan = pipeline | beam.Create([video]) | PlanClips(PlannerConfig(sampling=sampling(), max_video_bytes=1000))
        assert_that(plan.failures | beam.Map(lambda f: f.code), equal_to(["file_too_large"]))


@pytest.mark.parametrize(
    ("limits", "changes"), [(DecoderLimits(max_packets=3), {}), (DecoderLimits(max_clips=1), {"clips_per_video": 2})]
)
def test_a_video_over_a_limit_is_a_failure(
    samples_dir: pathlib.Path, limits: DecoderLimits, changes: dict[str, object]
) -> None:
    video = VideoRef(str(samples_dir / "growing.mp4"), 1)
    with LocalPipeline() as pipeline:
        plan = (
            pipeline
            | beam.Create([video])
            | PlanClips(PlannerConfig(sampling=sampling(**changes), max_video_bytes=1 << 30, limits=limits))
        )
        assert_that(plan.failures | beam.Map(lambda f: (f.code, f.stage)), equal_to([("over_limit", "plan")]))
    assert counters(pipeline).get(metrics.DECODER_RESTARTS) is None


def test_a_decoder_that_does_not_answer_is_a_failure_and_a_restart(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path
) -> None:
    """Of no time at all, a decoder gets a second more for each 8 MiB of its file: one has 0.2 ms, the other 20 s."""
    generate.make_video(tmp_path / "small.mp4", 2)
    shutil.copy(samples_dir / "growing.mp4", tmp_path / "large.mp4")
    os.truncate(tmp_path / "large.mp4", 160 << 20)
    videos = [VideoRef(str(tmp_path / name), 1) for name in ("small.mp4", "large.mp4")]
    limits = DecoderLimits(deadline_seconds=0)
    with beam.Pipeline(options=runner_of(["--direct_num_workers=1"]).options) as pipeline:
        plan = (
            pipeline
            | beam.Create(videos, reshuffle=False)
            | PlanClips(PlannerConfig(sampling=sampling(), max_video_bytes=1 << 30, limits=limits))
        )
        assert_that(plan.failures | beam.Map(lambda f: f.code), equal_to(["decoder_timeout"]), label="failures")
        assert_that(plan.planned | beam.Map(lambda p: p.num_clips > 0), equal_to([True]), label="planned")
    assert counters(pipeline)[metrics.DECODER_RESTARTS] == 1
