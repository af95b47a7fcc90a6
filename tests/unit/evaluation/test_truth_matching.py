"""Which videos of a truth file and of an output are the same: each way to compare, and which one is chosen."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.truth.matching import RUNGS, Matching, Rung, match_videos

CLIPS = ["/data/a/v1.avi", "/data/b/v1.avi", "/data/b/v2.avi"]


def check_sums(found: Matching, names: Sequence[str], videos: Sequence[str]) -> None:
    assert sorted([*found.videos, *found.truth_without_video]) == sorted(set(names))
    assert sorted([*found.videos.values(), *found.videos_without_truth]) == sorted(set(videos))
    assert len(set(found.videos.values())) == len(found.videos)


@pytest.mark.parametrize(
    ("name", "video", "strictest"),
    [
        ("/v/a.mp4", "/v/a.mp4", "exact"),
        ("file:///v/a%20b.mp4", "/v/a b.mp4", "uri"),
        ("file:/v/a.mp4", "/v/a.mp4", "uri"),
        ("/v/./x/../a.mp4", "/v/a.mp4", "uri"),
        ("/v/a%20b.mp4", "/v/a b.mp4", "uri"),
        ("https://host/a b.mp4", "https://host/a%20b.mp4", "uri"),
        ("https://host/a.mp4?X-Signature=1#t=3", "https://host/a.mp4", "uri"),
        ("HTTPS://user:pw@Host/a.mp4", "https://host/a.mp4", "uri"),
        ("s3a://bucket/a.mp4", "s3://bucket/a.mp4", "uri"),
        ("/v/cafe\u0301.mp4", "/v/caf\u00e9.mp4", "uri"),
        ("/v/A.mp4", "/v/a.mp4", "suffix"),
        ("train/x/a.mp4", "gs://bucket/other/x/a.mp4", "suffix"),
        ("./x/a.mp4", "/v/x/a.mp4", "suffix"),
        (r"C:\videos\X\a.mp4", "/mnt/videos/x/a.mp4", "suffix"),
        (r"\\server\share\x\a.mp4", "/mnt/x/a.mp4", "suffix"),
        (r"x\a.mp4", "/v/x/a.mp4", "suffix"),
        ("https://bucket.s3.amazonaws.com/x/a.mp4?sig=1", "s3://bucket/x/a.mp4", "suffix"),
        ("a.mp4", "/v/x/a.mp4", "suffix"),
        ("A.MP4", "/v/x/a.mp4", "suffix"),
        ("/old/a.mp4", "/new/a.mp4", "name"),
        ("a", "/new/a.mp4", "stem"),
        ("/old/a.avi", "/new/a.mp4", "stem"),
        ("v_a.b", "/new/v_a.b.mp4", "stem"),
    ],
)
def test_names_of_the_same_video(name: str, video: str, strictest: Rung) -> None:
    found = match_videos([name], [video])
    assert found == Matching(strictest, {name: video}, (), ())
    for rung in RUNGS:
        if RUNGS.index(rung) < RUNGS.index(strictest):
            with pytest.raises(ConfigError, match=f"no video of the truth file is in the output with --match {rung}: "):
                match_videos([name], [video], rung)


@pytest.mark.parametrize("rung", RUNGS)
def test_looser_ways_find_what_stricter_ones_find(rung: Rung) -> None:
    videos = ["/v/x/a.mp4", "/v/x/b.mp4"]
    assert match_videos(videos, videos, rung) == Matching(rung, {each: each for each in videos}, (), ())


@pytest.mark.parametrize(
    ("name", "video"),
    [("/v/a.mp4", "/v/b.mp4"), ("/v/a.mp4", "/v/xa.mp4"), ("s3://b/", "s3://c/a.mp4"), ("https://h/?a.mp4", "/a.mp4")],
)
def test_names_of_other_videos(name: str, video: str) -> None:
    with pytest.raises(ConfigError) as caught:
        match_videos([name], [video])
    assert "?" not in str(caught.value) and repr(video) in str(caught.value)


def test_no_videos() -> None:
    with pytest.raises(ConfigError, match="the output holds no videos"):
        match_videos(["a"], [])


def test_case_matters_only_between_names_that_differ_in_nothing_else() -> None:
    videos = ["/v/x/a.mp4", "/v/x/A.mp4"]
    names = ["x/A.mp4", "x/a.mp4"]
    assert match_videos(names, videos).videos == dict(zip(names, reversed(videos), strict=True))
    assert match_videos(names[:1], videos).videos_without_truth == ("/v/x/a.mp4",)
    with pytest.raises(ConfigError, match="'X/a.mp4' matches both '/v/x/a.mp4' and '/v/x/A.mp4' by suffix"):
        match_videos(["X/a.mp4"], videos)
    assert match_videos(["/v/a%20b", "/v/a b"], ["/v/a b", "/v/a%20b"], "uri").videos == {
        "/v/a%20b": "/v/a%20b",
        "/v/a b": "/v/a b",
    }


@pytest.mark.parametrize(
    ("names", "rung", "both"),
    [
        (["v1.avi", "v2.avi"], None, ("/data/a/v1.avi", "/data/b/v1.avi")),
        (["v1", "v2"], None, ("/data/a/v1.avi", "/data/b/v1.avi")),
        (["a/v1.avi", "b/v1.avi", "b/v2.avi"], "name", ("/data/a/v1.avi", "/data/b/v1.avi")),
        (["/x/v2.avi", "/y/v2.avi"], None, ("/x/v2.avi", "/y/v2.avi")),
        (["v2.mp4", "v2.avi", "v2.mkv"], "stem", None),
    ],
)
def test_a_name_of_several_videos_is_an_error_with_both(
    names: list[str], rung: Rung | None, both: tuple[str, str] | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        match_videos(names, CLIPS, rung)
    assert "matches both" in str(caught.value) and "write the whole URIs in the truth file" in str(caught.value)
    for path in both or ():
        assert repr(path) in str(caught.value)


def test_paths_decide_between_files_of_the_same_name() -> None:
    names = ["x/a/v1.avi", "x/b/v1.avi", "x/b/v2.avi", "x/c/v9.avi"]
    found = match_videos(names, CLIPS)
    assert found.rung == "suffix"
    assert found.videos == dict(zip(names[:3], CLIPS, strict=True))
    assert found.truth_without_video == ("x/c/v9.avi",)


def test_a_shared_end_does_not_match_where_it_distinguishes_nothing() -> None:
    """Three videos of a layout ID/low/video.mp4: those without a counterpart stay alone."""
    names = [f"/old/{name}/low/video.mp4" for name in "ABC"]
    videos = [f"/new/{name}/low/video.mp4" for name in "ABD"]
    found = match_videos(names, videos)
    assert (found.rung, found.truth_without_video, found.videos_without_truth) == ("suffix", (names[2],), (videos[2],))
    check_sums(found, names, videos)


def test_the_longest_common_end_wins() -> None:
    names = ["/t/train/clips/v1.mp4", "/t/val/clips/v1.mp4"]
    videos = ["/o/val/clips/v1.mp4", "/o/v2.mp4"]
    found = match_videos(names, videos)
    assert found.videos == {names[1]: videos[0]}
    check_sums(found, names, videos)


def test_the_strictest_way_that_matches_half_is_taken() -> None:
    videos = [f"/v/{number}/clip.mp4" for number in range(10)]
    names = [*videos[:5], *(f"/w/{number}/clip.mp4" for number in range(5, 10)), "/elsewhere.mp4"]
    found = match_videos([*names, *names], [*videos, *videos])
    assert (found.rung, len(found.videos)) == ("exact", 5)
    check_sums(found, names, videos)
    found = match_videos(names[1:], videos)
    assert (found.rung, len(found.videos)) == ("suffix", 9)
    check_sums(found, names[1:], videos)


def test_part_of_the_output_may_have_truth_and_part_of_the_truth_may_be_labeled() -> None:
    videos = [f"/v/{number}.mp4" for number in range(100)]
    assert match_videos(videos[:3], videos).rung == "exact"
    assert match_videos(videos, videos[:3]).rung == "exact"
    few = match_videos(["/x/1.mp4", "/y/b.mp4", "/y/c.mp4"], videos)
    assert (few.rung, few.videos) == ("name", {"/x/1.mp4": "/v/1.mp4"})


def test_signed_addresses_do_not_hide_better_matches() -> None:
    videos = [f"https://host/{number}.mp4" for number in range(10)]
    names = [*videos[:6], *(f"{video}?sig=SECRET" for video in videos[6:])]
    found = match_videos(names, videos)
    assert (found.rung, len(found.videos)) == ("uri", 10)


def test_many_videos_with_the_same_name_take_linear_time() -> None:
    names = [f"/old/{number}/video.mp4" for number in range(30_000)]
    videos = [f"/new/{number}/x/video.mp4" for number in range(30_000)]
    start = time.monotonic()
    with pytest.raises(ConfigError, match="matches both"):
        match_videos(names, videos, "name")
    assert time.monotonic() - start < 10
