"""SkipLabeled: the listed videos and the ledger -> the videos to label, and what became of all, by reason."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms import metrics
from reelbeam.transforms.output.ledger import (
    BEYOND_LIMIT,
    LedgerRow,
    Selection,
    decide,
    ledger_runs,
    prefilter,
    read_rows,
    uri_key,
)
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.records import SkipRules, VideoRef, stable_hash
from reelbeam.transforms.selection.packing import (
    Pack,
    PackVideos,
    bucket_of,
    unpack,
    unpack_videos,
    video_of,
    video_row,
)
from reelbeam.transforms.selection.row_options import RowOptions

_OUTCOME, _VIDEO, _OTHER_RUN, _FILE = "outcome", "video", "other_run", "file"


class SkipLabeled(beam.PTransform):
    """Leaves out what is labeled already, and what a run is told to leave out.

    Input: VideoRef. Output: `Selection`. The rules are in `reelbeam.transforms.output.ledger`.

    Memory does not grow with the ledger, on any runner. The keys of the listed videos, 8 bytes each, go to all who read
    the ledger; they read a file row group by row group and pass on the few rows whose key is listed. Only those are
    joined with the listing, by URI, where the exact comparison is made: bucket by bucket, see
    `reelbeam.transforms.selection.packing`. A runner that holds what it shuffles in memory, as the local one does,
    holds the listing and the rows of its videos, one for each time that a video was selected, packed.

    Args:
      output: where the ledger is.
      key: the labeling key of the run.
      decoder_version: of this run.
      rules: what the run asks for.
      options: what it asks of rows; None: nothing that could be missing.
    """

    def __init__(
        self, output: str, key: LabelingKey, decoder_version: str, rules: SkipRules, options: RowOptions | None = None
    ) -> None:
        super().__init__()
        self._output = output
        self._key = key
        self._decoder_version = decoder_version
        self._rules = rules
        self._options = options

    def expand(self, videos: beam.PCollection[VideoRef]) -> Selection:
        """Wires the step."""
        asked = videos | "Prefilter" >> beam.FlatMap(_prefilter, self._rules).with_outputs(_OUTCOME, main=_VIDEO)
        rows, other_runs = self._read_ledger(asked[_VIDEO])
        decided = (
            {"videos": asked[_VIDEO] | "PackListed" >> PackVideos(), "rows": rows}
            | "JoinLedger" >> beam.CoGroupByKey()
            | "Decide"
            >> beam.FlatMap(_decide, self._rules, self._decoder_version, beam.pvalue.AsList(other_runs)).with_outputs(
                _OUTCOME, main=_VIDEO
            )
        )
        outcomes = [asked[_OUTCOME], decided[_OUTCOME]]
        selected = decided[_VIDEO]
        if self._rules.limit is not None:
            within = self._cut(selected, self._rules.limit)
            selected = within[_VIDEO]
            outcomes.append(within[_OUTCOME])
        outcomes.append(selected | "ReasonOfSelected" >> beam.Map(lambda entry: entry[0]).with_output_types(str))
        return Selection(
            selected | "Selected" >> beam.Map(lambda entry: entry[1]).with_output_types(VideoRef),
            videos | "CountInputs" >> beam.combiners.Count.Globally(),
            _count(outcomes),
        )

    def _read_ledger(
        self, videos: beam.PCollection[VideoRef]
    ) -> tuple[beam.PCollection[tuple[int, bytes]], beam.PCollection[str]]:
        """Returns the rows of the listed videos, packed, and the runs whose rows are not what is asked of rows."""
        keys = (
            videos
            | "ToKey" >> beam.Map(lambda video: uri_key(video.key)).with_output_types(int)
            | "PackKeys" >> beam.CombineGlobally(_PackSorted()).without_defaults()
        )
        outputs = [] if self._rules.force else [self._output]
        ledger = (
            videos.pipeline
            | "Ledger" >> beam.Create(outputs, reshuffle=False)
            | "LedgerFiles"
            >> beam.FlatMap(_read_runs, self._key, self._options)
            .with_output_types(str)
            .with_outputs(_OTHER_RUN, main=_FILE)
        )
        rows = (
            ledger[_FILE]
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadLedger" >> beam.FlatMap(_read_rows, self._key, beam.pvalue.AsSingleton(keys, b""))
            | "PackRows" >> Pack()
        )
        return rows, ledger[_OTHER_RUN]

    def _cut(self, selected: beam.PCollection[tuple[str, VideoRef]], limit: int) -> Mapping[str, beam.PCollection]:
        highest = (
            selected
            | "ToOrder" >> beam.Map(lambda entry: _order(entry[1])).with_output_types(int)
            | "NthOrder" >> beam.CombineGlobally(_NthSmallest(limit))
        )
        return (
            selected
            | "SelectedToRow" >> beam.MapTuple(lambda reason, video: (bucket_of(video.key), (reason, video_row(video))))
            | "PackSelected" >> Pack()  # a runner keeps them until all have been seen
            | "Cut" >> beam.FlatMap(_cut, beam.pvalue.AsSingleton(highest)).with_outputs(_OUTCOME, main=_VIDEO)
        )


def _count(collections: Iterable[beam.PCollection[str]]) -> beam.PCollection[tuple[str, int]]:
    # Counted one by one: a runner keeps what it flattens.
    counts = [each | f"CountOutcomes{i}" >> beam.combiners.Count.PerElement() for i, each in enumerate(collections)]
    return counts | "Outcomes" >> beam.Flatten() | "SumOutcomes" >> beam.CombinePerKey(sum)


def _prefilter(video: VideoRef, rules: SkipRules) -> Iterator[VideoRef | TaggedOutput]:
    reason = prefilter(video, rules)
    yield video if reason is None else _skip(reason)


def _skip(reason: str) -> TaggedOutput:
    metrics.count(metrics.VIDEOS_SKIPPED)
    return TaggedOutput(_OUTCOME, reason)


def _read_runs(output: str, key: LabelingKey, options: RowOptions | None) -> Iterator[str | TaggedOutput]:
    for run in ledger_runs(output, key):
        yield from run.files("videos")
        if options is not None and options.would_change(run.summary):
            yield TaggedOutput(_OTHER_RUN, run.run_id)


def _read_rows(path: str, key: LabelingKey, uri_keys: bytes) -> Iterator[tuple[int, LedgerRow]]:
    for row in read_rows(path, np.frombuffer(uri_keys, np.int64), key):
        yield bucket_of(row.key), row


def _decide(
    entry: tuple[int, dict[str, Iterable[bytes]]], rules: SkipRules, decoder_version: str, other_runs: Sequence[str]
) -> Iterator[tuple[str, VideoRef] | TaggedOutput]:
    """Joins the videos of a bucket with their rows; signed URLs that differ in nothing but their query share them."""
    _, found = entry
    rows: dict[str, list[LedgerRow]] = {}
    for row in map(LedgerRow._make, unpack(found["rows"])):
        rows.setdefault(row.key, []).append(row)
    others = frozenset(other_runs)
    for video in unpack_videos(found["videos"]):
        decision = decide(video, rows.get(video.key, ()), rules, decoder_version, others)
        if decision.selected:
            yield decision.reason, dataclasses.replace(video, attempt=decision.attempt)
        else:
            yield _skip(decision.reason)


def _order(video: VideoRef) -> int:
    return stable_hash(video.key, "limit")


def _cut(entry: tuple[int, bytes], highest: int) -> Iterator[tuple[str, VideoRef] | TaggedOutput]:
    for reason, row in unpack(entry[1:]):
        video = video_of(row)
        yield (reason, video) if _order(video) <= highest else _skip(BEYOND_LIMIT)


class _PackSorted(beam.CombineFn):
    """Numbers -> the distinct ones as int64 [N], ascending, as bytes."""

    def create_accumulator(self) -> array.array[int]:
        return array.array("q")

    def add_input(self, accumulator: array.array[int], number: int) -> array.array[int]:
        accumulator.append(number)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[array.array[int]]) -> array.array[int]:
        merged = array.array("q")
        for accumulator in accumulators:
            merged.extend(accumulator)
        return merged

    def extract_output(self, accumulator: array.array[int]) -> bytes:
        return np.unique(np.frombuffer(accumulator, np.int64)).tobytes()


class _NthSmallest(beam.CombineFn):
    """Numbers -> the `count`-th smallest; the highest that there can be where there are fewer."""

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
        kept = self._shortened(accumulator)
        return max(kept) if len(kept) == self._count else int(np.iinfo(np.int64).max)

    def _shortened(self, accumulator: array.array[int]) -> array.array[int]:
        if len(accumulator) <= self._count:
            return accumulator
        numbers = np.partition(np.frombuffer(accumulator, np.int64), self._count - 1)[: self._count]
        return array.array("q", numbers.tobytes())
