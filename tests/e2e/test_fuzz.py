"""The short fuzz run. The long one: `python tools/fuzz_decoder.py --files 2000`."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_mutated_files_end_in_one_outcome_each() -> None:
    command = [sys.executable, str(ROOT / "tools" / "fuzz_decoder.py"), "--files", "120", "--seed", "5"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^120 files, 120 outcomes", run.stdout, re.MULTILINE)
    assert re.search(r"^all +.*corrupt_video \d+", run.stdout, re.MULTILINE)
