"""The clips of a Stream model whose state is carried: one grid of frames, no overlap, and a warm-up after each cut."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import pytest
import record_factory as make

from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.segments import media_of_segment
from reelbeam.transforms.media.sampling.stream import count_stream_clips, plan_stream_spans
from reelbeam.transforms.media.sampling.video_plan import plan_parts
from reelbeam.transforms.media.sandbox import protocol
from reelbeam.transforms.media.sandbox.deadline import allowed_seconds
from reelbeam.transforms.records import ClipSpan, MediaInfo

A0 = ClipSampling(50, Fraction(5), kind="stream", carry_state=True)


def with_(**changes: Any) -> ClipSampling:
    return dataclasses.replace(A0, **changes)


def spans(duration: str, sampling: ClipSampling = A0) -> tuple[ClipSpan, ...]:
    return plan_stream_spans(Fraction(duration), sampling)


def media(duration: int, key_frames_every: int) -> MediaInfo:
    return dataclasses.replace(
        make.MEDIA,
        duration_seconds=Fraction(duration),
        time_base=Fraction(1, 10),
        key_frame_pts=tuple(range(0, duration * 10, key_frames_every * 10)),
    )


def test_clips_follow_each_other_and_the_rest_is_a_shorter_one() -> None:
    first, second, rest = spans("22.3")
    assert [(s.start_seconds, s.end_seconds) for s in (first, second)] == [(0, 10), (10, 20)]
    assert (rest.start_seconds, rest.num_frames, rest.num_real_frames) == (20, 12, 12)
    assert rest.end_seconds == Fraction("22.3")
    seen = first.sample_seconds + second.sample_seconds + rest.sample_seconds
    assert seen == tuple(Fraction(k, 5) for k in range(112))
    assert [(s.continues, s.is_continued) for s in (first, second, rest)] == [
        (False, True),
        (True, True),
        (True, False),
    ]
    assert {s.num_warm_up_frames for s in (first, second, rest)} == {0}


@pytest.mark.parametrize(
    ("duration", "frames", "dropped"),
    [("0.01", [1], []), ("2.3", [12], []), ("9.97", [50], [50]), ("10", [50], [50]), ("10.03", [50], [50])],
)
def test_a_video_shorter_than_a_clip_is_one_short_clip(duration: str, frames: list[int], dropped: list[int]) -> None:
    (only,) = spans(duration)
    assert [only.num_frames] == frames and not only.continues and not only.is_continued
    assert [span.num_frames for span in spans(duration, with_(tail_policy="drop"))] == dropped


def test_the_last_clip_that_is_left_is_not_continued() -> None:
    kept = spans("22.3", with_(tail_policy="drop"))
    assert [(s.start_seconds, s.is_continued) for s in kept] == [(0, True), (10, False)]


def test_each_clip_after_a_gap_starts_with_a_warm_up() -> None:
    first, second, third = spans("55", with_(clip_stride_seconds=Fraction(25), warm_up_seconds=Fraction(4)))
    assert [s.start_seconds for s in (first, second, third)] == [0, 25, 50]
    assert [s.num_warm_up_frames for s in (first, second, third)] == [0, 20, 20]
    assert [s.num_frames for s in (first, second, third)] == [50, 50, 25]
    assert second.sample_seconds == tuple(21 + Fraction(k, 5) for k in range(70))
    assert not any(s.continues or s.is_continued for s in (first, second, third))


def test_a_few_clips_of_a_video_start_on_the_grid() -> None:
    sampling = with_(clips_per_video=3, warm_up_seconds=Fraction(1000))
    few = spans("100.1", sampling)
    assert [float(s.start_seconds) for s in few] == [15.0, 45.0, 75.0]
    # Their warm-up is cut at the start of the video: they see the whole video up to their end.
    # And each goes on where the one before it ended: nothing is shown twice.
    assert sum((s.sample_seconds for s in few), ()) == tuple(Fraction(k, 5) for k in range(425))
    assert [(s.num_warm_up_frames, s.continues, s.is_continued) for s in few] == [
        (75, False, True),
        (100, True, True),
        (100, True, False),
    ]
    assert spans("30", with_(clips_per_video=3)) == spans("30")


@pytest.mark.parametrize("duration", ["20.2", "30.1", "47", "600"])
@pytest.mark.parametrize(
    "changes", [{"clips_per_video": k} for k in (1, 2, 3, 7)] + [{"clip_stride_seconds": Fraction(s)} for s in (10, 25)]
)
@pytest.mark.parametrize("warm_up", [0, 3, 20])
def test_fewer_clips_never_cost_more_than_all(duration: str, changes: dict[str, Any], warm_up: int) -> None:
    few = spans(duration, with_(**changes, warm_up_seconds=Fraction(warm_up)))
    seen = sum((s.sample_seconds for s in few), ())
    assert len(seen) <= -(Fraction(duration) * -5 // 1)  # the whole grid
    assert all(before < after for before, after in zip(seen, seen[1:], strict=False))  # each once, so no overlap
    assert all(s.num_frames == 50 for s in few[:-1]) and few[-1].end_seconds <= Fraction(duration)
    for before, after in zip(few, few[1:], strict=False):
        gap = after.start_seconds - before.end_seconds
        assert before.is_continued == after.continues == (gap <= warm_up)
        assert after.num_warm_up_frames == min(gap, Fraction(warm_up)) * 5 // 1


def test_a_segment_that_begins_after_a_short_gap_has_a_whole_warm_up() -> None:
    parts = plan_parts(media(605, 7), with_(clip_stride_seconds=Fraction(15), warm_up_seconds=Fraction(20)))
    assert len(parts) >= 3
    for part in parts[1:]:
        assert (part[0].num_warm_up_frames, part[0].continues, part[-1].is_continued) == (100, False, False)
        assert {s.num_warm_up_frames for s in part[1:]} == {25} and all(s.continues for s in part[1:])


@pytest.mark.parametrize("warm_up", [0, 2, 10, 40, 10_000])
@pytest.mark.parametrize("spacing", [1, 7, 10])
def test_segments_warm_up_and_show_every_frame_once(warm_up: int, spacing: int) -> None:
    sampling = with_(warm_up_seconds=Fraction(warm_up))
    whole = plan_stream_spans(Fraction(605), sampling)
    parts = plan_parts(media(605, spacing), sampling)
    assert len(parts) >= 5
    shown: tuple[Fraction, ...] = ()
    for index, clips in enumerate(parts):
        first, last = clips[0], clips[-1]
        assert [s.continues for s in clips] == [False] + [True] * (len(clips) - 1)
        assert [s.is_continued for s in clips] == [True] * (len(clips) - 1) + [False]
        assert {s.num_warm_up_frames for s in clips[1:]} <= {0}
        wanted = 0 if index == 0 else min(warm_up, int(first.start_seconds)) * 5
        assert first.num_warm_up_frames == wanted
        assert first.first_seconds == first.start_seconds - Fraction(wanted, 5)
        assert first.sample_seconds == tuple(first.first_seconds + Fraction(k, 5) for k in range(wanted + 50))
        shown += sum((s.sample_seconds[s.num_warm_up_frames :] for s in clips), ())
        assert last.clip_index - first.clip_index == len(clips) - 1
    assert shown == sum((s.sample_seconds for s in whole), ())
    rows = [(s.clip_index, s.start_ms, s.end_ms, s.num_frames) for part in parts for s in part]
    assert rows == [(s.clip_index, s.start_ms, s.end_ms, s.num_frames) for s in whole]


def test_cuts_are_made_where_the_warm_up_starts_at_a_key_frame() -> None:
    starts = {}
    for warm_up in (0, 10):
        parts = plan_parts(media(300, 70), with_(warm_up_seconds=Fraction(warm_up)))
        starts[warm_up] = [int(part[0].start_seconds) for part in parts]
    assert starts == {0: [0, 70, 140, 210], 10: [0, 80, 150, 220]}


def test_decoding_starts_before_the_warm_up() -> None:
    part = plan_parts(media(605, 7), with_(warm_up_seconds=Fraction(20)))[1]
    first = part[0]
    assert first.first_seconds == first.start_seconds - 20
    ticks = media_of_segment(media(605, 7), part).key_frame_pts
    assert any(tick <= first.first_seconds * 10 for tick in ticks)
    assert sum(tick <= first.first_seconds * 10 for tick in ticks) == 3
    bare = dataclasses.replace(first, sample_steps=first.sample_steps[100:], num_warm_up_frames=0)
    longer = allowed_seconds(DEFAULT_LIMITS, 0, [first]) - allowed_seconds(DEFAULT_LIMITS, 0, [bare])
    assert longer == pytest.approx(20 * (5 - 0.05))


def test_a_span_reaches_the_decoder_unchanged() -> None:
    for part in plan_parts(media(605, 7), A0):
        for span in part:
            assert protocol.span_from_json(protocol.span_to_json(span)) == span


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tail_policy": "shift_back"}, "=shift_back: must be one of keep, drop for a Stream model with --carry_state"),
        ({"tail_policy": "repeat_last"}, "must be one of keep, drop"),
        (
            {"tail_policy": "repeat_last", "carry_state": False},
            "must be one of shift_back, keep, drop for a Stream model$",
        ),
        ({"clip_stride_seconds": Fraction(99, 10)}, "cannot overlap"),
        ({"warm_up_seconds": Fraction(-1)}, "--warm_up_seconds=-1: must be 0 or more"),
        ({"carry_state": False, "warm_up_seconds": Fraction(0)}, "--warm_up_seconds needs --carry_state: without it"),
        ({"kind": "base", "warm_up_seconds": Fraction(1)}, "--warm_up_seconds is for Stream models"),
        ({"kind": "base"}, "--carry_state is for Stream models"),
        (
            {"kind": "base", "carry_state": False, "tail_policy": "keep"},
            "must be one of shift_back, repeat_last, drop for a Base model",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_(**changes)


def test_the_fingerprint_covers_the_kind_the_state_and_the_warm_up() -> None:
    others = [
        *(ClipSampling(50, Fraction(5)), with_(carry_state=False), with_(carry_state=False, tail_policy="keep")),
        *(with_(warm_up_seconds=Fraction(11)), with_(tail_policy="drop"), with_(warm_up_seconds=Fraction(0))),
    ]
    assert len({sampling.fingerprint for sampling in [A0, *others]}) == 7
    # A default value that is given explicitly does not change the sampling.
    named = with_(warm_up_seconds=Fraction(20), tail_policy="keep")
    assert named.fingerprint == A0.fingerprint


@pytest.mark.parametrize("duration", ["0.1", "9.9", "10", "10.1", "10.3", "95", "132.3"])
@pytest.mark.parametrize("changes", [{}, {"tail_policy": "drop"}, {"clips_per_video": 3}])
def test_clips_are_counted_without_being_made(duration: str, changes: dict[str, Any]) -> None:
    sampling = with_(**changes)
    assert count_stream_clips(Fraction(duration), sampling) == len(spans(duration, sampling))
