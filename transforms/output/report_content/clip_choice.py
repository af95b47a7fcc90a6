"""The choice of the clips on the contact sheets, as places in the table of clips.

Clips are in a total order: score, then URI, range and start. So the choice does not depend on the order of files and
rows. The undecided and the unfamiliar clips are clips that no other sheet shows, as long as there are enough. The
sample may show a clip again, because it is unbiased.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.output.arrays import Places
from reelbeam.transforms.output.report_content.clip_table import NO_LABEL, ClipTable
from reelbeam.transforms.output.report_content.shares import Share
from reelbeam.transforms.output.report_content.video_facts import VideoOrder
from reelbeam.transforms.output.row_keys import seeded_hashes

_MAX_PER_LABEL = 3
_PERCENT = {"labels": 40, "timelines": 24, "sample": 12, "least_certain": 12, "undecided": 6, "unfamiliar": 6}
_GROUPS = 3

MAX_MARGIN = 0.2
"""The greatest difference of the two top scores of an undecided clip."""

MIN_RANK_DIFFERENCE = 0.2
"""How much higher an unfamiliar clip ranks by its log-sum-exp than by its score, as a share of all clips."""

_Values = npt.NDArray[np.generic]


@dataclasses.dataclass(frozen=True)
class ContentOptions:
    """What a report shows.

    The sheets share `max_clips` in fixed percentages, rounded down: label sheets 40 %, timelines 24 %, the sample 12 %,
    the least certain clips 12 %, undecided ones 6 %, unfamiliar ones 6 %. The sample gets what the others do not use,
    so that the report shows `max_clips` different clips if there are as many.

    The share of the label sheets is given out in rounds, to the most frequent label first. In each round a label gets
    one more clip for each of its three groups, at most `clips_per_group` and at most the square root of its videos.

    Attributes:
      seed: of the sample, of the examples of failures, and of the order of timelines with the same number of changes.
      max_clips: the most clips that all sheets and timelines show together; a clip that is on several counts once.
      num_labels: the number of labels with a sheet, and of labels that are not summed up as others.
      clips_per_group: the most clips of a label that are its surest, its median or its least sure ones.
      max_timelines: the number of timelines, unless more are requested.
      clips_per_timeline: the most clips beside a timeline.
      videos: URIs of videos that get a timeline in any case; one for each range, up to 20.
    """

    seed: int = 0
    max_clips: int = 200
    num_labels: int = 24
    clips_per_group: int = 2
    max_timelines: int = 6
    clips_per_timeline: int = 8
    videos: tuple[str, ...] = ()

    def share(self, part: str) -> int:
        """Returns how many clips a part of the report may show."""
        return self.max_clips * _PERCENT[part] // 100


class LabelChoice(NamedTuple):
    """The clips of a label sheet."""

    label: str
    videos: int
    clips: int
    surest: Places
    median: Places
    least: Places


class Choice(NamedTuple):
    """The clips of all sheets, see `shown_clips.Sheets`."""

    labels: tuple[LabelChoice, ...]
    least_certain: Places
    undecided: Places
    unfamiliar: Places
    sample: Places


def choose(
    clips: ClipTable, order: VideoOrder, labels: list[Share], of_timelines: Places, options: ContentOptions
) -> Choice:
    """Chooses clips.

    Args:
      clips: the clips.
      order: the order of the inputs.
      labels: the shares of all labels, the most frequent first.
      of_timelines: the clips that timelines show.
      options: the sizes of the sheets and the seed.
    """
    sheets = _label_sheets(clips, labels, options)
    least_certain = _least_certain(clips, options.share("least_certain"))
    shown = np.zeros(len(clips), bool)
    for places in (least_certain, *(places for sheet in sheets for places in sheet[-_GROUPS:])):
        shown[places] = True
    close = _sorted(clips.margins, clips.margins <= MAX_MARGIN)
    undecided = _not_shown_first(clips, close, shown, options.share("undecided"))
    shown[undecided] = True
    unfamiliar = _not_shown_first(clips, _most_unfamiliar(clips), shown, options.share("unfamiliar"))
    shown[unfamiliar] = True
    shown[of_timelines] = True
    hashes = seeded_hashes(order.hashes[clips.inputs], options.seed, clips.start_ms)
    sample = _sample(np.argsort(hashes, kind="stable"), shown, options)
    return Choice(tuple(sheets), least_certain, undecided, unfamiliar, sample)


def _sample(by_hash: Places, shown: npt.NDArray[np.bool_], options: ContentOptions) -> Places:
    """Returns the first clips by hash: their share, and more until the report shows as many clips as it may."""
    num_new = np.cumsum(~shown[by_hash])
    room = min(options.max_clips - int(np.count_nonzero(shown)), int(num_new[-1]) if len(num_new) else 0)
    until_full = int(np.searchsorted(num_new, room)) + 1 if room > 0 else 0
    return by_hash[: max(options.share("sample"), until_full)]


def _sorted(values: npt.NDArray[np.floating], wanted: npt.NDArray[np.bool_]) -> Places:
    """Returns the places of wanted finite values, the smallest first; equal ones in the order of the table."""
    (places,) = np.nonzero(wanted & np.isfinite(values))
    return places[np.argsort(values[places], kind="stable")]


def _first_of_each(clips: ClipTable, places: Places, most: int) -> Places:
    """Returns the first places, one of each video."""
    _, first = np.unique(clips.sources[places], return_index=True)
    return places[np.sort(first)][:most]


def _not_shown_first(clips: ClipTable, places: Places, shown: npt.NDArray[np.bool_], most: int) -> Places:
    """Returns places in their order, one of each video: those of clips that are not shown yet if there are enough."""
    fresh = _first_of_each(clips, places[~shown[places]], most)
    rest = places[~np.isin(clips.sources[places], clips.sources[fresh])]
    chosen = np.concatenate([fresh, _first_of_each(clips, rest, most - len(fresh))])
    return places[np.isin(places, chosen)]


def _least_certain(clips: ClipTable, most: int) -> Places:
    """Returns the clips with the highest entropy: one of each video, at most three with the same top label."""
    places = _first_of_each(clips, _sorted(-clips.entropies, clips.entropies > 0), len(clips))
    labels = clips.labels[places]
    by_label = np.argsort(labels, kind="stable")
    sorted_labels = labels[by_label]
    is_kept = np.zeros(len(places), bool)
    is_kept[by_label] = np.arange(len(places)) - np.searchsorted(sorted_labels, sorted_labels) < _MAX_PER_LABEL
    return places[is_kept][:most]


def _most_unfamiliar(clips: ClipTable) -> Places:
    """Returns the clips with a low score and a high log-sum-exp of the logits, the most unfamiliar first.

    Both are compared with those of all clips: the share of clips with a lower log-sum-exp, minus the share of clips
    whose score is not higher. The greatest difference comes first. It must be at least `MIN_RANK_DIFFERENCE`, and the
    score must be in the lower half. (Log-sum-exp and score rise together, so a clip with a low score seldom has one of
    the highest log-sum-exps.) Models that end in a softmax have a log-sum-exp of 0, and no such clips.
    """
    is_known = np.isfinite(clips.scores) & np.isfinite(clips.log_sum_exps)
    scores, heights = clips.scores[is_known], clips.log_sum_exps[is_known]
    ranks = np.searchsorted(np.sort(scores), scores, "right") / max(1, len(scores))
    differences = np.full(len(clips), -np.inf)
    differences[is_known] = np.searchsorted(np.sort(heights), heights, "left") / max(1, len(scores)) - ranks
    is_low = np.zeros(len(clips), bool)
    is_low[is_known] = ranks <= 0.5
    return _sorted(-differences, is_low & (differences >= MIN_RANK_DIFFERENCE))


def _label_sheets(clips: ClipTable, labels: list[Share], options: ContentOptions) -> list[LabelChoice]:
    numbers = {name: number for number, name in enumerate(clips.label_names)}
    is_ranked = np.isfinite(clips.scores) & (clips.labels != NO_LABEL)
    counts = np.bincount(clips.labels[is_ranked], minlength=len(numbers))
    found = [(share.videos, int(counts[numbers[share.name]]), share.name) for share in labels if share.name in numbers]
    frequent = [entry for entry in found if entry[1]][: options.num_labels]
    quotas = _quotas([entry[:2] for entry in frequent], options)
    sheets = []
    for (num_videos, num_clips, name), quota in zip(frequent, quotas, strict=True):
        if quota:
            places = _sorted(clips.scores, is_ranked & (clips.labels == numbers[name]))
            sheets.append(LabelChoice(name, num_videos, num_clips, *_groups(clips, places, quota)))
    return sheets


def _quotas(labels: list[tuple[int, int]], options: ContentOptions) -> list[int]:
    """Returns the clips per group of each label, from its numbers of videos and of clips."""
    quotas = [0] * len(labels)
    rest = options.share("labels")
    for turn in range(options.clips_per_group):
        for number, (num_videos, num_clips) in enumerate(labels):
            needed = min(_GROUPS, num_clips - turn * _GROUPS)
            if turn < max(1, math.isqrt(num_videos)) and 0 < needed <= rest:
                quotas[number] += 1
                rest -= needed
    return quotas


def _groups(clips: ClipTable, places: Places, quota: int) -> tuple[Places, Places, Places]:
    """Returns the surest, the median and the least sure of the places, which are sorted by score.

    The groups choose in turn: the surest one first, then the least sure, then the median, which takes the clip whose
    rank is the nearest to the middle of all places. A group takes a clip of a video that the sheet does not show yet;
    if there is none, of a video that the group itself does not show.
    """
    descending = places[np.lexsort((places, -clips.scores[places]))]
    middle = np.argsort(np.abs(2 * np.arange(len(places)) - (len(places) - 1)), kind="stable")
    candidates = [descending, places, places[middle]]
    chosen: list[list[int]] = [[], [], []]
    for _ in range(quota):
        for group, order in zip(chosen, candidates, strict=True):
            all_chosen = [place for each in chosen for place in each]
            free = order[~np.isin(order, all_chosen)]
            ranked = (_of_other_videos(clips, free, all_chosen), _of_other_videos(clips, free, group), free)
            group.extend(next((found[:1].tolist() for found in ranked if len(found)), []))
    surest, least, median = (np.array(group, np.int64) for group in chosen)
    return surest, median, least


def _of_other_videos(clips: ClipTable, places: Places, shown: list[int]) -> Places:
    return places[~np.isin(clips.sources[places], clips.sources[np.array(shown, np.int64)])]
