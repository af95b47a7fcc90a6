"""Where a long video is cut."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
import record_factory as make

from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.segments import clip_seconds, key_frame_seconds, media_of_segment, plan_segments
from reelbeam.transforms.records import ClipSpan

A0 = ClipSampling(50, Fraction(5))


def starts(segments: tuple[tuple[ClipSpan, ...], ...]) -> list[int]:
    return [int(clips[0].start_seconds) for clips in segments]


def every(seconds: int, until: int = 20000) -> list[Fraction]:
    return [Fraction(at) for at in range(0, until, seconds)]


@pytest.mark.parametrize("duration", [1, 9, 60, 119, 120, 125, 599, 600, 601, 10800])
@pytest.mark.parametrize("spacing", [1, 2, 7, 10, 45])
def test_segments_are_the_clips_in_order_and_of_bearable_length(duration: int, spacing: int) -> None:
    clips = plan_clip_spans(Fraction(duration), A0)
    segments = plan_segments(clips, every(spacing))
    assert sum(segments, ()) == clips
    lengths = [clip_seconds(segment) for segment in segments]
    assert all(60 <= length <= 120 for length in lengths[:-1])
    assert lengths[-1] < 150


def test_cuts_are_made_where_a_clip_starts_near_a_key_frame() -> None:
    assert starts(plan_segments(plan_clip_spans(Fraction(300), A0), every(7))) == [0, 70, 140, 210, 270]


def test_a_remainder_is_not_dropped() -> None:
    assert starts(plan_segments(plan_clip_spans(Fraction(83), A0), every(10))) == [0]
    assert starts(plan_segments(plan_clip_spans(Fraction(90), A0), every(10))) == [0, 60]


def test_rare_key_frames_make_long_segments_and_none_makes_one() -> None:
    clips = plan_clip_spans(Fraction(3600), A0)
    assert starts(plan_segments(clips, every(600))) == [0, 600, 1200, 1800, 2400, 3000]
    assert starts(plan_segments(clips, every(5000))) == [0]
    assert starts(plan_segments(clips, [])) == [0]


def test_gaps_do_not_count_and_overlaps_count_once() -> None:
    few = plan_clip_spans(Fraction(10800), dataclasses.replace(A0, clips_per_video=8))
    assert len(plan_segments(few, every(2))) == 1
    many = plan_clip_spans(Fraction(10800), dataclasses.replace(A0, clips_per_video=18))
    assert [len(clips) for clips in plan_segments(many, every(2))] == [6, 6, 6]
    dense = plan_clip_spans(Fraction(200), dataclasses.replace(A0, clip_stride_seconds=Fraction(1)))
    segments = plan_segments(dense, every(1))
    assert all(60 <= clip_seconds(clips) <= 121 for clips in segments[:-1])
    assert plan_segments((), every(1)) == ()


def test_a_segment_knows_the_key_frames_of_its_clips_only() -> None:
    media = dataclasses.replace(
        make.MEDIA, time_base=Fraction(1, 10), start_pts=7, key_frame_pts=tuple(range(-13, 20000, 30))
    )
    assert key_frame_seconds(media)[:2] == (-2, 1)
    clips = plan_clip_spans(Fraction(1000), A0)
    trimmed = media_of_segment(media, clips[6:8])
    # 60 to 80 s are ticks 607 to 807; the key frame before them counts, and two more.
    assert (trimmed.key_frame_pts[0], trimmed.key_frame_pts[-1]) == (527, 797)
    assert dataclasses.replace(trimmed, key_frame_pts=()) == dataclasses.replace(media, key_frame_pts=())
