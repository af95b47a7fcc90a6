"""A run keeps what it has cost in its JSON and prints it per hour of video."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.reports.cost import bottleneck, cost_text, total_text, waiting_text
from reelbeam.transforms.output.run_counts import Counts, PlannedCost, RunCost


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
    assert all(0 < (cost.scale_cpu_seconds or 0) < cost.decode_cpu_seconds for cost in costs)
    assert all(cost.decoder_wait_seconds and cost.model_wait_seconds is not None for cost in costs)
    assert all(cost.bytes_fetched == cost.store_wait_seconds == 0 for cost in costs)
    line = json.loads(printed.splitlines()[-1])
    planned = [PlannedCost(**document["planned_cost"]) for document in documents(tmp_path)]
    assert PlannedCost(**line["planned_cost"]) == PlannedCost.total(planned)
    assert RunCost(**line["cost"]) == RunCost.total(costs)
    total = cost_text([(RunCost.total(costs), Counts(**line["counts"]))])
    shown = re.findall("^CPU time per hour of video: .+ decoding, .+ model$", printed, re.MULTILINE)
    assert len(shown) == len(costs) + 1 and shown[-1] == total
    assert len(re.findall("^CPU time: .+, planned ", printed, re.MULTILINE)) == len(costs) + 1
    unwrapped = " ".join(printed.split())
    assert total_text(RunCost.total(costs), planned) in unwrapped and waiting_text(RunCost.total(costs)) in unwrapped

    assert label(tmp_path, *videos) == 0
    printed = capsys.readouterr().out
    assert RunCost(**json.loads(printed.splitlines()[-1])["cost"]) == RunCost()
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


def test_a_run_records_what_plan_estimates(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = [str(path) for path in sorted(samples_dir.glob("*.mp4")) if path.name != "broken.mp4"]
    assert main(["plan", "--model=demo", *videos, f"--output={tmp_path}", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert label(tmp_path, *videos) == 0
    (document,) = documents(tmp_path)
    assert document["counts"]["clips"] == plan["clips"]
    planned = document["planned_cost"]
    assert planned["decode_cpu_seconds"] == pytest.approx(plan["models"][0]["decode_cpu_hours"]["typical"] * 3600)
    assert planned["model_cpu_seconds"] == pytest.approx(plan["models"][0]["model_cpu_hours"] * 3600)


def test_older_runs_have_unknown_costs() -> None:
    counts = Counts(1, 1, 1, 0, 0, 1, 0, 1_800_000, 1, 0, 1, 0)
    assert cost_text([(RunCost(19.0, 1200.0), counts)]).endswith("40 min model")
    text = total_text(RunCost(19.0, 1200.0), [None])
    assert text == "CPU time: 20.3 min, planned unknown: decoding 19 s, scaling unknown, model 20 min"
    assert waiting_text(RunCost(19.0, 1200.0)) == "Waiting: unknown"
    new = RunCost(1.0, 2.0, 3, 0.5, 4.0, 5.0, 6.0)
    assert RunCost.total([RunCost(19.0, 1200.0), new]) == RunCost(20.0, 1202.0, 3, 0.5, 4.0, 5.0, 6.0)


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ((9.0, 1.0, 0.0), "decoding is the bottleneck"),
        ((1.0, 9.0, 0.0), "the model is the bottleneck"),
        ((1.0, 2.0, 9.0), "the store is the bottleneck"),
        ((2.0, 3.0, 0.0), "no part is clearly the bottleneck"),
    ],
)
def test_the_bottleneck_is_what_the_others_wait_for(waits: tuple[float, float, float], expected: str) -> None:
    assert bottleneck(RunCost(1.0, 1.0, 0, 0.5, *waits)) == expected
