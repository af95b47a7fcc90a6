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
    hours = 1000 * 360 * a_clip / 3600
    assert sizing.core_hours(1000, "1080p", "a0-base") == pytest.approx(hours)
    # A vCPU of N2 is one of a core's two hyper-threads, one of T2D is a core.
    assert sizing.vcpu_hours(1000, "1080p", "a0-base", "n2-standard-16") == pytest.approx(2 * hours)
    assert sizing.vcpu_hours(1000, "1080p", "a0-base", "t2d-standard-8") == pytest.approx(hours)
    row = f"| 1,000 h | `a0-base` | {hours:,.0f} | {2 * hours:,.0f} vCPU-h: {2 * hours / 80:,.1f} h |"
    assert sum(line.startswith(row) for line in sizing.cost_table()) == 1


def test_a_model_that_wants_more_frames_pays_for_all_of_them() -> None:
    (decode,) = (r for r in json.loads((sizing.RESULTS / "decode.json").read_text()) if r["video"] == "long_1080p.mp4")
    for model, method in {"a2-stream": "reelbeam", "a3-base": "pyav full", "a4-base": "pyav full"}.items():
        assert sizing.decode_seconds("1080p", model) == decode["cpu_seconds"][method] / 13


def test_every_published_model_is_listed() -> None:
    lines = sizing.cost_table()[2:]
    assert len(lines) == 3 * 12
    assert {line.split("|")[2].strip(" `") for line in lines} == {
        f"a{number}-{kind}" for number in range(6) for kind in ("base", "stream")
    }


def test_the_readme_has_the_measured_memory() -> None:
    (worker,) = json.loads((sizing.RESULTS / "worker.json").read_text())
    text = sizing.README.read_text("utf-8").replace("\n", " ")
    assert "{}, {} and {} MB with 1, 2 and 4 threads".format(*worker["memory_mb"].values()) in text
    many, few = worker["memory_mb"]["4"], worker["memory_mb"]["1"]
    assert worker["thread_mb"] == pytest.approx((many - few) / 3)
    assert worker["base_mb"] == pytest.approx(few - worker["thread_mb"])
