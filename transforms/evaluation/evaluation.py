"""All statistics of `reelbeam evaluate` together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.accuracy import Accuracy, accuracy, check_k
from reelbeam.transforms.evaluation.calibration import Calibration, calibration
from reelbeam.transforms.evaluation.comparison import Comparison, compare
from reelbeam.transforms.evaluation.confusions import Confusion, confusions
from reelbeam.transforms.evaluation.intervals import one_per_video, split_videos
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.novelty import Separation, separations
from reelbeam.transforms.evaluation.per_class import PerClass, per_class, with_others
from reelbeam.transforms.evaluation.thresholds import HeldOut, Thresholds, judge, thresholds
from reelbeam.transforms.evaluation.truth_checks import TruthChecks, check_truth


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """What to evaluate.

    Attributes:
      num_stored: the number of labels that the output keeps for each item.
      top_k: of the accuracy beside top-1; at most `num_stored`.
      precision: the target of the thresholds.
      threshold_classes: the classes that get a threshold of their own; None: as many as have enough items.
      holdout: the share of the videos on which the thresholds are judged instead of made, at least 0 and below 1.
      label_order: the labels of the model in the order of its outputs; empty if they are not known.
      seed: of all samples.
    """

    num_stored: int
    top_k: int = 5
    precision: float = 0.9
    threshold_classes: tuple[str, ...] | None = None
    holdout: float = 0.0
    label_order: tuple[str, ...] = ()
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class ItemCounts:
    """How many items there are.

    Attributes:
      with_class: the items whose truth is a class of the model; `without_class`: those with none of them.
      failed: the items without an answer.
      nothing_recognized: the items with an answer without a label.
      undecided: the items whose top label is neither right nor wrong.
      sampled: one item with an answer of each video, for calibration and thresholds, which need independent items.
    """

    items: int
    videos: int
    with_class: int
    without_class: int
    failed: int
    nothing_recognized: int
    undecided: int
    sampled: int


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How right the labels of an output are.

    Attributes:
      is_of_clips: whether the items are clips.
      held_out: the thresholds on videos that they were not made from; empty without `holdout`.
      comparison: with another output; None without one.
    """

    is_of_clips: bool
    counts: ItemCounts
    accuracy: Accuracy
    per_class: PerClass
    confusions: tuple[Confusion, ...]
    calibration: Calibration
    thresholds: Thresholds
    held_out: tuple[HeldOut, ...]
    novelty: tuple[Separation, ...]
    truth_checks: TruthChecks
    comparison: Comparison | None


def evaluate(
    items: Sequence[Judged], options: EvaluationOptions, against: Sequence[Judged] | None = None
) -> Evaluation:
    """Evaluates an output. The same items in the same order give the same numbers.

    Args:
      items: videos, or clips, not both.
      options: what to evaluate.
      against: the items of another output; None: there is no comparison.

    Raises:
      ConfigError: an option is not possible, or items are both videos and clips.
    """
    check_k(options.top_k, options.num_stored)
    kinds = {item.clip_index is not None for item in (*items, *(against or ()))}
    if len(kinds) > 1:
        raise ConfigError("videos and clips cannot be evaluated together: evaluate one after the other")
    ks, seed = (1, options.top_k), options.seed
    if not 0 <= options.holdout < 1:
        raise ConfigError(f"a share of {options.holdout} cannot be held out: pass a number of at least 0 and below 1")
    sampled = one_per_video([item for item in items if not item.is_failed], seed)
    held_out, others = split_videos(sampled, options.holdout, seed)
    cuts = thresholds(others, options.precision, options.threshold_classes)
    classes = per_class(items, options.num_stored, len(options.label_order) or None, seed)
    return Evaluation(
        is_of_clips=True in kinds,
        counts=_counts(items, len(sampled)),
        accuracy=accuracy(items, ks, seed),
        per_class=with_others(classes, options.label_order),
        confusions=confusions(items),
        calibration=calibration(sampled, seed),
        thresholds=cuts,
        held_out=judge(cuts, held_out) if options.holdout else (),
        novelty=separations(items, seed),
        truth_checks=check_truth(items, options.top_k, options.label_order),
        comparison=None if against is None else compare(items, against, ks, seed),
    )


def _counts(items: Sequence[Judged], num_sampled: int) -> ItemCounts:
    with_class = sum(1 for item in items if item.truth)
    failed = sum(1 for item in items if item.is_failed)
    return ItemCounts(
        items=len(items),
        videos=len({item.video_uri for item in items}),
        with_class=with_class,
        without_class=len(items) - with_class,
        failed=failed,
        nothing_recognized=sum(1 for item in items if not item.is_failed and not item.labels),
        undecided=sum(1 for item in items if item.is_undecided),
        sampled=num_sampled,
    )
