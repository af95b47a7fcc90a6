"""One file is one video, through any links and any number of inputs."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from fractions import Fraction

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline, counters, list_videos

from reelbeam.transforms import metrics
from reelbeam.transforms.inputs.expansion import expand_input
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.records.time_range import TimeRange
from reelbeam.transforms.selection.duplicates import LinkResolver, distinct


@pytest.fixture
def linked(tmp_path: pathlib.Path) -> pathlib.Path:
    """Folders `ext` and `sub`, which has links to `ext` and to a file in it, and a list."""
    for name in ("ext/a.mp4", "ext/down/b.mp4", "sub/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub" / "link").symlink_to(tmp_path / "ext")
    (tmp_path / "sub" / "also.mp4").symlink_to("../ext/a.mp4")
    (tmp_path / "other").symlink_to("sub")
    (tmp_path / "list.txt").write_text("sub/also.mp4\nsub/link/a.mp4\nsub/also.mp4\n", "utf-8")
    return tmp_path


CASES = [
    (["ext", "sub"], None, ["ext/a.mp4", "ext/down/b.mp4", "sub/c.mp4"]),
    (["sub", "ext"], None, ["ext/a.mp4", "ext/down/b.mp4", "sub/c.mp4"]),
    (["sub"], None, ["sub/also.mp4", "sub/c.mp4", "sub/link/down/b.mp4"]),
    (["other", "sub"], None, ["other/also.mp4", "other/link/down/b.mp4", "sub/c.mp4"]),
    (["**"], None, ["ext/a.mp4", "ext/down/b.mp4", "list.txt", "sub/c.mp4"]),
    (["other/**.mp4"], None, ["other/also.mp4", "other/c.mp4", "other/link/down/b.mp4"]),
    (["sub/also.mp4", "ext/a.mp4"], None, ["ext/a.mp4"]),
    (["ext"], "list.txt", ["ext/down/b.mp4", "sub/also.mp4", "sub/link/a.mp4"]),
]


def names(folder: pathlib.Path, videos: Iterable[VideoRef]) -> list[str]:
    return sorted(os.path.relpath(video.video_uri, folder) for video in videos)


@pytest.mark.parametrize(("inputs", "listing", "expected"), CASES)
def test_a_file_that_links_lead_to_is_one_video_of_all_inputs(
    linked: pathlib.Path, inputs: list[str], listing: str | None, expected: list[str]
) -> None:
    links, base = LinkResolver(), str(linked)
    entries = [links.entry(video) for given in inputs for video in expand_input(given, base)]
    if listing:
        for line in (linked / listing).read_text("utf-8").split():
            entries.append(links.entry(VideoRef(str(linked / line)), from_list=True))
    assert names(linked, distinct(entries)) == names(linked, distinct(reversed(entries))) == expected


def test_a_run_lists_a_linked_file_once_and_counts_what_it_leaves_out(linked: pathlib.Path) -> None:
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, ["sub", "ext", "other/**.mp4"], None, str(linked))
        found = videos | beam.Map(lambda video: (os.path.relpath(video.video_uri, linked), video.size_bytes))
        assert_that(found, equal_to([("ext/a.mp4", 1), ("ext/down/b.mp4", 1), ("sub/c.mp4", 1)]))
    counted = counters(pipeline)
    assert (counted[metrics.VIDEOS_LISTED], counted[metrics.DUPLICATES_DROPPED]) == (3, 7)


def test_ranges_of_a_linked_file_are_videos_of_their_own(linked: pathlib.Path) -> None:
    whole, link = VideoRef(str(linked / "ext/a.mp4")), VideoRef(str(linked / "sub/also.mp4"))
    part = dataclasses.replace(link, time_range=TimeRange.of(None, Fraction(5)))
    assert list(distinct(map(LinkResolver().entry, [link, part, whole]))) == [whole, part]


def test_a_name_that_is_not_utf8_and_an_address_are_different_files(tmp_path: pathlib.Path) -> None:
    (tmp_path / os.fsdecode(b"c\xe9.mp4")).touch()
    (tmp_path / "link.mp4").symlink_to(os.fsdecode(b"c\xe9.mp4"))
    (video,) = distinct(map(LinkResolver().entry, expand_input(str(tmp_path))))
    assert video.video_uri == f"file://{tmp_path}/c%E9.mp4"
    addresses = [VideoRef("s3://bucket/a.mp4"), VideoRef("https://host/a.mp4?sig=1"), VideoRef("/a\0.mp4")]
    assert list(distinct(map(LinkResolver().entry, addresses))) == addresses
