"""Accuracy and results of classes, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from judged_factory import judged, simulated
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, top_k_accuracy_score

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.accuracy import accuracy, check_k
from reelbeam.transforms.evaluation.per_class import per_class

BY_HAND = (
    judged("1", "a", ("a", 0.8), ("b", 0.1)),
    judged("2", "a", ("b", 0.6), ("a", 0.4)),
    judged("3", "b", ("c", 0.5), ("d", 0.3)),
    judged("4", "b", failed=True),
    judged("5", "c", ("c", 0.7), ("a", 0.2)),
    judged("6", "", ("c", 0.9), ("b", 0.05)),
    judged("7", "a c", ("d", 0.4), ("c", 0.3)),
)


def test_failed_items_are_in_one_share_and_not_in_the_other() -> None:
    first, second = accuracy(BY_HAND, (1, 2)).top
    assert (first.with_failed.hits, first.with_failed.total) == (2, 6)
    assert (first.without_failed.hits, first.without_failed.total) == (2, 5)
    assert (second.with_failed.hits, second.without_failed.total) == (4, 5)


def test_the_mean_is_over_classes_with_truth() -> None:
    found = accuracy(BY_HAND, (1, 2))
    assert found.num_classes == 3
    assert found.top[0].mean_over_classes == pytest.approx((1 / 3 + 0 + 1 / 2) / 3)
    assert found.top[1].mean_over_classes == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert (found.recall_of_sets.total, found.recall_of_sets.value) == (1, 0.5)


def test_accuracy_is_that_of_scikit_learn() -> None:
    scores, items = simulated(1, 400, 12, 5)
    truths = [int(next(iter(item.truth))) for item in items]
    for top in accuracy(items, (1, 3, 5)).top:
        assert top.with_failed.value == top_k_accuracy_score(truths, scores, k=top.k, labels=range(12))


def test_more_labels_than_are_stored_are_refused() -> None:
    check_k(5, 5)
    with pytest.raises(ConfigError, match=r"top-6 .* keeps 5: .* --top_k=6"):
        check_k(6, 5)
    with pytest.raises(ConfigError, match="at least 1"):
        check_k(0, 5)


def test_precision_and_recall_are_those_of_scikit_learn() -> None:
    scores, items = simulated(2, 500, 8, 3)
    truths = [next(iter(item.truth)) for item in items]
    said = [item.labels[0] for item in items]
    found = per_class(items, 3, 8)
    precision, recall, _, support = precision_recall_fscore_support(
        truths, said, labels=[c.label for c in found.classes]
    )
    assert [c.precision.value for c in found.classes] == pytest.approx(precision.tolist())
    assert [c.recall.value for c in found.classes] == pytest.approx(recall.tolist())
    assert [c.support for c in found.classes] == support.tolist()
    assert found.mean_recall == pytest.approx(recall.mean())


def test_the_order_is_by_frequency_and_what_is_not_defined_is_none() -> None:
    found = {each.label: each for each in per_class(BY_HAND, 2, None).classes}
    assert list(found) == ["a", "c", "b", "d"]
    assert (found["d"].support, found["d"].recall.value, found["d"].average_precision) == (0, None, None)
    assert (found["d"].predictions, found["d"].precision.value) == (1, 0.0)
    assert found["c"].precision.value == pytest.approx(1 / 3)
    assert found["b"].recall.value == 0
    assert found["a"].recall.low is None
    assert per_class(BY_HAND, 2, None).num_with_truth == 3
    assert per_class(BY_HAND[3:4], 2, None).mean_precision is None


def test_average_precision_is_exact_with_all_scores() -> None:
    scores, items = simulated(3, 300, 10, 10)
    found = per_class(items, 10, 10)
    assert (found.is_exact, found.average_precision_name) == (True, "AP")
    for each in found.classes:
        expected = average_precision_score([each.label in item.truth for item in items], scores[:, int(each.label)])
        assert each.average_precision == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("seed", range(10))
def test_average_precision_from_some_scores_is_a_lower_bound(seed: int, k: int) -> None:
    scores, items = simulated(seed, 120, 10, k, sharpness=0.5)
    found = per_class(items, k, 10)
    assert (found.is_exact, found.average_precision_name) == (False, f"AP (from top-{k})")
    for each in found.classes:
        if each.support:
            exact = average_precision_score([each.label in item.truth for item in items], scores[:, int(each.label)])
            assert each.average_precision is not None
            assert each.average_precision <= exact + 1e-12


def test_the_lower_bound_is_close_where_scores_are_sure() -> None:
    _, items = simulated(4, 2000, 10, 5, sharpness=4)
    _, full = simulated(4, 2000, 10, 10, sharpness=4)
    low, exact = per_class(items, 5, 10).mean_average_precision, per_class(full, 10, 10).mean_average_precision
    assert low is not None and exact is not None
    assert 0.97 * exact < low <= exact


def test_average_precision_by_hand() -> None:
    items = (
        judged("1", "a", ("a", 0.9)),
        judged("2", "b", ("a", 0.8)),
        judged("3", "a", ("a", 0.7)),
        judged("4", "a", ("b", 0.6)),
        judged("5", "a", failed=True),
    )
    assert per_class(items, 1, None).classes[0].average_precision == pytest.approx((1 + 2 / 3) / 4)


@pytest.mark.parametrize("items", [(), BY_HAND[3:4], BY_HAND[5:6], (judged("1", "a", ("a", float("nan"))),)])
def test_few_or_strange_items_have_results(items: tuple[()]) -> None:
    accuracy(items, (1, 5))
    per_class(items, 5, 600)


def test_clips_of_a_frequent_class_have_an_interval_by_video() -> None:
    clips = [judged(f"{n // 4}", "a", ("a" if n % 3 else "b", 0.5), clip=n % 4) for n in range(100)]
    (found,) = (each for each in per_class(clips, 5, None).classes if each.label == "a")
    assert found.recall.method == "bootstrap of videos"
    assert accuracy(clips, (1,)).top[0].with_failed.method == "bootstrap of videos"
    assert np.isfinite(found.recall.low or np.nan)
