"""Beam's local runner, as we set it up."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[3]

# Eight elements that take longer to encode than Beam's workers like to wait before they send what they have.
_PROGRAM = """
import resource, time
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
import apache_beam as beam
from reelbeam.pipeline.runners.registry import runner_of

class Slow:
    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        time.sleep(0.3)
        return Slow, (self.number,)

def check(found):
    assert sorted(found) == [("before", number, "behind") for number in range(8)], found

def main():
    with beam.Pipeline(options=runner_of(["--direct_num_workers=2"]).options) as pipeline:
        (
            pipeline
            | beam.Create([8])
            | "Make" >> beam.FlatMap(lambda count: [("before", Slow(n), "behind") for n in range(count)])
            | beam.Reshuffle()
            | "Numbers" >> beam.Map(lambda element: (element[0], element[1].number, element[2]))
            | beam.combiners.ToList()
            | "Check" >> beam.Map(check)
        )

main()
"""


@pytest.mark.slow
def test_elements_that_are_slow_to_encode_arrive_whole() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
