"""Which labels a row keeps: the same rule for clips and videos."""

from __future__ import annotations

import numpy as np
import pytest

from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.scores import ScoreSum, top_labels
from reelbeam.transforms.records import LabelThresholds

LABELS = ("a", "b", "c", "d")
SCORES = np.array([0.4, 0.3, 0.2, 0.1], np.float32)


def kept(thresholds: LabelThresholds | None = None, top_k: int = 4, min_score: float = 0.0) -> list[str]:
    found = top_labels(SCORES, LABELS, LabelFilter(top_k, min_score, thresholds))
    assert all(each.score == SCORES[each.class_id] and LABELS[each.class_id] == each.label for each in found)
    return [each.label for each in found]


def test_top_k_counts_the_labels_that_pass() -> None:
    denied = LabelThresholds(1, 0, {"a": 1})
    assert kept(denied, top_k=2) == ["b", "c"]
    assert kept(LabelThresholds(1, 1, {"d": 0, "b": 0}), top_k=2) == ["b", "d"]
    assert kept(top_k=2) == ["a", "b"]


def test_thresholds_and_the_lowest_score_both_apply() -> None:
    assert kept(LabelThresholds(1, 0.15, {"d": 0.05})) == ["a", "b", "c", "d"]
    assert kept(LabelThresholds(1, 0.15, {"d": 0.05}), min_score=0.25) == ["a", "b"]
    assert kept(LabelThresholds(1, 0.35), min_score=0.25) == ["a"]
    assert kept(LabelThresholds(1, 1)) == kept(LabelThresholds(1, 0.5)) == kept(min_score=0.5) == []


def test_a_score_is_compared_as_tables_have_it() -> None:
    """A float32 is converted to a double, as SQL does it: 0.1 in float32 is above, and 0.3 too, but 0.7 is below."""
    scores = np.array([0.7, 0.3, 0.1], np.float32)
    found = top_labels(
        scores, LABELS[:3], LabelFilter(thresholds=LabelThresholds(1, 0, {"a": 0.7, "b": 0.3, "c": 0.1}))
    )
    assert [each.label for each in found] == [
        label for label, score in zip("abc", scores.tolist(), strict=True) if score >= round(score, 1)
    ]


def test_a_score_of_one_does_not_pass_never() -> None:
    scores = np.array([1.0, 0.0], np.float32)
    assert [each.label for each in top_labels(scores, LABELS[:2], LabelFilter(thresholds=LabelThresholds(1, 1)))] == []


@pytest.mark.parametrize(("ranking", "labels"), [("mean", ["a"]), ("max", ["b", "a"])])
def test_the_ranking_says_which_score_of_a_video_is_compared(ranking: str, labels: list[str]) -> None:
    """Label a has the best mean, label b the best clip: with "max", it is the top label, as in `video_answers`."""
    clips = [np.array(scores, np.float32) for scores in ([0.55, 0.05, 0.4], [0.5, 0.45, 0.05], [0.3, 0.6, 0.1])]
    total = ScoreSum.of(clips[0]) + ScoreSum.of(clips[1]) + ScoreSum.of(clips[2])
    found = total.top_labels(LABELS[:3], LabelFilter(thresholds=LabelThresholds(1, 0.42, ranking=ranking)))
    assert [each.label for each in found] == labels
    assert found[0].score == pytest.approx(0.45 if labels[0] == "a" else 1.1 / 3)


def test_the_lowest_score_compares_the_mean_with_any_ranking() -> None:
    total = ScoreSum.of(np.array([0.9, 0.1], np.float32)) + ScoreSum.of(np.array([0.1, 0.9], np.float32))
    by_best_clip = LabelThresholds(1, 0.8, ranking="max")
    assert [each.label for each in total.top_labels(LABELS[:2], LabelFilter(5, 0.4, by_best_clip))] == ["a", "b"]
    assert total.top_labels(LABELS[:2], LabelFilter(5, 0.6, by_best_clip)) == ()


def test_the_fingerprint_is_that_of_the_rule() -> None:
    made = LabelThresholds(1, 0.5, {"a": 0.9, "b": 0.5}, "mean", 0.9, ("a0-base",))
    assert made.fingerprint == LabelThresholds(1, 0.5, {"a": 0.9}).fingerprint
    others = (LabelThresholds(1, 0.5), LabelThresholds(1, 0.5, {"a": 0.9}, "max"), LabelThresholds(1, 0, {"a": 0.9}))
    assert len({made.fingerprint, *(each.fingerprint for each in others)}) == 4
    assert LabelThresholds(1, 1).fingerprint == LabelThresholds(1, 1.0, {"a": 1}).fingerprint
