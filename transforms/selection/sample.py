"""WriteSample: the counts of a selection, and a sample of its videos, in one file."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import apache_beam as beam

from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.selection.limit import limit_order
from reelbeam.transforms.selection.packing import encode, video_of, video_row
from reelbeam.transforms.selection.select_videos import Selection


class SampledSelection(NamedTuple):
    """What a run would select.

    Attributes:
      outcomes: number of videos by reason, see `reelbeam.transforms.output.ledger`.
      ignored: number of files and folders that the listing ignored, by kind.
      sample: some of the selected videos: the first in the order of `limit_order`, which does not depend on their
        content and is the same in each call.
    """

    outcomes: dict[str, int]
    ignored: dict[str, int]
    sample: list[VideoRef]


class WriteSample(beam.PTransform):
    """Writes counts and a sample, for `read_sample`.

    Input: (Selection, PCollection of the (kind, count) that were ignored). Output: nothing.

    Args:
      size: of the sample, at most.
      path: of the file, on local disk. URIs are in it as they were given, with the query of a signed one.
    """

    def __init__(self, *, size: int, path: str) -> None:
        super().__init__()
        self._size = size
        self._path = path

    def expand(self, given: tuple[Selection, beam.PCollection[tuple[str, int]]]) -> None:
        """Connects the step."""
        selection, ignored = given
        _ = (
            selection.videos
            | "Sample" >> beam.combiners.Top.Smallest(self._size, key=limit_order)
            | "WriteSample"
            >> beam.Map(_write, self._path, beam.pvalue.AsDict(selection.outcomes), beam.pvalue.AsDict(ignored))
        )


def _write(videos: Sequence[VideoRef], path: str, outcomes: Mapping[str, int], ignored: Mapping[str, int]) -> None:
    text = encode([dict(outcomes), dict(ignored), list(map(video_row, videos))])
    pathlib.Path(path).write_text(text, encoding="ascii")


def read_sample(path: str) -> SampledSelection:
    """Returns what `WriteSample` wrote."""
    outcomes, ignored, rows = json.loads(pathlib.Path(path).read_text(encoding="ascii"))
    return SampledSelection(outcomes, ignored, list(map(video_of, rows)))
