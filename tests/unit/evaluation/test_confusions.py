"""Wrong answers, signs of a wrong truth, and what separates videos of no class."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from judged_factory import judged, simulated
from scipy.stats import binom, norm
from sklearn.metrics import confusion_matrix, roc_auc_score

from reelbeam.transforms.evaluation.confusions import confusions
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.novelty import separations
from reelbeam.transforms.evaluation.truth_checks import check_truth

LABELS = ("a", "b", "c", "d")


def test_every_wrong_answer_is_named() -> None:
    items = (
        judged("1", "a", ("a", 0.9)),
        judged("2", "a", ("b", 0.5)),
        judged("3", "a", ("b", 0.6)),
        judged("4", "a", failed=True),
        judged("5", "a"),
        judged("6", "", ("b", 0.8)),
        judged("7", ""),
        judged("8", "", failed=True),
        judged("9", "b c", ("a", 0.3)),
    )
    found = {(each.truth, each.said, each.answer): (each.count, each.share) for each in confusions(items)}
    assert found == {
        ("a", "b", "label"): (2, 0.4),
        ("a", None, "no answer (failed)"): (1, 0.2),
        ("a", None, "nothing recognized"): (1, 0.2),
        (None, "b", "label"): (1, pytest.approx(1 / 3)),
        (None, None, "no answer (failed)"): (1, pytest.approx(1 / 3)),
        ("b", "a", "label"): (1, 1.0),
        ("c", "a", "label"): (1, 1.0),
    }
    most = confusions(items)[0]
    assert [each.video_uri for each in most.examples] == ["3", "2"]


def test_confusions_are_those_of_scikit_learn() -> None:
    _, items = simulated(1, 500, 6, 2)
    matrix = confusion_matrix([int(*item.truth) for item in items], [int(item.labels[0]) for item in items])
    found = confusions(items)
    assert all(matrix[int(each.truth or -1), int(each.said or -1)] == each.count for each in found)
    assert sum(each.count for each in found) == matrix.sum() - np.trace(matrix)
    assert all(len(each.examples) == min(3, each.count) for each in found)


def moved(by: int, n: int = 20) -> list[Judged]:
    """Returns items whose top label is that of another class, `by` places away."""
    return [judged(f"{k}", LABELS[k % 4], (LABELS[(k - by) % 4], 0.95), (LABELS[k % 4], 0.01)) for k in range(n)]


@pytest.mark.parametrize("by", [1, -1])
def test_labels_in_another_order_are_noticed(by: int) -> None:
    shift = check_truth(moved(by), 5, LABELS).shift
    assert shift is not None
    assert (shift.by, shift.hits, shift.shifted_hits, shift.total) == (by, 0, 15, 20)
    assert check_truth(moved(by), 5).shift is None
    assert check_truth(moved(by, n=3), 5, LABELS).shift is None  # may be chance


def test_right_labels_are_not_shifted() -> None:
    assert check_truth(moved(0), 5, LABELS).shift is None
    assert check_truth([judged("1", "a", ("not in the order", 0.9))], 5, LABELS).shift is None


def test_truth_that_may_come_from_the_answers_is_noticed() -> None:
    assert check_truth(moved(1, 30), 5).is_always_in_top
    assert not check_truth(moved(1, 29), 5).is_always_in_top
    assert not check_truth([*moved(1, 30), judged("x", "a", ("b", 0.5))], 5).is_always_in_top
    assert check_truth([*moved(1, 30), judged("x", "a", failed=True), judged("y", "", ("b", 1.0))], 5).is_always_in_top


def test_what_to_look_at_is_sorted_by_margin() -> None:
    items = (
        judged("sure", "a", ("b", 0.99), ("c", 0.01)),
        judged("surer", "a", ("b", 0.999)),
        judged("less", "a", ("b", 0.9), ("c", 0.1)),
        judged("unsure", "a", ("b", 0.89)),
        judged("known", "a", ("b", 0.95), ("a", 0.01)),
        judged("no class", "", ("b", 1.0)),
        judged("nan", "a", ("b", float("nan"))),
    )
    found = check_truth(items, 5)
    assert [each.item.video_uri for each in found.suspects] == ["surer", "sure", "less"]
    assert found.suspects[1].margin == pytest.approx(0.98)
    assert found.num_suspects == 3
    assert check_truth(items, 1).num_suspects == 4


def test_separation_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    items = [
        dataclasses.replace(
            judged(f"{n}", "a" if n % 3 else "", ("a", round(float(random.random()) * (1 if n % 3 else 0.7), 2))),
            entropy=float(random.normal()) - (1 if n % 3 else 0),
            log_sum_exp=float(random.normal()),
        )
        for n in range(200)
    ]
    has_class = [bool(item.truth) for item in items]
    found = {each.signal: each for each in separations(items)}
    score, entropy, energy = (found[name] for name in ("top score", "negative entropy", "log-sum-exp"))
    assert score.auroc == pytest.approx(roc_auc_score(has_class, [item.scores[0] for item in items]))
    assert entropy.auroc == pytest.approx(roc_auc_score(has_class, [-(item.entropy or 0) for item in items]))
    assert (score.with_class, score.without_class) == (133, 67)
    for each in (score, entropy, energy):
        assert each.low is not None and each.high is not None and each.auroc is not None
        assert each.low < each.auroc < each.high < each.low + 0.25
    assert entropy.low is not None and entropy.low > 0.5
    assert energy.low is not None and energy.high is not None and energy.low < 0.5 < energy.high


def test_separation_without_both_kinds_is_not_defined() -> None:
    with_class = [judged(f"{n}", "a", ("a", 0.5)) for n in range(30)]
    assert separations(with_class) == ()
    assert separations(()) == ()
    (only,) = separations([judged("1", "", ("a", 0.5))])
    assert (only.auroc, only.with_class, only.without_class) == (None, 0, 1)
    (few,) = separations([judged("1", "a", ("a", 0.9)), judged("2", ""), judged("3", "", failed=True)])
    assert (few.auroc, few.low, few.without_class) == (1.0, None, 1)


def test_few_videos_of_a_kind_have_no_interval() -> None:
    items = [judged(f"{n}", "a" if n > 9 else "", ("a", (n * 7 % 50) / 50)) for n in range(50)]
    assert separations(items)[0].low is not None
    (found,) = separations([*items[1:], judged("1", "", ("a", 0.5), clip=1)])
    assert (found.without_class, found.low) == (10, None)


def test_the_interval_of_a_separation_covers_the_true_one() -> None:
    random = np.random.default_rng(2)
    trials, covered = 60, 0
    for trial in range(trials):
        values = random.normal(np.arange(80) < 60)  # the mean is 1 with a class, and 0 without
        items = [judged(f"{n}", "a" if n < 60 else "", ("a", value)) for n, value in enumerate(values.tolist())]
        (found,) = separations(items, trial)
        assert found.low is not None and found.high is not None
        covered += found.low <= norm.cdf(1 / np.sqrt(2)) <= found.high
    assert covered >= binom.ppf(0.01, trials, 0.94)


def test_numbers_that_are_nan_are_left_out() -> None:
    items = [judged("1", "a", ("a", float("nan"))), judged("2", "a", ("a", 0.5)), judged("3", "", ("a", 0.5))]
    (found,) = separations(items)
    assert (found.with_class, found.without_class, found.auroc) == (1, 1, 0.5)
