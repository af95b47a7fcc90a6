"""Packing: blocks return what was packed, and only blocks of a listing are shuffled."""

from __future__ import annotations

import collections
import pathlib
from typing import Any

import apache_beam as beam
import pytest
import record_factory as make
from apache_beam.runners.portability.fn_api_runner import execution
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline
from slow_cases import fast_first

from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.records import SkipRules, VideoRef
from reelbeam.transforms.selection.list_videos import ListVideos
from reelbeam.transforms.selection.packing import NUM_BUCKETS, Pack, PackVideos, bucket_of, unpack, unpack_videos
from reelbeam.transforms.selection.parts import WriteSelection, read_part, read_selection, to_parts
from reelbeam.transforms.selection.select_videos import SelectVideos

VIDEOS = [
    VideoRef(
        "https://me:pw@host/a.mp4?sig=1%2F&x", 2**53 + 1, '"etag"', (("camera", "7"), ("note", 'ä, "b"\n')), 3, 0.1
    ),
    VideoRef("/v/häuser \u2028 [1].mp4", None, ""),
    VideoRef("/v/zero.mp4", 0, "mtime:1700000000.123456", (), 1, 1700000000.1234567),
]


def test_videos_come_back_as_they_were() -> None:
    with LocalPipeline() as pipeline:
        blocks = pipeline | beam.Create(VIDEOS) | PackVideos()
        assert_that(blocks | beam.FlatMap(lambda entry: unpack_videos([entry[1]])), equal_to(VIDEOS))
        assert_that(blocks | beam.Keys(), equal_to([bucket_of(video.video_uri) for video in VIDEOS]), "keys")


def test_videos_that_must_be_joined_share_a_bucket() -> None:
    assert (
        bucket_of("https://host/a.mp4?sig=1")
        == bucket_of("https://me@host/a.mp4?sig=2")
        == bucket_of("https://host/a.mp4")
    )
    sizes = collections.Counter(bucket_of(f"/v/{i:05d}.mp4") for i in range(100 * NUM_BUCKETS))
    assert len(sizes) == NUM_BUCKETS and 50 < min(sizes.values()) and max(sizes.values()) < 150


@pytest.mark.parametrize(("max_bytes", "num_blocks"), [(8 << 20, 3), (0, 90)])
def test_a_key_has_as_few_blocks_as_memory_permits(max_bytes: int, num_blocks: int) -> None:
    rows = [(i % 3, (i, None, f"row {i}", [["a", "b"]])) for i in range(90)]
    with LocalPipeline() as pipeline:
        # One element, so that one bundle has them all.
        blocks = pipeline | beam.Create([0], reshuffle=False) | beam.FlatMap(lambda _: rows) | Pack(max_bytes)
        found = blocks | beam.FlatMap(lambda entry: [(entry[0], tuple(row)) for row in unpack([entry[1]])])
        assert_that(blocks | beam.combiners.Count.Globally(), equal_to([num_blocks]), "blocks")
        assert_that(found, equal_to(rows), "rows")


@pytest.mark.slow
@pytest.mark.parametrize("limit", fast_first([None, 15_000]))
def test_no_step_of_choosing_makes_the_runner_keep_a_video_unpacked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    kept_bytes: list[int] = []

    def watch(buffer: Any) -> None:
        append = buffer.append

        def watched(self: Any, data: bytes) -> None:
            kept_bytes.append(len(data))
            append(self, data)

        monkeypatch.setattr(buffer, "append", watched)  # Beam does not say what its runner keeps

    watch(execution.ListBuffer)
    watch(execution.GroupingBuffer)
    uris = [f"/no such folder/{i // 100}/{i:06d}.mp4" for i in range(20_000)]
    (tmp_path / "list.txt").write_text("\n".join(uris))
    paths, rules = RunPaths(str(tmp_path), "r1"), SkipRules(limit=limit)
    with LocalPipeline() as pipeline:
        entries = (pipeline | ListVideos(input_list=str(tmp_path / "list.txt"))).entries
        select = SelectVideos(output=str(tmp_path), key=LabelingKey.of(make.RUN), decoder_version="av 1", rules=rules)
        entries | select | WriteSelection(paths=paths, videos_per_part=5000)
    # The numbers that are counted and compared take 8 bytes each; a packed video some 15 in each of three places. One
    # place in which it stood by itself would take more than that alone.
    assert 8 < sum(kept_bytes) / len(uris) < 100
    selection = read_selection(paths)
    chosen = [video.video_uri for part in to_parts(paths, selection) if part.path for video in read_part(part.path)]
    assert len(chosen) == (limit or len(uris)) and set(chosen) <= set(uris)
