"""The snippets of docs/python.md run."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SNIPPETS = re.findall(r"```python\n(.+?)```", (ROOT / "docs/python.md").read_text("utf-8"), re.DOTALL)
RUNNER = "runner='apache_beam.runners.portability.fn_api_runner.FnApiRunner'"


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_runs_as_a_script(snippet: str, samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """With the bundled model and videos, and without Beam's default runner, which looks for a download."""
    shutil.copytree(samples_dir, tmp_path / "videos")
    script = tmp_path / "script.py"
    script.write_text(snippet.replace("a0-base", "demo").replace("beam.Pipeline()", f"beam.Pipeline({RUNNER})"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if "print" in snippet:
        assert "growing" in done.stdout


def test_the_page_has_a_snippet_of_each_entry_point() -> None:
    code = "\n".join(SNIPPETS)
    for name in ("label", "LabelVideos", "decode_clips", "load_model", "as_dict"):
        assert f"reelbeam.{name}(" in code
