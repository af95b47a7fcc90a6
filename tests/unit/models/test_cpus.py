"""CPUs: a container's share counts."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from reelbeam.transforms.models import cpus


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu.max": "something else"}, None),
        ({}, None),
    ],
)
def test_shares_are_read(files: dict[str, str], share: float | None, tmp_path: pathlib.Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus.quota(tmp_path) == share


@pytest.fixture(params=["all", "one"])
def num_allowed(request: pytest.FixtureRequest) -> Iterator[int]:
    """The number of CPUs that this thread may run on: all that it had, or one."""
    before = os.sched_getaffinity(0)
    if request.param == "one":
        os.sched_setaffinity(0, {min(before)})
    yield 1 if request.param == "one" else len(before)
    os.sched_setaffinity(0, before)


def test_the_smaller_number_counts(num_allowed: int, tmp_path: pathlib.Path) -> None:
    assert cpus.cpu_count(tmp_path) == num_allowed
    for share, count in [("max", num_allowed), ("50000", 1), (f"{num_allowed}00000", num_allowed), ("150000", 2)]:
        (tmp_path / "cpu.max").write_text(f"{share} 100000\n")
        assert cpus.cpu_count(tmp_path) == min(count, num_allowed)
