"""Thresholds keep their promise on new videos, which the obvious way does not, and say what more truth would give."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from judged_factory import Scores, judged, of_best
from scipy.stats import binom

from reelbeam.pipeline.reports.evaluation_texts import threshold_text
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.thresholds import GRID, Thresholds, min_items, thresholds
from reelbeam.transforms.records import LabelThresholds

TRIALS = 200


def draw(random: np.random.Generator, n: int) -> tuple[Scores, npt.NDArray[np.bool_]]:
    """Returns scores of a model that is too sure of itself, and whether it is right."""
    scores = random.beta(2, 1, n)
    return scores, random.random(n) < scores**1.5


def true_precision(cut: float) -> float:
    """Returns the chance that a label of `draw` with at least this score is right: an integral over the density 2s."""
    return (2 / 3.5) * (1 - cut**3.5) / (1 - cut**2)


def naive_cut(scores: Scores, hits: npt.NDArray[np.bool_], target: float) -> float | None:
    """Returns the lowest score from which on the labels of this sample reach the target."""
    order = np.argsort(-scores)
    precision = np.cumsum(hits[order]) / np.arange(1, len(hits) + 1)
    (reached,) = np.nonzero(precision >= target)
    return float(scores[order][reached[-1]]) if len(reached) else None


@pytest.mark.parametrize(("target", "n"), [(0.9, 231), (0.9, 1000), (0.8, 1000)])
def test_the_promised_precision_holds_on_new_videos(target: float, n: int) -> None:
    random = np.random.default_rng(n + int(100 * target))
    broken = naive_broken = naive_found = 0
    for _ in range(TRIALS):
        scores, hits = draw(random, n)
        found = thresholds(of_best(scores, hits), target, classes=()).overall
        broken += found.cut is not None and true_precision(found.cut) < target
        naive = naive_cut(scores, hits, target)
        naive_found += naive is not None
        naive_broken += naive is not None and true_precision(naive) < target
    assert broken <= binom.ppf(0.99, TRIALS, 0.1)
    assert naive_broken / naive_found > 0.35


def test_more_truth_keeps_more_of_the_corpus() -> None:
    random = np.random.default_rng(5)
    coverages = []
    for n in (1000, 20_000):
        found = thresholds(of_best(*draw(random, n)), 0.8, classes=()).overall
        assert found.cut is not None and found.coverage is not None
        coverages.append(found.coverage)
    ideal = 1 - min(cut for cut in GRID if cut < 1 and true_precision(cut) >= 0.8) ** 2
    assert coverages[0] < coverages[1] <= ideal
    assert coverages[1] > 0.9 * ideal


def test_all_classes_together_keep_their_promise() -> None:
    random = np.random.default_rng(6)
    broken = with_cut = 0
    for _ in range(TRIALS):
        scores, hits = draw(random, 800)
        labels = random.integers(4, size=800).tolist()
        items = [
            judged(f"{n}", str(label) if hit else "-", (str(label), score))
            for n, (label, score, hit) in enumerate(zip(labels, scores.tolist(), hits.tolist(), strict=True))
        ]
        cuts = [each.cut for each in thresholds(items, 0.8, [*"0123"]).classes if each.cut is not None]
        with_cut += bool(cuts)
        broken += any(true_precision(cut) < 0.8 for cut in cuts)
    assert with_cut > TRIALS / 4
    assert broken <= binom.ppf(0.99, TRIALS, 0.1)


WORLDS = {
    "one class carries the others": {"a": (0.7, 0.99), "b": (0.15, 0.75), "c": (0.15, 0.75)},
    "one good class": {"a": (0.2, 0.97), "b": (0.4, 0.6), "c": (0.4, 0.6)},
    "all at the target": {"a": (0.4, 0.9), "b": (0.3, 0.9), "c": (0.3, 0.9)},
}
"""For each label, how often it is the top label, and how often it is right at a score of 0.5; more often above."""


@pytest.mark.parametrize("world", WORLDS)
def test_the_file_as_a_whole_keeps_its_promise(world: str) -> None:
    """The labels that pass have the precision, whether the file has one cut for all classes or cuts of single ones."""
    labels, chances = [*WORLDS[world]], np.array([*WORLDS[world].values()])
    random = np.random.default_rng(7)

    def sample(n: int) -> tuple[npt.NDArray[np.int64], Scores, npt.NDArray[np.bool_]]:
        classes, scores = random.choice(len(labels), n, p=chances[:, 0]), random.random(n)
        right = chances[classes, 1] + (1 - chances[classes, 1]) * (scores - 0.5)
        return classes, scores, random.random(n) < right

    all_classes, all_scores, all_right = sample(200_000)
    broken = passing = 0
    for _ in range(TRIALS):
        drawn = zip(*(each.tolist() for each in sample(600)), strict=True)
        items = [
            judged(f"{n}", labels[each] if is_right else "-", (labels[each], score))
            for n, (each, score, is_right) in enumerate(drawn)
        ]
        rule = LabelThresholds(1, *thresholds(items, 0.9).to_labels())
        assert not rule.labels or rule.default == 1
        cuts = np.array([rule.of(label) for label in labels])[all_classes]
        passed = (all_scores >= cuts) & (cuts < 1)
        passing += bool(passed.any())
        broken += bool(passed.any() and all_right[passed].mean() < 0.9)
    assert passing > TRIALS / 10
    assert broken <= binom.ppf(0.99, TRIALS, 0.1)


def test_the_test_is_exact_and_stops_at_the_first_failure() -> None:
    scores = np.concatenate([np.full(44, 0.995), np.full(100, 0.6), np.full(1000, 0.3)])
    right = np.ones(len(scores), bool)
    right[44:90] = False  # at 0.6 the precision is too low; at 0.3 it would be high enough
    overall = thresholds(of_best(scores, right), 0.9, classes=()).overall
    assert (overall.cut, overall.accepted, overall.right, overall.total) == (0.61, 44, 44, 1144)
    assert overall.coverage == 44 / 1144
    assert (overall.delta, overall.more_needed) == (0.1, None)
    assert binom.sf(43, 44, 0.9) <= 0.1


def test_few_labels_say_how_many_more_are_needed() -> None:
    assert [min_items(target, 0.05) for target in (0.9, 0.95, 0.99)] == [29, 59, 299]
    assert min_items(0.9, 0.1) == 22
    right = of_best(np.full(21, 0.97), np.ones(21, bool))
    overall = thresholds(right, 0.9, classes=()).overall
    assert (overall.cut, overall.more_needed, overall.coverage) == (None, 1, 0.0)
    assert thresholds((*right, judged("x", "a", ("a", 0.97))), 0.9, classes=()).overall.cut == 0.0
    half = of_best(np.array([*[0.97] * 10, *[0.2] * 30]), np.array([*[True] * 10, *[False] * 30]))
    more = thresholds(half, 0.9, classes=()).overall.more_needed
    assert more == pytest.approx(44 * 4 - 40, rel=0.05)  # 44 at 0.97
    assert more is not None
    enough = of_best(
        np.repeat([0.97, 0.2], [10 + more // 4, 30 + 3 * more // 4]), np.arange(40 + more) < 10 + more // 4
    )
    assert thresholds(enough, 0.9, classes=()).overall.cut == 0.21
    wrong = of_best(np.full(500, 0.97), np.arange(500) % 2 > 0)
    found = thresholds(wrong, 0.9, classes=())
    assert found.overall.more_needed is None
    assert "the surest labels are wrong too often, 250 of 500 are right" in threshold_text(found.overall, 0.9)
    few = thresholds(of_best(np.full(8, 0.97), np.arange(8) > 1), 0.9, classes=()).overall
    assert few.surest is not None and (few.surest.hits, few.surest.total, few.more_needed) == (6, 8, None)
    assert threshold_text(few, 0.9) == (
        "no score can be promised for a precision of 0.9 from 8 videos: these are too few to know whether the surest "
        "labels are right often enough, 6 of 8 are right (95 %: 0.41 to 0.93)"
    )


def test_only_classes_with_enough_labels_are_tried() -> None:
    items = [judged(f"{n}", "a", ("a", 0.9)) for n in range(40)]
    items += [judged(f"b{n}", "b", ("b", 0.9)) for n in range(35)]
    items += [judged(f"c{n}", "c", ("c", 0.9)) for n in range(36)]
    items += [judged(f"d{n}", "d", ("d", 0.9)) for n in range(12)]
    found = thresholds(items, 0.9)
    assert [(each.label, each.cut) for each in found.classes] == [("a", 0.0), ("c", 0.0)]
    assert (found.classes[0].delta, found.overall.delta, found.min_class_items) == (0.025, 0.05, 36)
    asked = thresholds(items, 0.9, ["d", "a", "never said"])
    assert [(each.label, each.cut, each.total) for each in asked.classes] == [
        ("a", 0.0, 40),
        ("d", None, 12),
        ("never said", None, 0),
    ]
    assert [each.more_needed for each in asked.classes] == [None, min_items(0.9, 0.1 / 6) - 12, None]
    assert asked.classes[2].coverage is None


def test_an_accepted_label_of_an_item_without_a_class_is_wrong() -> None:
    right = [judged(f"{n}", "a", ("a", 1.0)) for n in range(100)]
    none = [judged(f"x{n}", "", ("a", 1.0)) for n in range(20)]
    assert thresholds(right, 0.9).overall.accepted == 100
    found = thresholds([*right, *none], 0.9).overall
    assert (found.cut, found.total) == (None, 120)


@pytest.mark.parametrize("order", [1, -1])
def test_ties_and_the_order_of_items_do_not_matter(order: int) -> None:
    items = of_best(np.full(100, 0.5), np.arange(100) > 2)[::order]
    assert thresholds(items, 0.9, classes=()).overall.cut == 0.0
    assert thresholds(items, 0.9, classes=()).overall.right == 97


def test_items_without_a_score_are_left_out() -> None:
    items = [judged("1", "a", failed=True), judged("2", "a"), judged("3", "a", ("a", float("nan")))]
    found: Thresholds = thresholds(items, 0.9)
    assert (found.overall.total, found.overall.coverage, found.classes) == (0, None, ())


def test_impossible_targets_are_refused() -> None:
    for target in (0.0, 1.0, 90.0, float("nan")):
        with pytest.raises(ConfigError, match="above 0 and below 1"):
            thresholds((), target)


def test_the_grid_is_from_strict_to_loose() -> None:
    assert list(GRID) == sorted(set(GRID), reverse=True)
    assert (GRID[0], GRID[-1]) == (0.999, 0.0)
