"""Convert a model's outputs to labels. Pure NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import InferenceError
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.registry.catalog import OutputActivation
from reelbeam.transforms.records import LabelScore
from reelbeam.transforms.wording import counted

KEEP_TOP = LabelFilter()
"""The best five labels."""

_TOLERANCE = 0.01
"""The tolerance for a score outside [0, 1], and for a softmax's sum: bfloat16 has two decimal digits."""

_SMALLEST = float(np.finfo(np.float32).tiny)
_BELOW_ONE = 1 - 2.0**-24
"""The nearest scores to 0 and 1 with finite logits."""


def to_scores(outputs: npt.NDArray[np.floating], activation: OutputActivation = "logits") -> npt.NDArray[np.float32]:
    """Returns the softmax of logits; returns outputs that are already scores unchanged.

    Args:
      outputs: float [N, C].
      activation: the kind of the outputs.

    Returns:
      float32 [N, C] in [0, 1]; rows of a sigmoid model do not sum to 1.

    Raises:
      InferenceError: an output is NaN, infinite, or not a score.
      ValueError: the shape is not [N, C].
    """
    if activation == "logits":
        return softmax(outputs)
    _require_finite(outputs)
    lowest, highest = outputs.min(initial=0.0), outputs.max(initial=0.0)
    if lowest < -_TOLERANCE or highest > 1 + _TOLERANCE:
        wrong = lowest if lowest < -_TOLERANCE else highest
        raise InferenceError(
            f"the model gave {wrong:.4g}, which is not a score from 0 to 1, and its outputs are read as those of a "
            f"{activation}: pass --output_activation logits"
        )
    return np.clip(outputs, 0.0, 1.0).astype(np.float32)


def to_logits(outputs: npt.NDArray[np.floating], activation: OutputActivation = "logits") -> npt.NDArray[np.float32]:
    """Returns logits: the logarithms of softmax scores, or the log-odds of sigmoid scores.

    The softmax or sigmoid of the result equals the scores. A softmax does not preserve the magnitude of its logits, so
    the result may differ from them by a constant. Scores of 0 and 1 get the nearest finite logits.

    Args:
      outputs: float [C], finite.
      activation: the kind of the outputs.
    """
    if activation == "logits":
        return outputs.astype(np.float32)
    scores = np.clip(outputs.astype(np.float64), _SMALLEST, 1.0)
    logits = np.log(scores)
    if activation == "sigmoid":
        logits -= np.log1p(-np.minimum(scores, _BELOW_ONE))
    return logits.astype(np.float32)


def may_be_softmax(outputs: npt.NDArray[np.floating]) -> bool:
    """Returns whether outputs that are read as logits look like softmax scores.

    Args:
      outputs: float [N, C], finite.
    """
    sums = outputs.sum(axis=1, dtype=np.float64)
    return bool(outputs.shape[1] > 1 and (outputs >= 0).all() and (np.abs(sums - 1) < _TOLERANCE / 10).all())


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Converts logits to scores.

    Args:
      logits: float [N, C].

    Returns:
      float32 [N, C] in [0, 1]; every row sums to 1.

    Raises:
      InferenceError: a logit is NaN or infinite.
      ValueError: the shape is not [N, C].
    """
    _require_finite(logits)
    # Subtract the largest logit, so that exp() cannot overflow.
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(shifted)
    scores: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


def _require_finite(outputs: npt.NDArray[np.floating]) -> None:
    if outputs.ndim != 2:
        raise ValueError(f"logits must be [N, C], not {list(outputs.shape)}")
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite).tolist()
        raise InferenceError(
            f"the model gave NaN or infinite logits for {len(bad)} of {counted(len(outputs), 'clip')} (number "
            f"{bad[:5]} of the batch): its numeric precision does not suffice, or its weights are damaged"
        )


def log_sum_exp(logits: npt.NDArray[np.floating]) -> float:
    """Returns log(sum(exp(logits))) of a clip, with which scores can be converted back to logits.

    A softmax drops this value: scores stay the same if the same number is added to all logits.

    Args:
      logits: float [C], finite.
    """
    largest = float(logits.max())
    # Subtract the largest logit, so that exp() cannot overflow.
    return largest + float(np.log(np.exp(logits.astype(np.float64) - largest).sum()))


def entropy(scores: npt.NDArray[np.floating], activation: OutputActivation = "logits") -> float:
    """Returns the entropy of a clip's scores in nats: 0 for one certain class, log(C) for equal scores.

    For a sigmoid model, whose classes are independent, it is the sum over the classes: 0 if each is certain, C log(2)
    if none is.

    Args:
      scores: float [C]; they sum to 1, except for a sigmoid model.
      activation: the kind of the model's outputs.
    """
    parts = [scores, 1 - scores] if activation == "sigmoid" else [scores]
    chances = np.concatenate(parts).astype(np.float64)
    positive = chances[chances > 0]
    return max(0.0, float(-(positive * np.log(positive)).sum()))


def top_labels(
    scores: npt.NDArray[np.float32], labels: Sequence[str], kept: LabelFilter = KEEP_TOP
) -> tuple[LabelScore, ...]:
    """Returns the best classes of a clip.

    Args:
      scores: float32 [C].
      labels: C names.
      kept: which classes are kept.

    Returns:
      The classes, best first; classes with equal scores in the order of their ids.

    Raises:
      ValueError: the numbers of labels and scores differ.
    """
    if scores.shape != (len(labels),):
        raise ValueError(f"scores must be [{len(labels)}], one for each label, not {list(scores.shape)}")
    return tuple(
        LabelScore(labels[class_id], class_id, float(scores[class_id])) for class_id in kept.select(labels, scores)
    )


_UNITS = 2.0**40
"""Units per score of 1. Eight million clips fit into 64 bits, and float32 scores above 2**-16 are exact."""


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreSum:
    """The aggregated scores of some clips of a video, in memory that does not grow with their number.

    Scores are added as integers, so the sums do not depend on the order of the clips.

    Attributes:
      num_clips: the number of clips, at least one.
      total: the sums of their scores, int64 [C], in units of 2**-40.
      highest: the highest score of each class, float32 [C].
    """

    num_clips: int
    total: npt.NDArray[np.int64]
    highest: npt.NDArray[np.float32]

    @classmethod
    def of(cls, scores: npt.NDArray[np.float32]) -> ScoreSum:
        """Returns the sum for one clip from its scores, float32 [C]."""
        return cls(1, np.rint(scores.astype(np.float64) * _UNITS).astype(np.int64), scores)

    def __add__(self, other: ScoreSum) -> ScoreSum:
        return ScoreSum(
            self.num_clips + other.num_clips, self.total + other.total, np.maximum(self.highest, other.highest)
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles a single clip, which most videos have, as its scores only: a third of the bytes."""
        if self.num_clips == 1:
            return ScoreSum.of, (self.highest,)
        return ScoreSum, (self.num_clips, self.total, self.highest)

    def top_labels(self, labels: Sequence[str], kept: LabelFilter = KEEP_TOP) -> tuple[LabelScore, ...]:
        """Returns the best classes by mean score over the clips, each with its highest score in a single clip.

        Args:
          labels: class names, [C].
          kept: which classes are kept. Its thresholds may rank by the highest score.
        """
        mean = (self.total / (self.num_clips * _UNITS)).astype(np.float32)
        return tuple(
            LabelScore(labels[class_id], class_id, float(mean[class_id]), float(self.highest[class_id]))
            for class_id in kept.select(labels, mean, self.highest)
        )
