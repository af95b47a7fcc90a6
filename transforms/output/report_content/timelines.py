"""The labels of videos over time: which videos have a timeline, and the lanes of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.output.arrays import Mask, Places
from reelbeam.transforms.output.report_content.chosen_rows import ChosenRows, InputFacts, RankedLabels
from reelbeam.transforms.output.report_content.clip_choice import ContentOptions
from reelbeam.transforms.output.report_content.clip_table import NO_LABEL, ClipTable
from reelbeam.transforms.output.report_content.label_runs import LabelRun, Timeline, TimeSpan
from reelbeam.transforms.output.report_content.video_facts import VideoOrder
from reelbeam.transforms.output.row_keys import seeded_hashes

MAX_RUNS = 400
"""The most runs of a lane, and the most gaps of a timeline. The longest ones are kept."""

_ROUNDING_MS = 1
"""The ends of clips are rounded to a millisecond, so that a gap of one may be none."""


class _Runs(NamedTuple):
    """The runs of a lane: for each run, its first clip, the number of its clips, and its place in the video."""

    first: Places
    counts: Places
    start_ms: Places
    end_ms: Places

    def longest(self, most: int, wanted: Mask | None = None) -> Places:
        """Returns the numbers of the longest (wanted) runs, ascending."""
        lengths = self.end_ms - self.start_ms
        order = np.argsort(-lengths, kind="stable")
        return np.sort((order if wanted is None else order[wanted[order]])[:most])


@dataclasses.dataclass(frozen=True)
class TimelinePlan:
    """A video that gets a timeline.

    Attributes:
      input: the rank of the input.
      first, end: its clips are those at the places from `first` to `end` - 1 of the table.
      num_changes: how often its top label changes.
      clips: the places of the clips that are shown, by time.
    """

    input: int
    first: int
    end: int
    num_changes: int
    clips: Places


class TimelinePlans(NamedTuple):
    """The videos with a timeline, and the number of those with changes that have none."""

    plans: tuple[TimelinePlan, ...]
    num_left_out: int

    def clips(self) -> Places:
        """Returns the places of the clips of all timelines."""
        return np.concatenate([np.empty(0, np.int64), *(plan.clips for plan in self.plans)])


def plan_timelines(
    clips: ClipTable, order: VideoOrder, requested: Sequence[int], options: ContentOptions
) -> TimelinePlans:
    """Chooses videos and their clips: requested videos first, then those with the most changes of the top label.

    Args:
      clips: the clips.
      order: the order of the inputs.
      requested: the ranks of the requested inputs.
      options: the number of timelines, the number of clips, and the seed that orders videos with as many changes.
    """
    changes = np.zeros(len(order.hashes), np.int64)
    is_change = (clips.inputs[1:] == clips.inputs[:-1]) & (clips.labels[1:] != clips.labels[:-1])
    np.add.at(changes, clips.inputs[1:][is_change], 1)
    most_first = np.lexsort((seeded_hashes(order.hashes, options.seed), -changes))
    lively = [rank for rank in most_first[: options.max_timelines + len(requested)].tolist() if changes[rank]]
    others = [rank for rank in lively if rank not in set(requested)]
    chosen = [*requested, *others[: max(0, options.max_timelines - len(requested))]]
    most = min(options.clips_per_timeline, options.share("timelines") // max(1, len(chosen)))
    plans = []
    for rank in chosen:
        first, end = np.searchsorted(clips.inputs, [rank, rank + 1]).tolist()
        plans.append(TimelinePlan(rank, first, end, int(changes[rank]), _clips_of_runs(clips, first, end, most)))
    shown = sum(1 for rank in chosen if changes[rank])
    return TimelinePlans(tuple(plans), int(np.count_nonzero(changes)) - shown)


def _clips_of_runs(clips: ClipTable, first: int, end: int, most: int) -> Places:
    """Returns the surest clip of each of the longest runs of the top label."""
    labels = clips.labels[first:end]
    runs = _runs(labels, clips.from_ms[first:end], clips.until_ms[first:end])
    kept = runs.longest(most, labels[runs.first] != NO_LABEL)
    scores = np.nan_to_num(clips.scores[first:end], nan=-1.0)
    spans = zip(runs.first[kept].tolist(), runs.counts[kept].tolist(), strict=True)
    return np.array([first + start + int(np.argmax(scores[start : start + n])) for start, n in spans], np.int64)


def timeline(plan: TimelinePlan, clips: ClipTable, rows: ChosenRows) -> Timeline:
    """Returns the timeline of a video.

    Args:
      plan: the video.
      clips: the clips.
      rows: the rows of the video and of its clips.
    """
    facts = rows.inputs[plan.input]
    starts, until = clips.from_ms[plan.first : plan.end], clips.until_ms[plan.first : plan.end]
    start_ms, end_ms = _bounds(facts, starts, until)
    shown = {place: number for number, place in enumerate((plan.clips - plan.first).tolist())}
    lanes = []
    num_left_out = 0
    for lane, labels in enumerate(rows.ranked_labels(plan.input)):
        runs = _runs(labels.codes, starts, until)
        kept = runs.longest(MAX_RUNS)
        lanes.append(tuple(_label_run(runs, number, labels, {} if lane else shown) for number in kept.tolist()))
        num_left_out += 0 if lane else len(runs.first) - len(kept)
    return Timeline(
        video_uri=facts.video_uri,
        start_ms=start_ms,
        end_ms=end_ms,
        lanes=tuple(lanes),
        gaps=_gaps(starts, until, start_ms, end_ms),
        num_changes=plan.num_changes,
        num_runs_left_out=num_left_out,
        clips=tuple(rows.clip(clips, place) for place in plan.clips.tolist()),
        failure=None if len(starts) else rows.failures.get(plan.input),
    )


def _runs(labels: npt.NDArray[np.int32], starts: Places, until: Places) -> _Runs:
    """Merges neighbours with the same label that touch each other."""
    if not len(labels):
        return _Runs(*(np.empty(0, np.int64) for _ in _Runs._fields))
    is_first = np.ones(len(labels), bool)
    is_first[1:] = (labels[1:] != labels[:-1]) | (starts[1:] - until[:-1] > _ROUNDING_MS)
    (first,) = np.nonzero(is_first)
    ends = np.append(first[1:], len(labels))
    return _Runs(first, ends - first, starts[first], until[ends - 1])


def _label_run(runs: _Runs, number: int, labels: RankedLabels, shown: Mapping[int, int]) -> LabelRun:
    """Returns a run. `shown` has the places of clips of the timeline, by the number of the clip in the video."""
    first, count = int(runs.first[number]), int(runs.counts[number])
    code = int(labels.codes[first])
    scores = labels.scores[first : first + count]
    scores = scores[np.isfinite(scores)]
    return LabelRun(
        start_ms=int(runs.start_ms[number]),
        end_ms=int(runs.end_ms[number]),
        label="" if code == NO_LABEL else labels.names[code],
        score=float(np.mean(scores, dtype=np.float64)) if len(scores) else 0.0,
        num_clips=count,
        clip=next((shown[place] for place in shown if first <= place < first + count), None),
    )


def _bounds(facts: InputFacts, starts: Places, until: Places) -> tuple[int, int]:
    """Returns the labeled part of a video: its range, extended to its clips."""
    start = facts.range_start_ms or 0
    end = start if facts.duration_ms is None else start + facts.duration_ms
    if not len(starts):
        return start, end
    return min(start, int(starts[0])), max(end, int(until[-1]))


def _gaps(starts: Places, until: Places, start_ms: int, end_ms: int) -> tuple[TimeSpan, ...]:
    """Returns the parts of a video without clips."""
    begins, ends = np.append(start_ms, until), np.append(starts, end_ms)
    lengths = ends - begins
    longest = np.argsort(-lengths, kind="stable")[:MAX_RUNS]
    kept = np.sort(longest[lengths[longest] > _ROUNDING_MS]).tolist()
    return tuple(TimeSpan(int(begins[place]), int(ends[place])) for place in kept)
