"""A run keeps what it has cost in its JSON and prints it per hour of video."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.reports.cost import cost_text
from reelbeam.transforms.output.run_counts import Counts, RunCost


def label(output: pathlib.Path, *flags: object) -> int:
    return main(["label", "--model=demo", *map(str, flags), f"--output={output}", "--summary_json"])


def documents(output: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(output.glob("runs/*.json"))]


def test_each_part_has_its_cost_and_a_run_without_work_has_none(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = [path for path in sorted(samples_dir.iterdir()) if path.name != "broken.mp4"]
    assert label(tmp_path, *videos, "--videos_per_part=2") == 0
    printed = capsys.readouterr().out
    costs = [RunCost(**document["cost"]) for document in documents(tmp_path)]
    assert len(costs) > 1
    assert all(cost.decode_cpu_seconds > 0 and cost.model_cpu_seconds > 0 for cost in costs)
    line = json.loads(printed.splitlines()[-1])
    assert RunCost(**line["cost"]) == RunCost.total(costs)
    total = cost_text([(RunCost.total(costs), Counts(**line["counts"]))])
    shown = re.findall("^CPU time per hour of video: .+ decoding, .+ model$", printed, re.MULTILINE)
    assert len(shown) == len(costs) + 1 and shown[-1] == total

    assert label(tmp_path, *videos) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed.splitlines()[-1])["cost"] == vars(RunCost())
    assert "CPU time" not in printed

    assert main(["status", str(tmp_path)]) == 0
    assert f"{total}, in the runs above" in capsys.readouterr().out
    assert main(["status", str(tmp_path), "--json"]) == 0
    assert [RunCost(**run["cost"]) for run in json.loads(capsys.readouterr().out)["runs"]] == [*costs, RunCost()]


def test_a_rejected_run_keeps_its_cost(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(tmp_path, samples_dir / "broken.mp4") == 3
    cost = json.loads(capsys.readouterr().out.splitlines()[-1])["cost"]
    assert cost["decode_cpu_seconds"] > 0 and cost["model_cpu_seconds"] == 0
