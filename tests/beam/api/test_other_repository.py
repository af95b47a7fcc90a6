"""LabelVideos in a repository of Beam that has a `pipeline.py` and a `transforms/` of its own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).resolve().parents[3]

_PIPELINE = """
import sys
import apache_beam as beam
import reelbeam
import transforms
from transforms.names import SpellNames

def main(video, output):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        labeled = pipeline | beam.Create([video]) | reelbeam.LabelVideos("demo", top_k=1)
        labeled.videos | SpellNames() | beam.io.WriteToText(output, shard_name_template="")

if __name__ == "__main__":
    main(*sys.argv[1:])
    print(transforms.OWN, __file__)
"""
_NAMES = """
import apache_beam as beam

class SpellNames(beam.PTransform):
    def expand(self, rows):
        return rows | beam.Map(lambda row: row.top_label.upper())
"""


def test_both_run_and_neither_hides_the_other(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "transforms").mkdir(parents=True)
    (theirs / "pipeline.py").write_text(_PIPELINE, "utf-8")
    (theirs / "transforms" / "__init__.py").write_text("OWN = 'theirs'\n", "utf-8")
    (theirs / "transforms" / "names.py").write_text(_NAMES, "utf-8")
    command = [sys.executable, "pipeline.py", str(samples_dir / "growing.mp4"), str(tmp_path / "out.txt")]
    environment = os.environ | {"PYTHONPATH": f"{theirs}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=theirs, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["theirs", str(theirs / "pipeline.py")]
    assert (tmp_path / "out.txt").read_text("utf-8") == "GROWING\n"


def test_public_names_are_listed_and_importable_without_beam() -> None:
    program = (
        "import json, sys, reelbeam\n"
        "early = 'apache_beam' in sys.modules\n"
        "missing = [name for name in reelbeam.__all__ if not hasattr(reelbeam, name)]\n"
        "print(json.dumps([early, missing, dir(reelbeam) == sorted(reelbeam.__all__)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, [], True]
