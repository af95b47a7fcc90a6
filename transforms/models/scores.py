"""From logits to labels. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence

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
