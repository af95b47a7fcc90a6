"""Limit: the videos that `--limit` lets through, those with the smallest hash."""

from __future__ import annotations

import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms import metrics
from reelbeam.transforms.output.ledger import BEYOND_LIMIT
from reelbeam.transforms.records import VideoRef, stable_hash
from reelbeam.transforms.selection.packing import Pack, bucket_of, unpack, video_of, video_row

_SELECTED, _OUTCOME = "selected", "outcome"


class Limited(NamedTuple):
    """The output of Limit.

    Attributes:
      selected: (reason, VideoRef) of the videos within the limit.
      outcomes: one reason for each of the others.
    """

    selected: beam.PCollection[tuple[str, VideoRef]]
    outcomes: beam.PCollection[str]


class Limit(beam.PTransform):
    """Takes the first videos in the order of `limit_order`. Input: (reason, VideoRef). Output: Limited.

    Counter: videos_skipped.

    Args:
      most: how many videos are taken.
    """

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self._most = most

    def expand(self, selected: beam.PCollection[tuple[str, VideoRef]]) -> Limited:
        """Connects the step."""
        highest = (
            selected
            | "ToOrder" >> beam.Map(lambda entry: limit_order(entry[1])).with_output_types(int)
            | "NthOrder" >> beam.CombineGlobally(_NthSmallest(self._most))
        )
        found = (
            selected
            | "SelectedToRow" >> beam.MapTuple(lambda reason, video: (bucket_of(video.key), (reason, video_row(video))))
            | "PackSelected" >> Pack()  # a runner holds them until all are ordered
            | "Cut" >> beam.FlatMap(_cut, beam.pvalue.AsSingleton(highest)).with_outputs(_OUTCOME, main=_SELECTED)
        )
        return Limited(found[_SELECTED], found[_OUTCOME])


def limit_order(video: VideoRef) -> int:
    """Returns the hash by which `--limit` orders videos. It does not depend on a video's content."""
    return stable_hash(video.key, "limit")


def _cut(entry: tuple[int, bytes], highest: int) -> Iterator[tuple[str, VideoRef] | TaggedOutput]:
    for reason, row in unpack(entry[1:]):
        video = video_of(row)
        if limit_order(video) <= highest:
            yield reason, video
        else:
            metrics.count(metrics.VIDEOS_SKIPPED)
            yield TaggedOutput(_OUTCOME, BEYOND_LIMIT)


class _NthSmallest(beam.CombineFn):
    """Numbers -> the `count`-th smallest; the highest int64 if there are fewer."""

    def __init__(self, count: int) -> None:
        self._count = count

    def create_accumulator(self) -> array.array[int]:
        return array.array("q")

    def add_input(self, accumulator: array.array[int], number: int) -> array.array[int]:
        accumulator.append(number)
        return self._shortened(accumulator) if len(accumulator) >= 2 * self._count + 1000 else accumulator

    def merge_accumulators(self, accumulators: Iterable[array.array[int]]) -> array.array[int]:
        merged = array.array("q")
        for accumulator in accumulators:
            merged.extend(accumulator)
            merged = self._shortened(merged)
        return merged

    def extract_output(self, accumulator: array.array[int]) -> int:
        smallest = self._shortened(accumulator)
        return max(smallest) if len(smallest) == self._count else int(np.iinfo(np.int64).max)

    def _shortened(self, accumulator: array.array[int]) -> array.array[int]:
        if len(accumulator) <= self._count:
            return accumulator
        numbers = np.partition(np.frombuffer(accumulator, np.int64), self._count - 1)[: self._count]
        return array.array("q", numbers.tobytes())
