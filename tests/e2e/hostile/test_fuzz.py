"""The short fuzz runs. The long one: `python tools/fuzz_decoder.py --files 2000`."""

from __future__ import annotations

import collections
import pathlib
import random
import re
import subprocess
import sys

import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main
from tools.fuzz_decoder import make_seeds, mutate

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_mutated_files_end_in_one_outcome_each() -> None:
    command = [sys.executable, str(ROOT / "tools" / "fuzz_decoder.py"), "--files", "120", "--seed", "5"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    (total,) = re.findall(r"^all +(.+)", run.stdout, re.MULTILINE)
    outcomes = {code: int(count) for code, count in re.findall(r"([a-z][^0-9]*?) (\d+)", total)}
    assert sum(outcomes.values()) == 120 and outcomes["corrupt_video"] > 0 and outcomes["ok"] > 0


@pytest.mark.slow
def test_mutated_files_are_one_row_each(tmp_path: pathlib.Path) -> None:
    seeds = make_seeds(tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        name, data = seeds[number % len(seeds)]
        (folder / f"{number:02d}-{name}").write_bytes(mutate(data, random.Random(f"rows {number}")))
    output = tmp_path / "out"
    assert main(["label", "--model=demo", f"{folder}/*", "--output", str(output), "--max_failure_ratio=1"]) == 0
    rows = select(f"SELECT video_uri, status, error_code, num_clips FROM '{output}/videos/*/*.parquet'").fetchall()
    assert sorted(pathlib.Path(row[0]).name for row in rows) == sorted(path.name for path in folder.iterdir())
    statuses = collections.Counter(row[1] for row in rows)
    assert statuses["ok"] and statuses["failed"]
    for _, status, code, num_clips in rows:
        assert (code is None) == (status == "ok") and (num_clips > 0 or status != "partial")
