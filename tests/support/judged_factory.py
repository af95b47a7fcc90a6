"""Items of an evaluation: written by hand, or simulated from a model whose calibration is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.evaluation.judged import Judged

Scores = npt.NDArray[np.float64]


def judged(uri: str, truth: str, *labels: tuple[str, float], clip: int | None = None, failed: bool = False) -> Judged:
    """Returns an item. `truth` has the labels separated by spaces."""
    return Judged(
        video_uri=uri,
        truth=frozenset(truth.split()),
        labels=tuple(label for label, _ in labels),
        scores=tuple(score for _, score in labels),
        is_failed=failed,
        clip_index=clip,
        start_ms=None if clip is None else 1000 * clip,
        end_ms=None if clip is None else 1000 * clip + 1000,
    )


def from_scores(scores: Scores, truths: npt.NDArray[np.int64], k: int) -> tuple[Judged, ...]:
    """Returns a video for each row of scores, whose label n is "n"; it keeps the best k."""
    items = []
    for number, (row, truth) in enumerate(zip(scores, truths.tolist(), strict=True)):
        best = np.argsort(-row, kind="stable")[:k].tolist()
        items.append(judged(f"{number}.mp4", str(truth), *((str(label), float(row[label])) for label in best)))
    return tuple(items)


def simulated(seed: int, n: int, classes: int, k: int, sharpness: float = 2.0) -> tuple[Scores, tuple[Judged, ...]]:
    """Returns scores, and the videos with these, whose truth is drawn by the scores: perfectly calibrated."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, classes)) * sharpness
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truths = (scores.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return scores, from_scores(scores, truths, k)


def of_best(scores: Scores, hits: npt.NDArray[np.bool_]) -> tuple[Judged, ...]:
    """Returns a video for each best score, with the label "a", which is right or not."""
    pairs = zip(scores.tolist(), hits.tolist(), strict=True)
    return tuple(judged(f"{n}.mp4", "a" if hit else "b", ("a", score)) for n, (score, hit) in enumerate(pairs))
