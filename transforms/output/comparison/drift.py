"""Whether the corpus drifted: a test of the label shares of two sets of videos, and the sizes of the changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from reelbeam.transforms.output.arrays import Floats
from reelbeam.transforms.output.comparison.changes import MIN_DRIFT, Drift, Verdict
from reelbeam.transforms.output.comparison.distances import distance
from reelbeam.transforms.output.comparison.shares import Shift, share_changes, shift

MIN_VIDEOS = 30
"""The minimum number of labeled videos on each side for a verdict."""
MAX_P_VALUE = 0.05
RARE_LABELS = "labels of fewer than 5 videos"


@dataclasses.dataclass(frozen=True)
class VideoSample:
    """One side: each video counts once.

    Attributes:
      videos: the number of videos.
      labels: the numbers of labeled videos by top label; their sum is the number of labeled videos.
      facts: by kind, such as "codec", the numbers of videos by value; videos without a known value are not counted.
      failures: the numbers of failed and partial videos by error code.
      numbers: by name and unit, a number for each video; NaN if it is unknown.
    """

    videos: int
    labels: Mapping[str, int]
    facts: Mapping[str, Mapping[str, int]]
    failures: Mapping[str, int]
    numbers: Mapping[str, Floats]


def measure_drift(
    before: VideoSample,
    after: VideoSample,
    is_comparable: bool = True,
    min_drift: float = MIN_DRIFT,
) -> Drift:
    """Returns the comparison of two sets of videos. It is deterministic.

    Args:
      before, after: the sets, with the same kinds of facts and numbers.
      is_comparable: whether model and sampling are the same.
      min_drift: the estimate of moved videos above which a significant change is drift.
    """
    labeled = sum(before.labels.values()), sum(after.labels.values())
    found = shift(before.labels, after.labels)
    distances = (distance(name, values, after.numbers[name]) for name, values in before.numbers.items())
    return Drift(
        verdict=_verdict(found, min(labeled), is_comparable, min_drift),
        observed_variation=found.observed_variation,
        chance_variation=found.chance_variation,
        moved=found.moved,
        divergence_bits=found.divergence_bits,
        p_value=found.p_value,
        labels=share_changes(before.labels, after.labels, labeled, rest=RARE_LABELS),
        facts=tuple(
            change
            for kind, values in before.facts.items()
            for change in share_changes(
                _named(kind, values),
                _named(kind, after.facts[kind]),
                (sum(values.values()), sum(after.facts[kind].values())),
                rest=f"{kind}: others",
            )
        ),
        failures=share_changes(before.failures, after.failures, (before.videos, after.videos)),
        distances=tuple(each for each in distances if each is not None),
        labeled_before=labeled[0],
        labeled_after=labeled[1],
    )


def _verdict(found: Shift, num_labeled: int, is_comparable: bool, min_drift: float) -> Verdict:
    if not is_comparable:
        return "not comparable"
    if num_labeled < MIN_VIDEOS:
        return "too few videos"
    is_drift = found.p_value <= MAX_P_VALUE and found.moved > min_drift
    return "drift" if is_drift else "no drift"


def _named(kind: str, values: Mapping[str, int]) -> dict[str, int]:
    return {f"{kind} {value}": number for value, number in values.items()}
