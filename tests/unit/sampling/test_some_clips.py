"""Some clips of a video: the same as in the plan of all clips, and no slower for a plan of very many."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
import record_factory as make

from reelbeam.transforms.filmstrips.tiles import tile_span
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.video_plan import plan_parts, plan_some_clips
from reelbeam.transforms.records.time_range import WHOLE, TimeRange

BASE, STREAM = ClipSampling(50, Fraction(5)), ClipSampling(50, Fraction(5), kind="stream")


@pytest.mark.parametrize(
    "sampling",
    [
        BASE,
        dataclasses.replace(BASE, tail_policy="repeat_last"),
        dataclasses.replace(BASE, tail_policy="drop", clip_stride_seconds=Fraction(3)),
        dataclasses.replace(BASE, clips_per_video=4),
        STREAM,
        dataclasses.replace(STREAM, tail_policy="drop"),
        dataclasses.replace(STREAM, tail_policy="keep"),
        dataclasses.replace(STREAM, clip_stride_seconds=Fraction(37, 3)),
        dataclasses.replace(STREAM, clips_per_video=3),
        dataclasses.replace(STREAM, carry_state=True),
        dataclasses.replace(STREAM, clip_stride_seconds=Fraction(37, 3), carry_state=True, warm_up_seconds=Fraction(1)),
    ],
)
@pytest.mark.parametrize("duration", ["0.1", "7", "10", "200.05", "205.1"])
@pytest.mark.parametrize("time_range", [WHOLE, TimeRange(Fraction("0.05"), None)])
def test_they_are_those_of_the_whole_plan(sampling: ClipSampling, duration: str, time_range: TimeRange) -> None:
    keys = tuple(range(0, 2000, 70))
    media = dataclasses.replace(
        make.MEDIA, duration_seconds=Fraction(duration), time_base=Fraction(1, 10), start_pts=0, key_frame_pts=keys
    )
    planned = [tile_span(clip) for part in plan_parts(media, sampling, time_range) for clip in part]
    indexes = range(-1, len(planned) + 2)
    found = {i: plan_some_clips(media.duration_seconds, sampling, time_range, [i]) for i in indexes}
    assert {i: [tile_span(clip) for clip in clips] for i, clips in found.items()} == {
        i: [clip for clip in planned if clip.clip_index == i] for i in indexes
    }


def test_one_clip_of_very_many_is_planned_at_once() -> None:
    sampling = ClipSampling(1, Fraction(1000), clip_stride_seconds=Fraction(1, 1000))
    (found,) = plan_some_clips(Fraction(10**9), sampling, WHOLE, [10**12 - 1, 10**12])
    assert (found.clip_index, found.end_seconds) == (10**12 - 1, 10**9)


def test_few_clips_of_very_many_possible_ones_of_a_stream_model_are_planned_at_once() -> None:
    sampling = ClipSampling(1, Fraction(1000), kind="stream", clips_per_video=2, carry_state=True)
    found = plan_some_clips(Fraction(10**9), sampling, WHOLE, range(10))
    assert [clip.num_decoded_frames for clip in found] == [1, 1]
