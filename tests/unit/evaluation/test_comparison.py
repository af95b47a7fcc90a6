"""The comparison of two outputs: only items in both, an exact test, and intervals over videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from judged_factory import judged
from scipy.stats import binom

from reelbeam.transforms.evaluation.comparison import compare
from reelbeam.transforms.evaluation.intervals import wilson
from reelbeam.transforms.evaluation.judged import Judged


def answers(right: str, clips: int = 1) -> list[Judged]:
    """Returns an item for each letter: "1" is right, "0" wrong, "5" right as the second label, "x" failed."""
    return [
        judged(f"{n // clips}.mp4", "a", *_labels(letter), failed=letter == "x", clip=n % clips if clips > 1 else None)
        for n, letter in enumerate(right)
    ]


def _labels(letter: str) -> Sequence[tuple[str, float]]:
    return {"1": [("a", 0.9), ("b", 0.1)], "0": [("b", 0.7)], "5": [("b", 0.6), ("a", 0.3)], "x": []}[letter]


def test_mcnemar_by_hand() -> None:
    a = answers("1" * 20 + "0" * 9 + "1" + "0" * 10)
    b = answers("1" * 20 + "1" * 9 + "0" + "0" * 10)
    (top,) = compare(a, b, (1,)).top
    assert (top.only_a_right, top.only_b_right) == (1, 9)
    assert top.p_value == pytest.approx(2 * (1 + 10) / 2**10)
    assert (top.accuracy_a, top.accuracy_b, top.difference) == (21 / 40, 29 / 40, pytest.approx(0.2))
    assert top.low is not None and top.high is not None and 0 < top.low < 0.2 < top.high
    assert top.verdict == "b is better"
    assert compare(b, a, (1,)).top[0].verdict == "a is better"


def test_equal_outputs_show_no_difference() -> None:
    a = answers("10" * 30)
    found = compare(a, a, (1, 5))
    most = wilson(0, 60).high
    assert [(top.p_value, top.verdict, top.difference, top.low, top.high) for top in found.top] == [
        (1.0, "no difference shown", 0.0, -most, most)
    ] * 2
    assert compare(answers("10" * 60, 4), answers("10" * 60, 4), (1,)).top[0].verdict == "no difference shown"
    assert (found.right_to_wrong, found.wrong_to_right) == ((), ())


def test_outputs_that_differ_by_chance_are_rarely_called_different() -> None:
    random = np.random.default_rng(1)
    trials, alarms = 150, 0
    for _ in range(trials):
        draws = ("".join(map(str, random.binomial(1, 0.7, 100).tolist())) for _ in range(2))
        a, b = map(answers, draws)
        alarms += compare(a, b, (1,)).top[0].verdict != "no difference shown"
    assert alarms <= binom.ppf(0.99, trials, 0.05)


def test_the_interval_covers_the_true_difference() -> None:
    random = np.random.default_rng(2)
    trials, covered = 100, 0
    for _ in range(trials):
        easy = random.random(30) < 0.5  # the clips of a video are alike: 0.9 and 0.7 right, or 0.5 and 0.3
        a, b = (
            answers("".join(str(int(hit)) for hit in random.random(120) < np.repeat(np.where(easy, *chances), 4)), 4)
            for chances in ((0.9, 0.5), (0.7, 0.3))
        )
        (top,) = compare(a, b, (1,)).top
        assert top.low is not None and top.high is not None
        covered += top.low <= -0.2 <= top.high
    assert covered >= binom.ppf(0.01, trials, 0.93)


def test_clips_have_no_mcnemar_test() -> None:
    a, b = answers("1100" * 30, 4), answers("1110" * 30, 4)
    (top,) = compare(a, b, (1,)).top
    assert (top.p_value, top.verdict) == (None, "b is better")
    (few,) = compare(a[:40], b[:40], (1,)).top
    assert (few.p_value, few.low, few.verdict, few.difference) == (None, None, "too few videos", 0.25)


def test_failed_items_count_as_wrong_and_top_5_is_apart() -> None:
    found = compare(answers("11115x"), answers("1x55x5"), (1, 5))
    first, fifth = found.top
    assert (first.only_a_right, first.only_b_right) == (3, 0)
    assert (fifth.only_a_right, fifth.only_b_right) == (2, 1)
    assert [each.item.video_uri for each in found.right_to_wrong] == ["1.mp4", "2.mp4", "3.mp4"]
    assert [(each.label_a, each.label_b, each.score_b) for each in found.right_to_wrong[:2]] == [
        ("a", None, None),
        ("a", "b", 0.6),
    ]


def test_only_items_in_both_with_the_same_truth_are_compared() -> None:
    a = [*answers("111"), judged("a.mp4", "a"), judged("none.mp4", "", ("a", 0.9)), judged("t.mp4", "a", ("a", 0.9))]
    b = [*answers("10"), judged("b.mp4", "a"), judged("b2.mp4", "a"), judged("t.mp4", "b", ("a", 0.9))]
    found = compare(a, b, (1,))
    assert (found.items, found.videos, found.only_in_a, found.only_in_b, found.left_out) == (2, 2, 2, 2, 1)
    assert compare(answers("11") + answers("1"), answers("11"), (1,)).left_out == 1


def test_clips_are_matched_by_their_time() -> None:
    a = [judged("v", "a", ("a", 0.9), clip=1)]
    b = [Judged("v", frozenset("a"), ("a",), (0.9,), clip_index=3, start_ms=1000, end_ms=2000)]
    assert compare(a, b, (1,)).items == 1


@pytest.mark.parametrize("items", [[], answers("x")])
def test_nothing_to_compare(items: list[Judged]) -> None:
    (top,) = compare(items, [], (1,)).top
    assert (top.accuracy_a, top.difference, top.verdict) == (None, None, "too few videos")
