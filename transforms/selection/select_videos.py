"""SelectVideos: entries of videos and the ledger -> the videos to label, and what happens to each video, by reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.output.ledger import Decision, LedgerRow, decide, prefilter, uri_key
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.records import SkipRules, VideoRef
from reelbeam.transforms.selection.duplicates import InputEntry, distinct
from reelbeam.transforms.selection.limit import Limit
from reelbeam.transforms.selection.packing import Pack, PackedRow, bucket_of, unpack, video_of, video_row
from reelbeam.transforms.selection.read_ledger import ReadLedger
from reelbeam.transforms.selection.row_options import RowOptions

_OUTCOME, _SELECTED, _NUM_VIDEOS = "outcome", "selected", "num_videos"


class Selection(NamedTuple):
    """What happens to the listed videos: the input of the steps that label.

    Attributes:
      videos: those to label, with the number of the attempt.
      num_inputs: one number: how many videos were listed.
      outcomes: (reason, count), for selected and for skipped videos.
    """

    videos: beam.PCollection[VideoRef]
    num_inputs: beam.PCollection[int]
    outcomes: beam.PCollection[tuple[str, int]]


class SelectVideos(beam.PTransform):
    """Removes duplicates and skips the videos that are labeled already, or that the rules exclude.

    Input: InputEntry. Output: Selection. The rules are in `reelbeam.transforms.selection.duplicates` and
    `reelbeam.transforms.output.ledger`.

    One shuffle does both: it brings together, packed and by bucket (`reelbeam.transforms.selection.packing`), all
    entries of a file and the ledger's rows of their names. A runner that holds in memory what it shuffles, such as the
    local one, holds the entries and the rows of their videos, packed.

    Counters: videos_listed, duplicates_dropped, videos_skipped.

    Args:
      output: the folder of the ledger.
      key: the labeling key of the run; None if the output is known to have no rows.
      decoder_version: of this run.
      rules: which videos the run selects.
      options: the columns and labels of this run's rows; None accepts the rows of every run.
    """

    def __init__(
        self,
        *,
        output: str,
        key: LabelingKey | None,
        decoder_version: str,
        rules: SkipRules,
        options: RowOptions | None = None,
    ) -> None:
        super().__init__()
        self._rules = rules
        self._decoder_version = decoder_version
        self._ledger = ReadLedger(output=output, key=None if rules.force else key, options=options)

    def expand(self, entries: beam.PCollection[InputEntry]) -> Selection:
        """Connects the step."""
        keys = entries | "ToKey" >> beam.FlatMap(_to_key, self._rules).with_output_types(tuple[int, int])
        ledger = keys | self._ledger
        other_runs = beam.pvalue.AsList(ledger.other_runs)
        found = (
            {"entries": entries | "ToRow" >> beam.Map(_to_row) | "PackEntries" >> Pack(), "rows": ledger.rows}
            | "JoinLedger" >> beam.CoGroupByKey()
            | "Select"
            >> beam.FlatMap(_select_bucket, self._rules, self._decoder_version, other_runs).with_outputs(
                _OUTCOME, _NUM_VIDEOS, main=_SELECTED
            )
        )
        selected, outcomes = found[_SELECTED], [found[_OUTCOME]]
        if self._rules.limit is not None:
            limited = selected | Limit(most=self._rules.limit)
            selected = limited.selected
            outcomes.append(limited.outcomes)
        outcomes.append(selected | "ReasonOfSelected" >> beam.Map(lambda entry: entry[0]).with_output_types(str))
        return Selection(
            selected | "Selected" >> beam.Map(lambda entry: entry[1]).with_output_types(VideoRef),
            found[_NUM_VIDEOS] | "CountInputs" >> beam.CombineGlobally(sum),
            _count(outcomes),
        )


def _count(outcomes: Iterable[beam.PCollection[str]]) -> beam.PCollection[tuple[str, int]]:
    # Counted one by one, because a runner materializes what it flattens.
    counts = [each | f"CountOutcomes{i}" >> beam.combiners.Count.PerElement() for i, each in enumerate(outcomes)]
    return counts | "Outcomes" >> beam.Flatten() | "SumOutcomes" >> beam.CombinePerKey(sum)


def _to_key(entry: InputEntry, rules: SkipRules) -> Iterator[tuple[int, int]]:
    # The video that `distinct` returns is that of some entry, so its rows are read.
    if prefilter(entry.video, rules) is None:
        yield uri_key(entry.video.key), bucket_of(entry.file)


def _to_row(entry: InputEntry) -> tuple[int, PackedRow]:
    return bucket_of(entry.file), (entry.link_target, entry.from_list, *video_row(entry.video))


def _entry_of(row: Sequence[object]) -> InputEntry:
    link_target, from_list, *video = row
    return InputEntry(str(link_target), bool(from_list), video_of(video))


def _select_bucket(
    bucket: tuple[int, dict[str, Iterable[bytes]]], rules: SkipRules, decoder_version: str, other_runs: Sequence[str]
) -> Iterator[tuple[str, VideoRef] | TaggedOutput]:
    """Yields the selected videos of a bucket, the reasons of the skipped ones, and how many videos it has."""
    _, found = bucket
    rows: dict[str, list[LedgerRow]] = {}
    for row in map(LedgerRow._make, unpack(found["rows"])):
        rows.setdefault(row.key, []).append(row)
    entries = list(map(_entry_of, unpack(found["entries"])))
    videos = list(distinct(entries))
    metrics.count(metrics.VIDEOS_LISTED, len(videos))
    metrics.count(metrics.DUPLICATES_DROPPED, len(entries) - len(videos))
    yield TaggedOutput(_NUM_VIDEOS, len(videos))
    others = frozenset(other_runs)
    for video in map(storage.with_known_size, videos):
        skipped = prefilter(video, rules)
        decision = (
            Decision(skipped) if skipped else decide(video, rows.get(video.key, ()), rules, decoder_version, others)
        )
        if decision.selected:
            yield decision.reason, dataclasses.replace(video, attempt=decision.attempt)
        else:
            metrics.count(metrics.VIDEOS_SKIPPED)
            yield TaggedOutput(_OUTCOME, decision.reason)
