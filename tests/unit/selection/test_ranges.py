"""Ranges of a video: what is planned inside of them, and that two ranges of one video are always distinct."""

from __future__ import annotations

import dataclasses
import zlib
from fractions import Fraction

import pytest
import record_factory as make

from reelbeam.transforms.errors import RangeOutsideVideoError
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.video_plan import labeled_seconds, plan_parts
from reelbeam.transforms.output import ledger
from reelbeam.transforms.records import MediaInfo, SkipRules, VideoRef
from reelbeam.transforms.records.time_range import WHOLE, TimeRange, shown_input
from reelbeam.transforms.selection import packing
from reelbeam.transforms.selection.packing import bucket_of, unpack_videos, video_row

BASE = ClipSampling(8, Fraction(4))
STREAM = dataclasses.replace(BASE, kind="stream")
CARRIED = dataclasses.replace(STREAM, carry_state=True)


def media(seconds: int) -> MediaInfo:
    keys = tuple(range(0, seconds * 25, 25))
    return dataclasses.replace(
        make.MEDIA, duration_seconds=Fraction(seconds), time_base=Fraction(1, 25), key_frame_pts=keys
    )


def seconds(*bounds: str | None) -> TimeRange:
    start, end = (None if bound is None else Fraction(bound) for bound in bounds)
    return TimeRange.of(start, end)


@pytest.mark.parametrize("sampling", [BASE, STREAM, CARRIED], ids=["base", "stream", "carried"])
@pytest.mark.parametrize(
    ("start", "end"), [("0.1", "9"), ("33.4", None), (None, "250"), ("100", "101.3"), ("7", "200")]
)
def test_a_range_is_planned_as_a_video_of_its_own(sampling: ClipSampling, start: str | None, end: str | None) -> None:
    time_range, whole = seconds(start, end), media(300)
    first, last = time_range.bounds(whole.duration_seconds)
    found = [clip for part in plan_parts(whole, sampling, time_range) for clip in part]
    alone = dataclasses.replace(whole, duration_seconds=last - first, key_frame_pts=())
    expected = [clip for part in plan_parts(alone, sampling) for clip in part]
    assert len(found) == len(expected)
    for clip, other in zip(found, expected, strict=True):
        assert (clip.clip_index, clip.num_frames, clip.num_real_frames) == (
            other.clip_index,
            other.num_frames,
            other.num_real_frames,
        )
        assert (clip.start_seconds, clip.end_seconds) == (other.start_seconds + first, other.end_seconds + first)
        assert all(first <= instant < last for instant in clip.sample_seconds), "nothing outside is looked at"


def test_a_range_starts_its_segments_at_key_frames_of_the_video() -> None:
    parts = plan_parts(media(600), BASE, seconds("30.5", "400"))
    assert len(parts) > 1 and parts[0][0].start_seconds == Fraction(61, 2)
    assert [clip.clip_index for part in parts for clip in part] == list(range(sum(map(len, parts))))


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [("10", None, "10 s to the end"), ("3", "10.002", "3 s to 10.002 s"), ("11", "12", "11 s to 12 s")],
)
def test_a_range_that_the_video_does_not_hold_is_an_error(start: str, end: str | None, shown: str) -> None:
    video = VideoRef("https://host/a.mp4?sig=1", time_range=seconds(start, end))
    with pytest.raises(RangeOutsideVideoError) as caught:
        labeled_seconds(video, Fraction(10))
    assert str(caught.value) == (
        f"https://host/a.mp4: the range from {shown} is not inside the video, which lasts 10 s; correct start_seconds "
        "and end_seconds, or leave end_seconds empty"
    )


def test_an_end_that_was_rounded_is_the_end_of_the_video() -> None:
    video = VideoRef("a.mp4", time_range=seconds("9", "10.001"))
    assert labeled_seconds(video, Fraction(10)) == 1
    assert labeled_seconds(VideoRef("a.mp4"), Fraction(10)) == 10


def test_ranges_are_distinguished_wherever_inputs_are() -> None:
    videos = [
        VideoRef("a.mp4", 5, "v", time_range=time_range)
        for time_range in (WHOLE, seconds("1", "2"), seconds("2", None))
    ]
    assert [video.key for video in videos] == ["a.mp4", "a.mp4\0t=1000,2000", "a.mp4\0t=2000,"]
    assert len({ledger.uri_key(video.key) for video in videos}) == len({bucket_of(video.key) for video in videos}) == 3
    blocks = [zlib.compress(packing.encode([video_row(video)]).encode()) for video in videos]
    assert list(unpack_videos(blocks)) == videos, "exactly, after they were packed"
    clips = [dataclasses.replace(make.clip(), time_range=video.time_range) for video in videos]
    assert len({clip.place for clip in clips}) == 3
    assert [shown_input("a.mp4", *time) for time in ((None, None), (0, 1500), (2000, None))] == [
        "a.mp4",
        "a.mp4#t=0,1.5",
        "a.mp4#t=2",
    ]


def test_a_row_speaks_for_its_own_range_alone() -> None:
    row = ledger.LedgerRow("a.mp4", 1000, "mtime:1.0", "ok", None, False, 1, "av 1", "r1", 1.0, 1000, 2000)
    video = dataclasses.replace(make.video(), time_range=seconds("1", "2"))
    assert row.key == video.key != make.video().key
    assert ledger.decide(video, [row], SkipRules(), "av 1").reason == ledger.ALREADY_LABELED
