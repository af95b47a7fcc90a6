"""CPUs: a container's share counts."""

from __future__ import annotations

import os
import pathlib

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


@pytest.mark.parametrize(("share", "count"), [(None, 3), (0.5, 1), (1.5, 2), (64.0, 3)])
def test_the_smaller_number_counts(monkeypatch: pytest.MonkeyPatch, share: float | None, count: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 5})
    monkeypatch.setattr(cpus, "quota", lambda folder: share)
    assert cpus.cpu_count() == count
