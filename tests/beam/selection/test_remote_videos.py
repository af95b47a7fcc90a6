"""Videos in an object store: the same clips as from local disk, each byte fetched once, one row per failure."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import apache_beam as beam
import data_generation as generate
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from faulty_proxy import FaultyProxy
from local_pipeline import counters
from object_stores import BUCKET, S3Server, s3_flags

from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms import errors, metrics, storage
from reelbeam.transforms.decode_clips import DecodeClips
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.decoder import Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.segments import key_frame_seconds, media_of_segment, plan_segments
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.records import Clip, SegmentSpan, VideoRef
from reelbeam.transforms.storage.spool.folder import SpoolConfig

GEOMETRY = Geometry(48, 48)
CAP = 1 << 30
SMALL_BLOCK_BYTES = 1 << 15
"""The films here have as many of these as one of a gigabyte has of whole blocks."""
SAMPLING = ClipSampling(10, Fraction(1))


class Film(NamedTuple):
    """A file, and what decoding it in this process gives: the number of each clip, and a hash of its frames."""

    path: pathlib.Path
    rows: list[tuple[int, str]]


@pytest.fixture(scope="module", params=["film.mp4", "film.mkv", pytest.param("film.ts", marks=pytest.mark.slow)])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Four and a half minutes, four segments."""
    path = tmp_path_factory.mktemp("films") / request.param
    draw = generate.draw_moving
    generate.make_video(path, 4 * 265, 4, 128, 96, b_frames=2, gop=33, draw=draw, options={"crf": "6"})
    media = probe(path)
    spans = plan_clip_spans(media.duration_seconds, SAMPLING)
    return Film(
        path, [(span.clip_index, digest(frames)) for span, frames in decode_clips(path, media, spans, GEOMETRY)]
    )


def digest(frames: np.ndarray) -> str:
    return hashlib.sha256(frames.tobytes()).hexdigest()


def row(clip: Clip) -> tuple[int, str]:
    return clip.span.clip_index, digest(clip.frames)


def segments_of(path: pathlib.Path, video: VideoRef) -> list[SegmentSpan]:
    media = probe(path)
    parts = plan_segments(plan_clip_spans(media.duration_seconds, SAMPLING), key_frame_seconds(media))
    return [SegmentSpan(video, media_of_segment(media, part), k, len(parts), part) for k, part in enumerate(parts)]


def decode(segment: SegmentSpan, config: SpoolConfig) -> Iterator[tuple[int, str]]:
    with storage.local_file(segment.video, CAP, config) as file:
        for span, frames in sandboxed.decode_clips(file, segment.media, segment.clips, GEOMETRY, DEFAULT_LIMITS):
            yield span.clip_index, digest(frames)


@pytest.mark.slow
def test_plan_and_segments_of_one_worker_fetch_each_byte_once(
    s3: S3Server, proxy: FaultyProxy, film: Film, tmp_path: pathlib.Path
) -> None:
    uri = s3.put("film", film.path.read_bytes())
    config = SpoolConfig(str(tmp_path / "spool"))
    pipeline = beam.Pipeline(options=runner_of(["--direct_num_workers=2", *s3_flags(proxy.url)]).options)
    with pipeline:
        plan = (
            pipeline
            | beam.Create([storage.video_of(storage.stat(uri))])
            | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP, spool=config))
        )
        planned = plan.planned | beam.Map(lambda p: (p.num_segments, p.num_clips))
        assert_that(planned, equal_to([(4, len(film.rows))]), "plan")
        decoded = (
            plan.segments
            | beam.Reshuffle()
            | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP, spool=config))
        )
        assert_that(decoded.clips | beam.Map(row), equal_to(film.rows), "clips")
        assert_that(decoded.failures, equal_to([]), "failures")
        costs = (plan.costs, decoded.costs) | beam.Flatten() | beam.CombineGlobally(RunCost.total)
        fetched = costs | beam.Map(lambda cost: cost.bytes_fetched)
        assert_that(fetched, equal_to([film.path.stat().st_size]), "fetched")
    assert proxy.bytes_of("film") == film.path.stat().st_size == counters(pipeline)[metrics.BYTES_FETCHED]


@pytest.mark.slow
def test_a_fresh_worker_fetches_its_part(s3: S3Server, proxy: FaultyProxy, film: Film, tmp_path: pathlib.Path) -> None:
    size = film.path.stat().st_size
    rows = []
    for segment in segments_of(film.path, storage.video_of(storage.stat(s3.put("film", film.path.read_bytes())))):
        before = proxy.bytes_of("film")
        rows += list(
            decode(segment, SpoolConfig(str(tmp_path / str(segment.segment_index)), block_bytes=SMALL_BLOCK_BYTES))
        )
        seconds = segment.clips[-1].end_seconds - segment.clips[0].start_seconds
        part = float(seconds / segment.media.duration_seconds) * size
        # On top: the container's head and index, the packets that reach over the cut, reading ahead.
        assert 0.9 * part < proxy.bytes_of("film") - before < 1.5 * part
    assert rows == film.rows
    assert proxy.bytes_of("film") < 1.4 * size


def damaged(proxy: FaultyProxy, *faults: str) -> None:
    dealt = itertools.chain(faults, itertools.repeat(""))
    proxy.fault = lambda request: next(dealt) if request.method == "GET" else ""


def test_faults_of_the_network_cost_time_and_lose_no_clip(
    s3: S3Server, proxy: FaultyProxy, film: Film, tmp_path: pathlib.Path
) -> None:
    (segment, *_) = segments_of(film.path, storage.video_of(storage.stat(s3.put("film", film.path.read_bytes()))))
    damaged(proxy, "reset", "503", "", "cut", "slow", "short", "", "500")
    metrics.reset_tally()
    rows = list(decode(segment, SpoolConfig(str(tmp_path))))
    assert rows == film.rows[: len(rows)] and len(rows) == len(segment.clips)
    assert metrics.tally()[metrics.STORAGE_RETRIES] == 5


def test_a_store_that_fails_permanently_loses_only_the_missing_clips(
    s3: S3Server, proxy: FaultyProxy, film: Film, tmp_path: pathlib.Path
) -> None:
    spool = SpoolConfig(str(tmp_path), block_bytes=SMALL_BLOCK_BYTES)
    (segment, *_) = segments_of(film.path, storage.video_of(storage.stat(s3.put("film", film.path.read_bytes()))))
    segment = dataclasses.replace(segment, clips=(segment.clips[0], segment.clips[-1]))  # with a gap to seek over
    rows = []
    with pytest.raises(errors.UnreadableVideoError, match="permissions") as caught:
        for found in decode(segment, spool):
            rows.append(found)
            proxy.fault = lambda request: "403"
    assert caught.value.transient
    assert rows == film.rows[:1]
    proxy.fault = lambda request: ""
    expected = [film.rows[span.clip_index] for span in segment.clips]
    assert list(decode(segment, spool)) == expected


@pytest.mark.parametrize(("change", "code"), [("written again", "video_changed"), ("deleted", "not_found")])
def test_what_happens_to_an_object_after_planning_is_one_row(
    s3: S3Server, proxy: FaultyProxy, samples_dir: pathlib.Path, tmp_path: pathlib.Path, change: str, code: str
) -> None:
    sampling = ClipSampling(8, Fraction(4))
    data = (samples_dir / "growing.mp4").read_bytes()
    video = storage.video_of(storage.stat(s3.put("a.mp4", data)))
    if change == "deleted":
        s3.client.delete_object(Bucket=BUCKET, Key="a.mp4")
    else:
        s3.put("a.mp4", data[::-1])
    pipeline = beam.Pipeline(options=runner_of(["--direct_num_workers=2", *s3_flags(proxy.url)]).options)
    media = probe(samples_dir / "growing.mp4")
    spans = plan_clip_spans(media.duration_seconds, sampling)
    with pipeline:
        config = SpoolConfig(str(tmp_path))
        plan = (
            pipeline
            | "Videos" >> beam.Create([video])
            | PlanClips(PlannerConfig(sampling=sampling, max_video_bytes=CAP, spool=config))
        )
        assert_that(plan.failures | beam.Map(lambda f: (f.stage, f.code)), equal_to([("plan", code)]), "plan")
        segments = pipeline | "Segments" >> beam.Create([SegmentSpan(video, media, 0, 1, spans)])
        decoded = segments | DecodeClips(DecoderConfig(geometry=GEOMETRY, max_video_bytes=CAP, spool=config))
        assert_that(decoded.clips | beam.Map(row), equal_to([]), "clips")
        assert_that(decoded.failures | beam.Map(lambda f: (f.stage, f.code)), equal_to([("decode", code)]), "decode")


def test_an_empty_object_is_an_empty_file(s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path) -> None:
    video = storage.video_of(storage.stat(s3.put("a.mp4", b"")))
    with pytest.raises(errors.EmptyFileError), storage.local_file(video, CAP, SpoolConfig(str(tmp_path))):
        pass


def test_a_video_from_a_list_without_size_is_looked_up(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path
) -> None:
    uri = s3.put("a.mp4", b"12345")
    with (
        pytest.raises(errors.VideoChangedError, match="not be identified"),
        storage.local_file(VideoRef(uri), CAP),
    ):
        pass
    video = storage.identified(VideoRef(uri, metadata=(("camera", "7"),)))
    assert video == dataclasses.replace(storage.video_of(storage.stat(uri)), metadata=(("camera", "7"),))
    with storage.local_file(video, CAP, SpoolConfig(str(tmp_path))) as file:
        assert not isinstance(file, str)
        assert file.fetch(0, 5) == (0, 5) and os.pread(file.fileno(), 10, 0) == b"12345"


def test_messages_name_the_object(s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path) -> None:
    video = storage.video_of(storage.stat(s3.put("noise.mp4", b"no video " * 100)))
    raises = pytest.raises(errors.NotAVideoError, match="^s3://corpus/noise.mp4: ")
    with storage.local_file(video, CAP, SpoolConfig(str(tmp_path))) as file, raises:
        sandboxed.probe(file, DEFAULT_LIMITS)
