"""Softmax, entropy and the choice of labels."""

from __future__ import annotations

import math

import numpy as np
import numpy.testing as npt
import pytest

from reelbeam.transforms.errors import InferenceError
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.scores import entropy, log_sum_exp, softmax, top_labels
from reelbeam.transforms.records import LabelScore

LABELS = ("a", "b", "c", "d")


def test_softmax_is_what_its_definition_says() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 600)).astype(np.float32)
    scores = softmax(logits)
    assert scores.dtype == np.float32
    assert scores.shape == (5, 600)
    weights = np.exp(logits.astype(np.float64))
    npt.assert_allclose(scores, weights / weights.sum(axis=1, keepdims=True), rtol=1e-6)
    npt.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)


def test_softmax_survives_huge_logits() -> None:
    scores = softmax(np.array([[1e30, 0, -1e30], [-3e38, 3e38, 3e38]], np.float32))
    npt.assert_array_equal(scores, np.array([[1, 0, 0], [0, 0.5, 0.5]], np.float32))


def test_softmax_does_not_mix_rows_and_leaves_its_input_alone() -> None:
    logits = np.array([[1, 2, 3], [100, 200, 300]], np.float32)
    kept = logits.copy()
    npt.assert_array_equal(softmax(logits)[:1], softmax(logits[:1]))
    npt.assert_array_equal(logits, kept)


def test_softmax_of_no_clips_is_empty() -> None:
    assert softmax(np.empty((0, 7), np.float32)).shape == (0, 7)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_logits_are_refused(bad: float) -> None:
    logits = np.zeros((3, 4), np.float32)
    logits[1, 2] = bad
    with pytest.raises(InferenceError, match=r"1 of 3 clips \(number \[1\]"):
        softmax(logits)


def test_softmax_wants_two_axes() -> None:
    with pytest.raises(ValueError, match=r"\[N, C\], not \[4\]"):
        softmax(np.zeros(4, np.float32))


@pytest.mark.parametrize(
    ("scores", "nats"),
    [([1, 0, 0, 0], 0.0), ([0.25] * 4, math.log(4)), ([0.5, 0.5, 0, 0], math.log(2)), ([0.9, 0.1], 0.3250829733914482)],
)
def test_entropy_in_nats(scores: list[float], nats: float) -> None:
    assert entropy(np.array(scores, np.float32)) == pytest.approx(nats, abs=1e-6)
    assert entropy(np.array(scores, np.float32)) >= 0


@pytest.mark.parametrize(
    ("logits", "wanted"),
    [([0.0], 0.0), ([0.0, 0.0], math.log(2)), ([-5.0, 1.0, 2.0], 2.313928), ([3e38, 0.0], 3e38), ([-3e38], -3e38)],
)
def test_log_sum_exp(logits: list[float], wanted: float) -> None:
    assert log_sum_exp(np.array(logits, np.float32)) == pytest.approx(wanted, rel=1e-6)


def test_with_log_sum_exp_scores_become_logits_again() -> None:
    logits = np.random.default_rng(0).normal(scale=5, size=(1, 600)).astype(np.float32)
    npt.assert_allclose(np.log(softmax(logits)[0]) + log_sum_exp(logits[0]), logits[0], atol=1e-4)


def test_top_labels_are_best_first() -> None:
    scores = np.array([0.1, 0.4, 0.2, 0.3], np.float32)
    best = top_labels(scores, LABELS, LabelFilter(3))
    assert [(s.label, s.class_id) for s in best] == [("b", 1), ("d", 3), ("c", 2)]
    assert best[0] == LabelScore("b", 1, float(np.float32(0.4)))
    assert all(type(s.score) is float and type(s.class_id) is int for s in best)


def test_equal_scores_are_sorted_by_class_id() -> None:
    scores = np.array([0.2, 0.3, 0.2, 0.3], np.float32)
    assert [s.class_id for s in top_labels(scores, LABELS, LabelFilter(4))] == [1, 3, 0, 2]
    assert [s.class_id for s in top_labels(scores, LABELS, LabelFilter(3))] == [1, 3, 0]


def test_low_scores_are_left_out() -> None:
    scores = np.array([0.5, 0.25, 0.15, 0.1], np.float32)
    assert [s.class_id for s in top_labels(scores, LABELS, LabelFilter(4, 0.25))] == [0, 1]
    assert top_labels(scores, LABELS, LabelFilter(4, 0.6)) == ()


def test_more_labels_than_classes_may_be_asked_for() -> None:
    assert len(top_labels(np.full(4, 0.25, np.float32), LABELS, LabelFilter(100))) == 4


def test_wrong_arguments_are_refused() -> None:
    scores = np.full(4, 0.25, np.float32)
    with pytest.raises(ValueError, match=r"\[3\], one for each label, not \[4\]"):
        top_labels(scores, LABELS[:3], LabelFilter(1))
    with pytest.raises(ValueError, match="top_k must be at least 1, not 0"):
        LabelFilter(0)
