"""The clips of a Stream model by default: each starts from an empty state, on one grid, wherever a video is cut."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import pytest
import record_factory as make

from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.stream import count_stream_clips, plan_stream_spans
from reelbeam.transforms.media.sampling.video_plan import plan_parts
from reelbeam.transforms.records import ClipSpan

A0 = ClipSampling(50, Fraction(5), kind="stream")


def with_(**changes: Any) -> ClipSampling:
    return dataclasses.replace(A0, **changes)


def spans(duration: str, sampling: ClipSampling = A0) -> tuple[ClipSpan, ...]:
    return plan_stream_spans(Fraction(duration), sampling)


def starts_and_frames(clips: tuple[ClipSpan, ...]) -> list[tuple[float, int]]:
    return [(float(clip.start_seconds), clip.num_frames) for clip in clips]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("shift_back", [(0.0, 50), (10.0, 50), (12.4, 50)]),
        ("keep", [(0.0, 50), (10.0, 50), (20.0, 12)]),
        ("drop", [(0.0, 50), (10.0, 50)]),
    ],
)
def test_a_rest_is_treated_by_the_tail_policy(policy: Any, expected: list[tuple[float, int]]) -> None:
    clips = spans("22.3", with_(tail_policy=policy))
    assert starts_and_frames(clips) == expected
    assert all(clip.num_real_frames == clip.num_frames == clip.num_decoded_frames for clip in clips)
    assert not any(clip.continues or clip.is_continued for clip in clips)
    assert all(instant * 5 % 1 == 0 for clip in clips for instant in clip.sample_seconds), "one grid"
    assert clips[-1].end_seconds == (20 if policy == "drop" else Fraction("22.3"))


def test_the_last_clip_is_moved_back_by_default() -> None:
    assert spans("22.3") == spans("22.3", with_(tail_policy="shift_back"))


@pytest.mark.parametrize(("duration", "frames"), [("0.01", 1), ("2.3", 12), ("9.97", 50), ("10", 50), ("10.03", 50)])
def test_a_video_shorter_than_a_clip_is_one_short_clip(duration: str, frames: int) -> None:
    assert starts_and_frames(spans(duration)) == [(0.0, frames)]


@pytest.mark.parametrize("duration", ["10.201", "10.4", "19.99", "20", "37.05", "95", "132.3"])
@pytest.mark.parametrize("stride", [None, "10", "12.35", "25"])
def test_a_clip_that_was_moved_back_is_whole_and_inside_the_video(duration: str, stride: str | None) -> None:
    *others, last = spans(duration, with_(clip_stride_seconds=stride and Fraction(stride)))
    step = Fraction(stride or 10)
    assert [clip.start_seconds for clip in others] == [i * step for i in range(len(others))]
    assert last.num_frames == 50 and last.end_seconds <= Fraction(duration)
    assert not others or last.start_seconds > others[-1].start_seconds
    grid_ends_at = Fraction(math.ceil(Fraction(duration) * 5), 5)
    assert last.last_seconds == grid_ends_at - Fraction(1, 5) or last.start_seconds == len(others) * step


@pytest.mark.parametrize("spacing", [1, 7, 10])
@pytest.mark.parametrize("changes", [{}, {"tail_policy": "keep"}, {"clip_stride_seconds": Fraction(15)}])
def test_a_clip_is_the_same_wherever_a_video_is_cut(spacing: int, changes: dict[str, Any]) -> None:
    media = dataclasses.replace(
        make.MEDIA,
        duration_seconds=Fraction("603.5"),
        time_base=Fraction(1, 10),
        key_frame_pts=tuple(range(0, 6000, spacing * 10)),
    )
    parts = plan_parts(media, with_(**changes))
    whole = plan_parts(dataclasses.replace(media, key_frame_pts=()), with_(**changes))
    assert len(parts) >= 4 and len(whole) == 1
    assert sum(parts, ()) == whole[0] == spans("603.5", with_(**changes))


@pytest.mark.parametrize("duration", ["0.1", "9.9", "10", "10.1", "10.3", "95", "132.3"])
@pytest.mark.parametrize("changes", [{}, {"tail_policy": "keep"}, {"tail_policy": "drop"}, {"clips_per_video": 3}])
def test_clips_are_counted_without_being_made(duration: str, changes: dict[str, Any]) -> None:
    sampling = with_(**changes)
    assert count_stream_clips(Fraction(duration), sampling) == len(spans(duration, sampling))


def test_a_few_clips_are_spread_evenly_and_see_nothing_before_them() -> None:
    few = spans("100.1", with_(clips_per_video=3))
    assert starts_and_frames(few) == [(15.0, 50), (45.0, 50), (75.0, 50)]
    assert not any(clip.continues or clip.num_warm_up_frames for clip in few)
