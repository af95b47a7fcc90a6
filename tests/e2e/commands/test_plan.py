"""`reelbeam plan`: it reports what a run would do, and changes nothing."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest

from benchmarks import cost_table
from reelbeam.pipeline.cli import main
from reelbeam.pipeline.commands import estimate
from reelbeam.pipeline.costs import table as costs
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import count_clips, plan_clip_spans
from reelbeam.transforms.models.registry.catalog import CATALOG


def plan(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    assert main(["plan", "--model=demo", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def tree(folder: pathlib.Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_plan_says_what_the_run_then_does(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, output = tmp_path / "in", tmp_path / "out"
    videos.mkdir()
    for name in ("broken.mp4", "growing.mp4", "moving_up.mp4", "standing_still.mp4"):
        shutil.copy2(samples_dir / name, videos / name)
    flags = (videos, "--output", output)
    first = plan(capsys, *flags)
    assert not output.exists()
    assert (first["outcomes"], first["to_label"], first["inputs"]) == ({"new": 4}, 4, 4)
    assert first["failures"] == {"not_a_video": 1} and not first["extrapolated"] and first["hours_error"] == 0

    assert main(["label", "--model=demo", *map(str, flags)]) == 0
    (run,) = [json.loads(path.read_text()) for path in output.glob("runs/*.json")]
    assert first["clips"] == run["counts"]["clips"] == 7
    assert first["hours"] * 3_600_000 == pytest.approx(run["counts"]["video_ms"], abs=3)
    demo = first["models"][0]
    assert demo["model"] == "demo" and demo["measured"] and demo["clips"] == 7
    assert {entry["model"] for entry in first["models"]} == {n for n, spec in CATALOG.items() if spec.kind == "base"}

    capsys.readouterr()
    os.utime(videos / "growing.mp4", (1, 1))
    shutil.copy(samples_dir / "moving_left.mp4", videos / "new.mp4")
    before = tree(output)
    second = plan(capsys, *flags)
    assert second["outcomes"] == {"changed": 1, "new": 1, "already_labeled": 2, "failed_before": 1}
    assert second["to_label"] == 2 and second["clips"] == 5
    assert plan(capsys, *flags, "--retry_failed", "all")["outcomes"]["asked_for"] == 1
    assert plan(capsys, *flags, "--clips_per_video", 1)["outcomes"] == {"new": 5}
    limited = plan(capsys, *flags, "--force", "--limit", 3)
    assert (limited["to_label"], limited["inputs"]) == (3, 5)
    assert limited["outcomes"] == {"forced": 3, "beyond_limit": 2}
    assert plan(capsys, *flags, "--limit", 9)["outcomes"] == second["outcomes"]
    assert main(["plan", "--model=demo", *map(str, flags), "--force", "--limit=3"]) == 0
    assert "2 beyond --limit" in " ".join(capsys.readouterr().out.split())
    assert main(["plan", "--model=demo", *map(str, flags)]) == 0
    printed = capsys.readouterr().out
    assert "5 inputs, 2 to label" in printed and "failed before" in printed
    (header,) = [line.split("  ") for line in printed.splitlines() if "decoding" in line and "time here" in line]
    columns = [name.strip() for name in header if name.strip()]
    assert columns == ["model", "clips", "model CPU time", "decoding", "CPU time", "time here"]
    assert tree(output) == before


@pytest.mark.slow
def test_a_plan_with_a_limit_names_the_reasons_of_the_run(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, output = tmp_path / "in", tmp_path / "out"
    videos.mkdir()
    for number in range(3):
        shutil.copy(samples_dir / "growing.mp4", videos / f"{number}.mp4")
    flags = (videos, "--output", output)
    assert main(["label", "--model=demo", *map(str, flags)]) == 0
    for number in range(2):
        os.utime(videos / f"{number}.mp4", (1, 1))
    for number in range(3, 8):
        shutil.copy(samples_dir / "growing.mp4", videos / f"{number}.mp4")
    capsys.readouterr()
    planned = plan(capsys, *flags, "--limit=4")["outcomes"]
    before = set(output.glob("runs/*.json"))
    assert main(["label", "--model=demo", *map(str, flags), "--limit=4"]) == 0
    (run,) = [json.loads(path.read_text()) for path in set(output.glob("runs/*.json")) - before]
    assert planned == run["selected"] | run["skipped"] and planned["beyond_limit"] == 3


def test_a_sample_is_the_same_at_every_call_and_said_so(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [path.name for path in samples_dir.iterdir() if path.name != "broken.mp4"]
    for number in range(30):
        name = names[number % len(names)]
        shutil.copy(samples_dir / name, tmp_path / f"{number}-{name}")
    flags = (tmp_path, "--output", tmp_path / "out")
    whole, sampled = plan(capsys, *flags), plan(capsys, *flags, "--sample", 10)
    assert sampled == plan(capsys, *flags, "--sample", 10)
    assert (sampled["sampled"], sampled["to_label"], sampled["extrapolated"]) == (10, 30, True)
    assert sampled["hours"] == pytest.approx(whole["hours"], rel=0.5) and 0 < sampled["hours_error"] < whole["hours"]
    assert main(["plan", "--model=demo", *map(str, flags), "--sample", "10"]) == 0
    assert "estimated from the headers of 10 videos" in " ".join(capsys.readouterr().out.split())


def test_three_crops_cost_three_times_the_model(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (samples_dir / "moving_up.mp4", "--output", tmp_path / "out")
    center, three, whole = (plan(capsys, *flags, f"--crops={name}")["models"] for name in ("center", "three", "whole"))
    assert whole == center
    for one, other in zip(center, three, strict=True):
        assert other["model_cpu_hours"] == pytest.approx(3 * one["model_cpu_hours"])
        assert (other["clips"], other["decode_cpu_hours"]) == (one["clips"], one["decode_cpu_hours"])


def test_the_error_of_a_sample_is_what_samples_show() -> None:
    chance = random.Random(1)
    videos = [chance.expovariate(0.1) for _ in range(1000)]
    within = 0
    for _ in range(400):
        sample = chance.sample(videos, 100)
        within += abs(sum(sample) * 10 - sum(videos)) <= estimate.estimate_error(sample, 1000)
    assert 0.9 < within / 400 < 0.99
    assert estimate.estimate_error(videos, 1000) == 0


def test_a_long_run_gets_smaller_parts(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "list.txt"
    sample = samples_dir / "moving_left.mp4"
    for number in range(400):
        (tmp_path / f"{number}.mp4").symlink_to(sample)
    listed.write_text("\n".join(str(tmp_path / f"{number}.mp4") for number in range(400)))
    flags = ("--input_list", listed, "--output", tmp_path / "out", "--model", "a5-base", "--sample", 5)
    found = plan(capsys, *flags)
    hours = found["models"][0]["cpu_hours"]
    assert hours > 1
    assert found["videos_per_part"] == pytest.approx(400 / hours, rel=0.1)


@pytest.mark.parametrize(
    ("flags", "word"),
    [(["--sample", "0"], "--sample"), (["--model", "a0-stream", "--tail_policy=repeat_last"], "stream")],
)
def test_bad_flags_end_with_2(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: list[str], word: str
) -> None:
    assert main(["plan", "--model=demo", str(samples_dir), "--output", str(tmp_path), *flags]) == 2
    assert word in capsys.readouterr().err.lower()


def test_the_cost_table_is_what_the_benchmarks_measured() -> None:
    assert json.loads(cost_table.TABLE.read_text("utf-8")) == cost_table.make_table()
    inference = json.loads((cost_table.RESULTS / "inference.json").read_text())
    (a0,) = [entry for entry in inference if entry["model"] == "a0-base"]
    known = costs.model_cost(CATALOG["a0-base"], "openvino")
    assert known is not None and known.measured and known.seconds_per_clip == pytest.approx(a0["openvino"], rel=0.01)
    guess = costs.model_cost(CATALOG["a4-base"], "tensorflow")
    assert guess is not None and not guess.measured and 200 < guess.seconds_per_clip < 2000
    assert costs.model_cost(CATALOG["demo"], "tensorflow") is None
    second = costs.decode_cost()
    assert 0 < second.low < second.typical < second.high


@pytest.mark.parametrize("policy", ["shift_back", "repeat_last", "drop"])
@pytest.mark.parametrize("stride", [None, Fraction(1, 2), Fraction(3)])
@pytest.mark.parametrize("most", [None, 1, 3])
def test_clips_are_counted_as_they_are_planned(policy: Any, stride: Fraction | None, most: int | None) -> None:
    sampling = ClipSampling(8, Fraction(4), stride, most, policy)
    for ticks in range(1, 300):
        duration = Fraction(ticks, 24)
        assert count_clips(duration, sampling) == len(plan_clip_spans(duration, sampling)), duration


@pytest.mark.parametrize("command", ["plan", "status", "verify", "diff", "sql", "compact"])
def test_help_imports_neither_beam_nor_tensorflow(command: str) -> None:
    code = (
        "import sys\nfrom reelbeam.pipeline.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    assert end.code == 0\n"
        "print(sorted({'apache_beam', 'tensorflow', 'openvino', 'pyarrow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and f"usage: reelbeam {command}" in done.stdout
