"""An unbounded source of notifications, and a sink that shows how often each row came. Workers import this module."""

from __future__ import annotations

import collections
import json
import pathlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp
from streams import Seen


class Notify(beam.PTransform):
    """Outputs one URI after the other, the n-th with the timestamp n seconds.

    Args:
      uris: the elements.
      pause_seconds: the time between two of them.
      ends: whether the source ends after the last one; otherwise it waits for more, as a subscription does.
    """

    def __init__(self, uris: Sequence[str], pause_seconds: float, ends: bool = False) -> None:
        super().__init__()
        self._uris = list(uris)
        self._pause_seconds = pause_seconds
        self._ends = ends

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[str]:
        """Connects the steps."""
        lists = root | beam.Impulse() | beam.Map(lambda _, uris: uris, self._uris)
        return lists | beam.ParDo(_NotifyFn(self._pause_seconds, self._ends)).with_output_types(str)


_ENDLESS = 1 << 40


class _Positions(RestrictionProvider):
    def initial_restriction(self, element: Sequence[str]) -> OffsetRange:
        return OffsetRange(0, _ENDLESS)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: Sequence[str], restriction: OffsetRange) -> int:
        return int(restriction.size())


_TRACKER = beam.DoFn.RestrictionParam(_Positions())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class _NotifyFn(beam.DoFn):
    def __init__(self, pause_seconds: float, ends: bool) -> None:
        self._pause_seconds = pause_seconds
        self._ends = ends

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        uris: Sequence[str],
        tracker: Any = _TRACKER,
        watermark: Any = _WATERMARK,
    ) -> Iterator[TimestampedValue]:
        position = tracker.current_restriction().start
        if position >= len(uris) and self._ends:
            tracker.try_claim(_ENDLESS)  # nothing is left
            return
        if not tracker.try_claim(position):
            return
        if position < len(uris):
            yield TimestampedValue(uris[position], Timestamp(position))
        watermark.set_watermark(Timestamp(position))
        tracker.defer_remainder(Duration(seconds=self._pause_seconds))


class WriteSeen(beam.DoFn):
    """Writes each row to a file of its own, also when it comes again: a sink without transactions."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, seen: Seen) -> None:
        path = pathlib.Path(self._folder, secrets.token_hex(8))
        path.write_text(json.dumps(seen))
        path.rename(path.with_suffix(".json"))


def written(folder: pathlib.Path) -> collections.Counter[Seen]:
    """Returns the rows that were written, and how often each was."""
    found = (json.loads(path.read_text()) for path in folder.glob("*.json"))
    return collections.Counter(Seen(*fields)._replace(window=tuple(fields[3])) for fields in found)
