"""The plan of a video's clips: exact numbers, every policy, every edge."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import pytest

from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling, TailPolicy
from reelbeam.transforms.media.sampling.clips import plan_clip_spans

A0 = ClipSampling(num_frames=50, target_fps=Fraction(5))


def starts(duration: str, sampling: ClipSampling = A0) -> list[str]:
    return [str(float(span.start_seconds)) for span in plan_clip_spans(Fraction(duration), sampling)]


def with_policy(policy: TailPolicy, **changes: Any) -> ClipSampling:
    return dataclasses.replace(A0, tail_policy=policy, **changes)


def test_consecutive_clips_cover_a_video_of_whole_clips() -> None:
    spans = plan_clip_spans(Fraction(30), A0)
    assert [span.start_seconds for span in spans] == [0, 10, 20]
    assert [span.clip_index for span in spans] == [0, 1, 2]
    assert all(span.end_seconds - span.start_seconds == 10 for span in spans)
    assert all(span.num_real_frames == span.num_frames == 50 for span in spans)
    assert spans[1].sample_seconds == tuple(10 + Fraction(k, 5) for k in range(50))


def test_instants_are_exact_where_floats_are_not() -> None:
    sampling = ClipSampling(num_frames=120, target_fps=Fraction(12000, 1001))
    (span,) = plan_clip_spans(Fraction(1001 * 120, 12000), sampling)
    assert span.sample_seconds[119] == Fraction(119 * 1001, 12000)
    assert span.end_seconds == Fraction(1001, 100)


@pytest.mark.parametrize(
    ("duration", "policy", "expected"),
    [
        ("23", "shift_back", ["0.0", "10.0", "13.0"]),
        ("23", "repeat_last", ["0.0", "10.0", "20.0"]),
        ("23", "drop", ["0.0", "10.0"]),
        # A remainder shorter than one sample interval (0.2 s) gives no clip; a longer one does.
        ("10.199", "shift_back", ["0.0"]),
        ("10.2", "shift_back", ["0.0", "0.2"]),
        ("10.199", "repeat_last", ["0.0"]),
        ("10.2", "repeat_last", ["0.0", "10.0"]),
        ("10", "shift_back", ["0.0"]),
        # `drop` drops repeats, not clips that are a hair short.
        ("19.97", "drop", ["0.0", "10.0"]),
        ("19.8", "drop", ["0.0"]),
        ("9.97", "drop", ["0.0"]),
        ("9.8", "drop", []),
        ("2.3", "drop", []),
    ],
)
def test_tail(duration: str, policy: TailPolicy, expected: list[str]) -> None:
    assert starts(duration, with_policy(policy)) == expected


def test_shifted_clip_ends_exactly_at_the_end_and_shows_only_real_frames() -> None:
    duration = Fraction(23023, 1000)
    last = plan_clip_spans(duration, A0)[-1]
    assert last.end_seconds == duration
    assert last.num_real_frames == 50
    assert last.sample_seconds[-1] < duration


def test_repeat_last_holds_the_last_instant_inside() -> None:
    last = plan_clip_spans(Fraction(23), with_policy("repeat_last"))[-1]
    assert last.num_real_frames == 15
    assert last.sample_seconds[:15] == tuple(20 + Fraction(k, 5) for k in range(15))
    assert set(last.sample_seconds[14:]) == {Fraction("22.8")}
    assert last.end_seconds == 23


@pytest.mark.parametrize(
    ("duration", "num_real"),
    [("2.3", 12), ("2.2", 11), ("2.2001", 12), ("0.04", 1), ("9.97", 50), ("0.2", 1)],
)
def test_short_video_loops_over_its_instants(duration: str, num_real: int) -> None:
    (span,) = plan_clip_spans(Fraction(duration), A0)
    assert span.num_real_frames == num_real
    assert span.sample_seconds == tuple(Fraction(k % num_real, 5) for k in range(50))
    assert max(span.sample_seconds) < Fraction(duration)
    assert span.start_seconds == 0
    assert span.end_seconds == Fraction(duration)


def test_short_video_holds_its_last_instant_under_repeat_last() -> None:
    (span,) = plan_clip_spans(Fraction("2.3"), with_policy("repeat_last"))
    assert span.num_real_frames == 12
    assert span.sample_seconds[11:] == (Fraction("2.2"),) * 39


def test_overlapping_clips_add_one_clip_for_the_rest() -> None:
    assert starts("23", with_policy("shift_back", clip_stride_seconds=Fraction(4))) == [
        "0.0", "4.0", "8.0", "12.0", "13.0",
    ]  # fmt: skip
    assert starts("22", with_policy("shift_back", clip_stride_seconds=Fraction(4)))[-1] == "12.0"
    last = plan_clip_spans(Fraction(23), with_policy("repeat_last", clip_stride_seconds=Fraction(4)))[-1]
    assert last.start_seconds == 16
    assert last.num_real_frames == 35


def test_gaps_are_wanted() -> None:
    stride = Fraction(30)
    # The gap from 10 to 30 is not a rest; what begins at 30 is.
    assert starts("25", with_policy("shift_back", clip_stride_seconds=stride)) == ["0.0"]
    assert starts("30.1", with_policy("shift_back", clip_stride_seconds=stride)) == ["0.0"]
    assert starts("34", with_policy("shift_back", clip_stride_seconds=stride)) == ["0.0", "24.0"]
    assert starts("34", with_policy("repeat_last", clip_stride_seconds=stride)) == ["0.0", "30.0"]
    assert starts("41", with_policy("shift_back", clip_stride_seconds=stride)) == ["0.0", "30.0"]


def test_clips_per_video_spreads_clips_evenly() -> None:
    assert starts("100", with_policy("shift_back", clips_per_video=3)) == ["15.0", "45.0", "75.0"]
    assert starts("100", with_policy("shift_back", clips_per_video=1)) == ["45.0"]


def test_clips_per_video_leaves_full_coverage_alone_where_it_is_no_more() -> None:
    assert starts("23", with_policy("shift_back", clips_per_video=3)) == ["0.0", "10.0", "13.0"]
    assert starts("23", with_policy("shift_back", clips_per_video=2)) == ["3.25", "9.75"]
    assert starts("2.3", with_policy("shift_back", clips_per_video=1)) == ["0.0"]


@pytest.mark.parametrize("policy", ["shift_back", "repeat_last", "drop"])
@pytest.mark.parametrize("stride", [None, Fraction(3), Fraction(25)])
@pytest.mark.parametrize("limit", [None, 1, 4])
def test_every_plan_keeps_the_rules(policy: TailPolicy, stride: Fraction | None, limit: int | None) -> None:
    sampling = with_policy(policy, clip_stride_seconds=stride, clips_per_video=limit)
    for hundredths in range(1, 6000, 37):
        duration = Fraction(hundredths, 100)
        spans = plan_clip_spans(duration, sampling)
        assert spans or policy == "drop"
        assert limit is None or len(spans) <= limit
        assert [span.clip_index for span in spans] == list(range(len(spans)))
        assert [span.start_seconds for span in spans] == sorted({span.start_seconds for span in spans})
        for span in spans:
            assert span.num_frames == 50
            assert all(0 <= instant < duration for instant in span.sample_seconds)
            assert len(set(span.sample_seconds)) == span.num_real_frames
            assert max(span.sample_seconds) < span.end_seconds <= min(duration, span.start_seconds + 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 0}, "--num_frames=0"),
        ({"target_fps": Fraction(0)}, "--target_fps=0"),
        ({"target_fps": 0.1}, "--target_fps=0.1: must be an exact number"),
        ({"clip_stride_seconds": Fraction(-1)}, "--clip_stride_seconds=-1"),
        ({"clips_per_video": 0}, "--clips_per_video=0"),
        ({"tail_policy": "loop"}, "--tail_policy=loop: must be one of shift_back, repeat_last, drop"),
    ],
)
def test_bad_values_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(A0, **changes)


def test_duration_must_be_positive() -> None:
    with pytest.raises(ValueError, match="duration_seconds=0"):
        plan_clip_spans(Fraction(0), A0)


def test_fingerprint_is_stable_and_depends_on_every_field() -> None:
    assert A0.fingerprint == "22200e97d95ba592"
    others = [
        dataclasses.replace(A0, num_frames=51),
        dataclasses.replace(A0, target_fps=Fraction(6)),
        dataclasses.replace(A0, clip_stride_seconds=Fraction(10)),
        dataclasses.replace(A0, clips_per_video=1),
        dataclasses.replace(A0, tail_policy="drop"),
    ]
    assert len({sampling.fingerprint for sampling in [A0, *others]}) == 6
