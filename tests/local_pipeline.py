"""A pipeline on the runner that the product uses locally, with its counters afterwards."""

from __future__ import annotations

import apache_beam as beam

from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms.metrics import NAMESPACE


class LocalPipeline(beam.Pipeline):
    """Runs at the end of the with block, on two worker threads."""

    def __init__(self) -> None:
        super().__init__(options=runner_of(["--direct_num_workers=2"]).options)


def counters(pipeline: beam.Pipeline) -> dict[str, int]:
    """Returns the counters of a finished pipeline, by name."""
    found = pipeline.result.metrics().query()["counters"]
    return {metric.key.metric.name: metric.committed for metric in found if metric.key.metric.namespace == NAMESPACE}
