"""From logits to labels. Pure NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError
from transforms.records import LabelScore


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Turns logits into scores.

    Args:
      logits: float [N, C].

    Returns:
      float32 [N, C] in [0, 1]; every row sums to 1.

    Raises:
      InferenceError: a logit is NaN or infinite.
      ValueError: the shape is another.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must be [N, C], not {list(logits.shape)}")
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite).tolist()
        raise InferenceError(
            f"the model gave NaN or infinite logits for {len(bad)} of {len(logits)} clips (number {bad[:5]} of the "
            "batch): its numeric precision does not suffice, or its weights are damaged"
        )
    # The largest logit is taken off first: exp() of what remains cannot overflow.
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(shifted)
    scores: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


def log_sum_exp(logits: npt.NDArray[np.floating]) -> float:
    """Returns log(sum(exp(logits))) of a clip: with it, scores can be turned back into logits.

    A softmax forgets how large the logits were. A clip of something that the model has never seen tends to have small
    ones, and so a small sum, even where one class wins clearly.

    Args:
      logits: float [C], finite.
    """
    largest = float(logits.max())
    # The largest logit is taken off first: exp() of what remains cannot overflow.
    return largest + float(np.log(np.exp(logits.astype(np.float64) - largest).sum()))


def entropy(scores: npt.NDArray[np.floating]) -> float:
    """Returns how undecided a clip's scores are, in nats: 0 for one certain class, log(C) for all alike.

    Args:
      scores: float [C], sum 1.
    """
    positive = scores[scores > 0].astype(np.float64)
    return max(0.0, float(-(positive * np.log(positive)).sum()))


def top_labels(
    scores: npt.NDArray[np.floating], labels: Sequence[str], top_k: int, min_score: float = 0.0
) -> tuple[LabelScore, ...]:
    """Returns the best classes of a clip.

    Args:
      scores: float [C].
      labels: C names.
      top_k: the most classes to return.
      min_score: classes with a lower score are left out.

    Returns:
      Best first; classes with equal scores in the order of their ids.

    Raises:
      ValueError: there are not as many labels as scores, or `top_k` is below 1.
    """
    if scores.shape != (len(labels),):
        raise ValueError(f"scores must be [{len(labels)}], one for each label, not {list(scores.shape)}")
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    best = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(
        LabelScore(labels[class_id], int(class_id), float(scores[class_id]))
        for class_id in best
        if scores[class_id] >= min_score
    )


_UNITS = 2.0**40
"""Parts of a score of 1. Eight million clips fit into 64 bits, and a float32 score above 2**-16 is told exactly."""


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreSum:
    """What is known of the clips of a video, or of some of them, in memory that does not grow with their number.

    Scores are added as integers: such sums do not depend on the order of the clips, to the last bit.

    Attributes:
      num_clips: the clips that were added up, one or more.
      total: sums of their scores, int64 [C], in units of 2**-40.
      highest: highest score of each class, float32 [C].
    """

    num_clips: int
    total: npt.NDArray[np.int64]
    highest: npt.NDArray[np.float32]

    @classmethod
    def of(cls, scores: npt.NDArray[np.float32]) -> ScoreSum:
        """Returns the sum of one clip, from its scores, float32 [C]."""
        return cls(1, np.rint(scores.astype(np.float64) * _UNITS).astype(np.int64), scores)

    def __add__(self, other: ScoreSum) -> ScoreSum:
        return ScoreSum(
            self.num_clips + other.num_clips, self.total + other.total, np.maximum(self.highest, other.highest)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Most videos have one clip: its scores say it all, and take a third of the bytes."""
        if self.num_clips == 1:
            return ScoreSum.of, (self.highest,)
        return ScoreSum, (self.num_clips, self.total, self.highest)

    def top_labels(self, labels: Sequence[str], top_k: int, min_score: float = 0.0) -> tuple[LabelScore, ...]:
        """Returns the best classes by mean score over the clips, each with its highest score in one clip.

        Args:
          labels: class names, [C].
          top_k: classes to return at most.
          min_score: classes with a lower mean are left out.
        """
        mean = (self.total / (self.num_clips * _UNITS)).astype(np.float32)
        return tuple(
            dataclasses.replace(label, max_score=float(self.highest[label.class_id]))
            for label in top_labels(mean, labels, top_k, min_score)
        )
