"""What changed between two selections of rows, as numbers and examples: a part of a report."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.arrays import Mask, Numbers
from reelbeam.transforms.output.comparison.changes import MIN_DRIFT, ChangedVideo, Changes, Side
from reelbeam.transforms.output.comparison.differences import skipped_inputs
from reelbeam.transforms.output.comparison.drift import measure_drift
from reelbeam.transforms.output.comparison.samples import video_sample
from reelbeam.transforms.output.comparison.settings import setting_changes
from reelbeam.transforms.output.comparison.side_rows import Pairs, SideRows, differs, same_content
from reelbeam.transforms.output.report_content.chosen_rows import InputFacts, surest_clips
from reelbeam.transforms.output.report_content.shown_clips import ScoredLabel
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.output.row_keys import seeded_hashes
from reelbeam.transforms.schemas import Row


@dataclasses.dataclass(frozen=True)
class ChangeOptions:
    """The sizes of the comparison.

    Attributes:
      num_changed: the maximum number of relabeled videos.
      num_examples: the maximum numbers of new and of lost videos.
      seed: of the choice of examples.
      min_drift: the estimate of moved videos above which a significant change is drift.
    """

    num_changed: int = 24
    num_examples: int = 10
    seed: int = 0
    min_drift: float = MIN_DRIFT


def find_changes(
    before: ShownRows, after: ShownRows, options: ChangeOptions | None = None, on_file: OnFile = lambda path: None
) -> Changes:
    """Returns what changed. The result depends only on the rows and the options.

    Args:
      before, after: the rows of both sides: of runs, or the current rows of outputs.
      options: None: the defaults.
      on_file: called for each file that is read.

    Raises:
      StorageError: a file cannot be read.
    """
    options = options or ChangeOptions()
    first, second = SideRows.read(before, on_file), SideRows.read(after, on_file)
    pairs = Pairs.of(first, second)
    settings = setting_changes(first, second)
    is_relabeled = differs(first, second, pairs, "top_label")
    chosen = _surest(first, second, pairs, is_relabeled, options.num_changed)
    return Changes(
        before=_side(first),
        after=_side(second),
        settings=settings,
        drift=measure_drift(video_sample(first), video_sample(second), not settings, options.min_drift),
        both=len(pairs.before),
        new=len(pairs.only_after),
        lost=None if after.is_increment else len(pairs.only_before),
        relabeled=int(np.count_nonzero(is_relabeled)),
        new_examples=_examples(second, pairs.only_after, options),
        lost_examples=() if after.is_increment else _examples(first, pairs.only_before, options),
        changed=_changed_videos(first, second, pairs.before[chosen], pairs.after[chosen], on_file),
        same_content=int(np.count_nonzero(same_content(first, second, pairs))),
    )


def _side(side: SideRows) -> Side:
    documents = [run.labeled for run in side.shown.runs()]
    return Side(
        name=side.shown.name,
        output=side.shown.output.uri,
        models=tuple(dict.fromkeys(document.model for document in documents)),
        videos=len(side.rows),
        skipped=skipped_inputs(side.shown).total(),
    )


def _surest(before: SideRows, after: SideRows, pairs: Pairs, is_relabeled: Mask, most: int) -> Numbers:
    """Returns the places in `pairs` of the relabeled videos whose lower score, before or after, is the highest."""
    (places,) = np.nonzero(is_relabeled)
    scores = [
        pc.fill_null(side.rows["top_score"].take(pa.array(rows[places])), 0).to_numpy()
        for side, rows in ((before, pairs.before), (after, pairs.after))
    ]
    order = np.lexsort((after.keys[pairs.after[places]], -np.maximum(*scores), -np.minimum(*scores)))
    return places[order[:most]]


def _examples(side: SideRows, places: Numbers, options: ChangeOptions) -> tuple[str, ...]:
    """Returns some inputs by name, chosen by a hash."""
    hashes = seeded_hashes(side.keys[places].view(np.uint64), options.seed)
    chosen = places[np.argsort(hashes, kind="stable")[: options.num_examples]]
    return tuple(sorted(side.names(chosen)))


def _changed_videos(
    before: SideRows, after: SideRows, places_before: Numbers, places_after: Numbers, on_file: OnFile
) -> tuple[ChangedVideo, ...]:
    if not len(places_before):
        return ()
    numbers, other_numbers = before.numbers[places_before], after.numbers[places_after]
    labels, other_labels = _labels(before.shown, numbers, on_file), _labels(after.shown, other_numbers, on_file)
    rows = after.rows.select(InputFacts._fields).take(pa.array(places_after)).to_pylist()
    videos = {number: InputFacts(**row) for number, row in zip(other_numbers.tolist(), rows, strict=True)}
    clips = surest_clips(after.shown, videos, on_file)
    names = after.names(places_after)
    found = zip(names, numbers.tolist(), other_numbers.tolist(), strict=True)
    return tuple(
        ChangedVideo(name, labels[number], other_labels[other], clips.get(other)) for name, number, other in found
    )


def _labels(shown: ShownRows, numbers: Numbers, on_file: OnFile) -> dict[int, tuple[ScoredLabel, ...]]:
    """Returns the labels of some videos, by number."""
    found: dict[int, tuple[ScoredLabel, ...]] = {}
    for batch, videos in shown.numbered("videos", ["labels"], on_file):
        is_chosen = np.isin(videos, numbers)
        for number, row in zip(videos[is_chosen].tolist(), batch.filter(pa.array(is_chosen)).to_pylist(), strict=True):
            found[number] = _scored(row)
    return found


def _scored(row: Row) -> tuple[ScoredLabel, ...]:
    return tuple(ScoredLabel(each["label"], each["score"]) for each in row["labels"])
