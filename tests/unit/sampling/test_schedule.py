"""The bookkeeping between wanted instants and decoded frames, without a file."""

from __future__ import annotations

from fractions import Fraction

from record_factory import span_at

from reelbeam.transforms.media.sampling.schedule import FrameSchedule
from reelbeam.transforms.records import ClipSpan

TICK = Fraction(1, 30)


def span(*instants: str) -> ClipSpan:
    return span_at(0, *map(Fraction, instants))


def taken(schedule: FrameSchedule, tick: int | None) -> list[tuple[int, int]]:
    return [(slot.clip, slot.frame) for slot in schedule.take_before(tick)]


def test_a_frame_is_shown_from_its_time_on() -> None:
    schedule = FrameSchedule([span("0", "0.1", "0.19")], origin=0, time_base=TICK)
    assert taken(schedule, 0) == []
    assert taken(schedule, 3) == [(0, 0)]
    assert taken(schedule, 4) == [(0, 1)]
    assert taken(schedule, 5) == []
    assert taken(schedule, 6) == [(0, 2)]
    assert schedule.is_done


def test_instants_between_ticks_are_rounded_down_exactly() -> None:
    # 1/3 s is tick 333.33 of a millisecond clock: a frame at 333 is shown, one at 334 is not.
    schedule = FrameSchedule([span("1/3")], origin=0, time_base=Fraction(1, 1000))
    assert schedule.next_instant == 333


def test_time_counts_from_the_origin() -> None:
    schedule = FrameSchedule([span("0", "0.1")], origin=-9, time_base=TICK)
    assert [schedule.next_instant, schedule.last_instant(0)] == [-9, -6]


def test_overlapping_clips_are_served_together_in_order_of_time() -> None:
    schedule = FrameSchedule([span("0", "0.2"), span("0.1", "0.2")], origin=0, time_base=TICK)
    assert taken(schedule, None) == [(0, 0), (1, 0), (0, 1), (1, 1)]


def test_looping_clip_wants_one_frame_more_than_once() -> None:
    schedule = FrameSchedule([span("0", "0.1", "0", "0.1")], origin=0, time_base=TICK)
    assert taken(schedule, 3) == [(0, 0), (0, 2)]


def test_fill_reports_when_a_clip_is_complete() -> None:
    schedule = FrameSchedule([span("0", "0.1")], origin=0, time_base=TICK)
    assert [schedule.fill(slot) for slot in schedule.take_before(None)] == [False, True]


def test_lost_clips_want_nothing_more() -> None:
    schedule = FrameSchedule([span("0", "0.2"), span("0.1")], origin=0, time_base=TICK)
    assert taken(schedule, 1) == [(0, 0)]
    schedule.lose(0)
    schedule.lose(0)
    assert schedule.num_lost == 1
    assert taken(schedule, None) == [(1, 0)]
    assert schedule.is_done
