"""The CPU time of the model: each CPU-second between the first and the last active block is shared out once."""

from __future__ import annotations

import pytest

from reelbeam.transforms.models.cpu_meter import CpuMeter


class Clock:
    """The CPU time of a process, set by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_block_gets_its_own_time_and_what_is_used_between_blocks_counts_for_none() -> None:
    clock = Clock()
    meter = CpuMeter(clock)
    with meter.measure() as first:
        clock.now += 2
        assert first.cpu_seconds == 0.0
    clock.now += 50
    with meter.measure() as second:
        clock.now += 3
    assert (first.cpu_seconds, second.cpu_seconds) == (2.0, 3.0)


def test_blocks_that_overlap_share_their_time() -> None:
    """As two threads of a worker do: 1 alone, 2 and 4 together, 8 alone, 16 in neither."""
    clock = Clock()
    meter = CpuMeter(clock)
    one, other = meter.measure(), meter.measure()
    first = one.__enter__()
    clock.now += 1
    second = other.__enter__()
    clock.now += 2
    one.__exit__(None, None, None)
    with meter.measure() as third:  # the first thread's next batch
        clock.now += 4
    clock.now += 8
    other.__exit__(None, None, None)
    clock.now += 16
    assert [used.cpu_seconds for used in (first, second, third)] == [3.0, 8.0, 4.0]


def test_a_block_that_fails_is_measured_and_the_next_one_is_not_affected() -> None:
    clock = Clock()
    meter = CpuMeter(clock)
    with pytest.raises(ValueError, match="bad batch"), meter.measure() as failed:
        clock.now += 2
        raise ValueError("bad batch")
    clock.now += 4
    with meter.measure() as good:
        clock.now += 8
    assert (failed.cpu_seconds, good.cpu_seconds) == (2.0, 8.0)
