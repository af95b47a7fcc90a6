"""The tables of templates/dataflow/README.md are what benchmarks/results say."""

from __future__ import annotations

import json

import pytest

from benchmarks import sizing


def test_the_tables_are_those_of_the_results() -> None:
    text = sizing.README.read_text("utf-8")
    assert sizing.tables() in text, "run: python -m benchmarks.sizing --write"
    assert sizing.with_tables(text) == text


def test_vcpu_hours_by_hand() -> None:
    # A0's clip has 50 frames at 5 a second: 10 seconds, so an hour has 360 of them.
    (decode,) = (r for r in json.loads((sizing.RESULTS / "decode.json").read_text()) if r["video"] == "long_1080p.mp4")
    (model,) = (r for r in json.loads((sizing.RESULTS / "inference.json").read_text()) if r["model"] == "a0-base")
    a_clip = decode["cpu_seconds"]["reelbeam"] / 13 + model["openvino"]
    assert sizing.vcpu_hours(1000, "1080p", "a0-base") == pytest.approx(1000 * 360 * a_clip / 3600)


def test_the_readme_tells_the_memory_that_was_measured() -> None:
    (worker,) = json.loads((sizing.RESULTS / "worker.json").read_text())
    text = sizing.README.read_text("utf-8").replace("\n", " ")
    assert "{}, {} and {} MB with 1, 2 and 4 threads".format(*worker["memory_mb"].values()) in text
    many, few = worker["memory_mb"]["4"], worker["memory_mb"]["1"]
    assert worker["thread_mb"] == pytest.approx((many - few) / 3)
    assert worker["base_mb"] == pytest.approx(few - worker["thread_mb"])
