"""A video of one segment is decoded where it was planned; a long one is spread over the workers."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from fractions import Fraction

import apache_beam as beam
import data_generation as generate
import pytest
from apache_beam.testing.util import assert_that, equal_to
from faulty_proxy import FaultyProxy
from local_pipeline import LocalPipeline, counters
from object_stores import S3Server, s3_flags

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.decode_clips import DecodeClips, DecodedClips
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.media.decoding.decoder import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.plan_clips import ClipPlan, PlanClips, SpreadSegments
from reelbeam.transforms.records import SegmentSpan, VideoRef
from reelbeam.transforms.storage.spool.folder import SpoolConfig

CAP = 1 << 30
SAMPLING = ClipSampling(10, Fraction(1))
LONG_SECONDS = 265
NUM_LONG = 4
"""The number of segments of the long video."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    """Short videos of both kinds of container, and a long one in the middle."""
    folder = tmp_path_factory.mktemp("videos")
    seconds = {"a.mkv": 12, "b.mp4": 40, "long.mp4": LONG_SECONDS, "c.ts": 21, "d.mp4": 30, "e.mkv": 14}
    options = {"crf": "6"}
    return [
        generate.make_video(folder / name, 4 * n, 4, 128, 96, gop=33, draw=generate.draw_moving, options=options)
        for name, n in seconds.items()
    ]


def plan(uris: list[VideoRef], pipeline: beam.Pipeline, spool: SpoolConfig, in_place: bool = True) -> ClipPlan:
    config = PlannerConfig(sampling=SAMPLING, max_video_bytes=CAP, spool=spool, in_place=in_place)
    return pipeline | beam.Create(uris, reshuffle=False) | PlanClips(config)


def decoder(spool: SpoolConfig) -> DecodeClips:
    return DecodeClips(DecoderConfig(geometry=Geometry(48, 48), max_video_bytes=CAP, spool=spool))


def name_of(segment: SegmentSpan) -> str:
    return segment.video.video_uri.rpartition("/")[2]


def test_a_short_video_is_output_as_soon_as_it_is_planned(videos: list[pathlib.Path], tmp_path: pathlib.Path) -> None:
    with LocalPipeline("--direct_num_workers=1") as pipeline:
        found = plan([VideoRef(str(path), 1) for path in videos], pipeline, SpoolConfig(str(tmp_path)))
        short = found.short | beam.Map(name_of) | "ShortList" >> beam.combiners.ToList()
        assert_that(short, equal_to([["a.mkv", "b.mp4", "c.ts", "d.mp4", "e.mkv"]]), "short")
        long = found.segments | "Long" >> beam.Map(lambda s: (name_of(s), s.num_segments))
        assert_that(long, equal_to([("long.mp4", NUM_LONG)] * NUM_LONG), "long")
        planned = found.planned | "Planned" >> beam.Map(lambda p: p.num_segments)
        assert_that(planned, equal_to([1, 1, NUM_LONG, 1, 1, 1]), "planned")


def in_place(found: ClipPlan, spool: SpoolConfig) -> DecodedClips:
    return found.short | decoder(spool)


def spread(found: ClipPlan, spool: SpoolConfig) -> DecodedClips:
    return found.segments | SpreadSegments() | decoder(spool)


@pytest.mark.parametrize(("wiring", "num_fetches"), [(in_place, 1), (spread, 2)])
def test_a_video_is_fetched_once_although_the_spool_has_room_for_only_one(
    s3: S3Server,
    proxy: FaultyProxy,
    videos: list[pathlib.Path],
    tmp_path: pathlib.Path,
    wiring: Callable[[ClipPlan, SpoolConfig], DecodedClips],
    num_fetches: int,
) -> None:
    """The plan of an MP4 fetches parts of it, and that of a TS or a Matroska file everything."""
    short = [path for path in videos if path.name != "long.mp4"]
    refs = [storage.video_of(storage.stat(s3.put(path.name, path.read_bytes()))) for path in short]
    sizes = {path.name: path.stat().st_size for path in short}
    metrics.reset_tally()
    spool = SpoolConfig(str(tmp_path), max_bytes=max(sizes.values()), block_bytes=1 << 14)
    with LocalPipeline(*s3_flags(proxy.url)) as pipeline:
        found = plan(refs, pipeline, spool, wiring is in_place)
        decoded = wiring(found, spool)
        assert_that(decoded.failures, equal_to([]), "failures")
        costs = (found.costs, decoded.costs) | beam.Flatten() | beam.CombineGlobally(RunCost.total)
        costs | beam.Map(lambda cost, path: path.write_text(str(cost.bytes_fetched)), tmp_path / "cost")
    whole = {name: size for name, size in sizes.items() if not name.endswith(".mp4")}
    assert fetched(proxy, whole) == num_fetches * sum(whole.values())
    assert metrics.tally()[metrics.BYTES_FETCHED] == int((tmp_path / "cost").read_text()) == fetched(proxy, sizes)
    if num_fetches == 1:
        assert {name: proxy.bytes_of(name) for name in sizes} == sizes


def fetched(proxy: FaultyProxy, names: dict[str, int]) -> int:
    return sum(map(proxy.bytes_of, names))


def test_the_clips_are_those_of_all_segments_spread(videos: list[pathlib.Path], tmp_path: pathlib.Path) -> None:
    spool, refs = SpoolConfig(str(tmp_path)), [VideoRef(str(path), 1) for path in videos]
    with LocalPipeline() as pipeline:
        found = plan(refs, pipeline, spool)
        decoded = (found.segments | SpreadSegments(), found.short) | beam.Flatten() | decoder(spool)
        clips = decoded.clips | beam.Map(lambda clip: (clip.video_uri, clip.span.clip_index))
        seconds = [12, 40, LONG_SECONDS, 21, 30, 14]
        expected = [(str(path), k) for path, n in zip(videos, seconds, strict=True) for k in range(-(-n // 10))]
        assert_that(clips, equal_to(expected), "clips")
        assert_that(decoded.failures, equal_to([]), "failures")
    assert counters(pipeline)[metrics.VIDEOS_DONE] == len(videos)
