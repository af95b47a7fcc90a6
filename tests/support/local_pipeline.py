"""A pipeline on the runner that the product uses locally, with its counters afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms.metrics import NAMESPACE
from reelbeam.transforms.records import SkipRules, VideoRef
from reelbeam.transforms.selection.list_videos import ListVideos
from reelbeam.transforms.selection.select_videos import SelectVideos


class LocalPipeline(beam.Pipeline):
    """Runs at the end of the with block, on two worker threads; with further flags of Beam."""

    def __init__(self, *flags: str) -> None:
        super().__init__(options=runner_of(["--direct_num_workers=2", *flags]).options)


def counters(pipeline: beam.Pipeline) -> dict[str, int]:
    """Returns the counters of a finished pipeline, by name."""
    found = pipeline.result.metrics().query()["counters"]
    return {metric.key.metric.name: metric.committed for metric in found if metric.key.metric.namespace == NAMESPACE}


def list_videos(
    pipeline: beam.Pipeline, inputs: Sequence[str] = (), input_list: str | None = None, base_dir: str | None = None
) -> beam.PCollection[VideoRef]:
    """Returns the videos of inputs, each once, as a run over an empty output lists them."""
    listing = pipeline | ListVideos(inputs=inputs, input_list=input_list, base_dir=base_dir)
    select = SelectVideos(output="", key=None, decoder_version="", rules=SkipRules())
    return (listing.entries | select).videos
