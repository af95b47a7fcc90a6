"""Unbounded input for tests: rows with the window and the timestamp in which they come out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindow
from prism import PrismPipeline

import reelbeam


class Seen(NamedTuple):
    """A row.

    Attributes:
      table: videos, clips or errors.
      name: the name of the video's file.
      what: the label of a video or a clip, or the code of an error.
      window: its start and end in seconds; empty for the global window.
      timestamp: in seconds.
      clip_index: of a clip; None in other tables.
    """

    table: str
    name: str
    what: str
    window: tuple[float, ...]
    timestamp: float
    clip_index: int | None = None


class SeeRows(beam.PTransform):
    """LabeledVideos -> Seen of all rows, in the windows of the rows."""

    def expand(self, labeled: reelbeam.LabeledVideos) -> beam.PCollection[Seen]:
        """Connects the steps."""
        tables = [rows | f"See_{name}" >> beam.ParDo(_See(name)) for name, rows in labeled._asdict().items()]
        return tables | beam.Flatten()


class _See(beam.DoFn):
    def __init__(self, table: str) -> None:
        self._table = table

    def process(
        self,
        row: reelbeam.VideoRow | reelbeam.ClipRow | reelbeam.ErrorRow,
        timestamp: object = beam.DoFn.TimestampParam,
        window: object = beam.DoFn.WindowParam,
    ) -> Iterator[Seen]:
        fields = row._asdict()
        what = fields.get("code") or fields.get("error_code") or fields["top_label"]
        bounds = () if isinstance(window, GlobalWindow) else (float(window.start), float(window.end))  # type: ignore[attr-defined]
        index = row.clip_index if isinstance(row, reelbeam.ClipRow) else None
        yield Seen(self._table, os.path.basename(row.video_uri), what, bounds, float(timestamp), index)  # type: ignore[arg-type]


def streaming_pipeline(prism: str | None) -> beam.Pipeline:
    """Returns a pipeline for unbounded input: on Prism, or in this thread if None."""
    if prism:
        return PrismPipeline(prism, "--streaming")
    return beam.Pipeline(runner="BundleBasedDirectRunner", options=PipelineOptions(["--streaming"]))
