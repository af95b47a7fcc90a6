"""The statistics of drift: exact where a formula is known, and simulated where a rate is promised."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from reelbeam.transforms.output.comparison import distances, shares
from reelbeam.transforms.output.comparison.drift import RARE_LABELS, VideoSample, measure_drift
from reelbeam.transforms.output.digest.changes import Drift

NUM_LABELS = 600
ZIPF = 1 / np.arange(1, NUM_LABELS + 1)
ZIPF /= ZIPF.sum()
NAMES = [f"label {number:03d}" for number in range(NUM_LABELS)]


def sample(
    labels: dict[str, int],
    failures: dict[str, int] | None = None,
    numbers: dict[str, list[float]] | None = None,
    codecs: dict[str, int] | None = None,
) -> VideoSample:
    """Returns a side with these counts."""
    failed = failures or {}
    arrays = {name: np.array(values, float) for name, values in (numbers or {}).items()}
    videos = sum(labels.values()) + sum(failed.values())
    return VideoSample(videos, labels, {"codec": codecs or {}}, failed, arrays)


def drawn(random: np.random.Generator, size: int, shares_of_labels: npt.NDArray[np.float64] = ZIPF) -> VideoSample:
    """Returns a side of videos whose labels are drawn from a distribution."""
    counts = random.multinomial(size, shares_of_labels)
    return sample({name: int(count) for name, count in zip(NAMES, counts, strict=True) if count})


def moved(share: float) -> npt.NDArray[np.float64]:
    """Returns the distribution after a share of the videos got one label that is rare otherwise."""
    target = np.zeros(NUM_LABELS)
    target[400] = 1
    return (1 - share) * ZIPF + share * target


def verdicts(pairs: list[tuple[int, int]], repetitions: int, share: float = 0) -> collections.Counter[str]:
    random = np.random.default_rng(7)
    return collections.Counter(
        measure_drift(drawn(random, size), drawn(random, other, moved(share))).verdict
        for size, other in pairs * repetitions
    )


def test_no_drift_raises_few_alarms() -> None:
    sizes = [(100, 100), (100, 3000), (300, 200), (1000, 1000), (3000, 800)]
    random = np.random.default_rng(1)
    found = [shares.shift(drawn(random, n).labels, drawn(random, m).labels) for n, m in sizes * 50]
    p_values = np.array([each.p_value for each in found])
    # 5 % are expected. A correct test exceeds this bound, or is below the other, with a probability of 0.001 each.
    low, high = stats.binom.ppf([0.001, 0.999], len(found), 0.05)
    assert low <= np.count_nonzero(p_values <= 0.05) <= high
    assert stats.kstest(p_values, "uniform").pvalue > 0.001, "the p-values of equal distributions are uniform"
    is_large = np.array([each.total_variation > 0.1 for each in found])
    assert np.mean(is_large & (p_values <= 0.05)) <= 0.05


def test_many_videos_without_drift_raise_no_alarm() -> None:
    assert verdicts([(20_000, 30_000)], 10) == {"no drift": 10}


@pytest.mark.parametrize(("share", "size"), [(0.2, 300), (0.15, 1000), (0.13, 10_000)])
def test_drift_is_found_with_enough_videos(share: float, size: int) -> None:
    assert verdicts([(size, size), (size, 3 * size)], 10, share)["drift"] >= 19


def test_a_small_significant_change_is_no_drift() -> None:
    random = np.random.default_rng(3)
    found = measure_drift(drawn(random, 20_000), drawn(random, 20_000, moved(0.03)))
    assert found.verdict == "no drift" and found.p_value == 1 / 1000
    assert found.total_variation == pytest.approx(0.03, abs=0.01)
    assert (
        measure_drift(drawn(random, 20_000), drawn(random, 20_000, moved(0.03)), min_total_variation=0.02).verdict
        == "drift"
    )


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("size", [1000, 10_000])
def test_total_variation_estimates_the_share_of_moved_videos(share: float, size: int) -> None:
    random = np.random.default_rng(4)
    true = np.abs(moved(share) - ZIPF).sum() / 2
    found = [measure_drift(drawn(random, size), drawn(random, size, moved(share))).total_variation for _ in range(10)]
    assert np.mean(found) == pytest.approx(true, abs=0.035, rel=0.15)


def test_total_variation_without_drift_is_small() -> None:
    random = np.random.default_rng(5)
    for size, largest in ((300, 0.06), (1000, 0.04), (10_000, 0.02)):
        found = [measure_drift(drawn(random, size), drawn(random, size)).total_variation for _ in range(20)]
        assert np.mean(found) < largest


def test_identical_sides_have_no_drift() -> None:
    side = drawn(np.random.default_rng(2), 3000)
    found = measure_drift(side, side)
    assert (found.verdict, found.p_value, found.total_variation) == ("no drift", 1, 0)
    assert not any(change.is_significant for change in found.labels)
    assert all(change.low <= 0 <= change.high for change in found.labels)


def test_one_label_for_all_videos() -> None:
    found = measure_drift(sample({"a": 40}), sample({"a": 4000}))
    assert (found.verdict, found.p_value, found.total_variation, found.divergence_bits) == ("no drift", 1, 0, 0)


def test_two_labels_that_swap() -> None:
    found = measure_drift(sample({"a": 500}), sample({"b": 500}))
    assert (found.verdict, found.p_value) == ("drift", 1 / 1000)
    assert found.total_variation == pytest.approx(1, abs=0.01) and found.divergence_bits == pytest.approx(1, abs=0.01)
    assert [(each.name, each.videos_before, each.videos_after) for each in found.labels] == [
        ("a", 500, 0),
        ("b", 0, 500),
    ]


def test_every_video_has_its_own_label() -> None:
    before, after = (sample({f"{side} {number}": 1 for number in range(20_000)}) for side in "ab")
    found = measure_drift(before, after)
    assert found.verdict == "no drift", "nothing distinguishes this from samples of many labels"
    (pooled,) = found.labels
    assert (pooled.name, pooled.videos_before, pooled.videos_after) == (RARE_LABELS, 20_000, 20_000)


def test_under_thirty_labeled_videos_there_is_no_verdict() -> None:
    found = measure_drift(sample({"a": 29}), sample({"b": 1000}))
    assert found.verdict == "too few videos" and found.p_value < 0.01 and found.labels[0].is_significant
    assert measure_drift(sample({"a": 30}), sample({"b": 30})).verdict == "drift"
    failed = sample({"a": 12}, failures={"corrupt_video": 500})
    assert measure_drift(failed, sample({"a": 1000})).verdict == "too few videos", "failed videos have no label"


def test_a_side_without_labels_has_numbers_but_no_verdict() -> None:
    found = measure_drift(sample({}, failures={"corrupt_video": 100}), sample({"a": 100}))
    assert (found.verdict, found.p_value, found.total_variation, found.labels) == ("too few videos", 1, 0, ())
    (failure,) = found.failures
    assert (failure.name, failure.videos_before, failure.videos_after) == ("corrupt_video", 100, 0)
    assert failure.is_significant and failure.share_before == 1 and failure.difference == -1
    nothing = measure_drift(sample({}), sample({}))
    assert (nothing.verdict, nothing.labels, nothing.failures) == ("too few videos", (), ())


def test_other_settings_are_not_comparable() -> None:
    found = measure_drift(sample({"a": 500}), sample({"b": 500}), is_comparable=False)
    assert found.verdict == "not comparable" and found.total_variation > 0.9
    assert measure_drift(sample({"a": 5}), sample({"b": 5}), is_comparable=False).verdict == "not comparable"


def test_the_empty_label_is_a_label() -> None:
    found = measure_drift(sample({"": 100, "a": 100}), sample({"a": 200}))
    assert found.verdict == "drift" and {each.name for each in found.labels} == {"", "a"}


def test_rare_labels_are_pooled_and_last() -> None:
    found = measure_drift(sample({"a": 100, "b": 2, "c": 4, "d": 3}), sample({"a": 100, "b": 2, "d": 2}))
    assert [(each.name, each.videos_before, each.videos_after) for each in found.labels] == [
        ("a", 100, 100),
        ("d", 3, 2),
        (RARE_LABELS, 6, 2),
    ]
    assert {each.of_before for each in found.labels} == {109} and {each.of_after for each in found.labels} == {104}


def test_the_result_is_deterministic_and_without_order() -> None:
    random = np.random.default_rng(6)
    before, after = drawn(random, 500), drawn(random, 700)
    turned = sample(dict(sorted(before.labels.items(), reverse=True)))
    assert measure_drift(before, after) == measure_drift(turned, after)


def test_few_labels_are_significant_without_drift() -> None:
    random = np.random.default_rng(8)
    found = [measure_drift(drawn(random, 2000), drawn(random, 2000)) for _ in range(40)]
    with_false_ones = sum(any(change.is_significant for change in each.labels) for each in found)
    assert with_false_ones <= stats.binom.ppf(0.999, len(found), shares.FALSE_DISCOVERIES)


def test_the_label_that_moved_is_significant() -> None:
    random = np.random.default_rng(9)
    found = measure_drift(drawn(random, 3000), drawn(random, 3000, moved(0.1)))
    first = found.labels[0]
    assert (first.name, first.is_significant) == (NAMES[400], True) and first.low < 0.1 < first.high


def test_fisher_is_the_exact_permutation_test() -> None:
    """Counts all assignments of 7 videos to sides of 3 and 4, where 4 videos have the label."""
    has_label = [True] * 4 + [False] * 3
    counts = [sum(has_label[place] for place in side) for side in itertools.combinations(range(7), 3)]
    for count in range(4):
        low, high = (sum(test(each) for each in counts) / len(counts) for test in (count.__ge__, count.__le__))
        found = shares.exact_p_values(np.array([count]), np.array([4 - count]), 3, 4)
        assert found[0] == pytest.approx(min(1, 2 * min(low, high)))


def test_intervals_are_those_of_the_literature() -> None:
    """The example of Newcombe 1998: 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339."""
    low, high = shares.newcombe_interval(np.array([48]), np.array([56]), 80, 70)
    assert (round(low[0], 4), round(high[0], 4)) == (0.0524, 0.3339)
    low, high = shares.newcombe_interval(np.array([0, 10]), np.array([20, 0]), 10, 20)
    assert low[0] > 0.5 and high[0] == 1 and low[1] == -1 and high[1] < -0.5
    low, high = shares.wilson_interval(np.array([2, 0, 10]), 10)
    assert (low[1], high[2]) == pytest.approx((0, 1)) and low[0] == pytest.approx(0.0567, abs=1e-4)


def test_divergence_is_that_of_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    before, after = {"a": 30, "b": 70, "c": 5}, {"a": 60, "b": 10}
    counts = np.array([[30, 70, 5]]), np.array([90, 80, 5])
    exact = jensenshannon([30, 70, 5], [60, 10, 0], base=2) ** 2
    assert shares._measures(*counts, 105)[1, 0] == pytest.approx(exact)
    assert 0 < exact - shares.shift(before, after).divergence_bits < 0.02


def test_a_distance_is_that_of_wasserstein_with_a_uniform_p_value() -> None:
    random = np.random.default_rng(10)
    found = distances.distance("x", np.array([1.0, 2, 3]), np.array([2.0, 3, 4]))
    assert found is not None and found.distance == pytest.approx(1)
    p_values = []
    for _ in range(120):
        result = distances.distance("x", random.exponential(1, 300), random.exponential(1, 200))
        assert result is not None
        p_values.append(result.p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_a_moved_number_has_a_small_p_value() -> None:
    random = np.random.default_rng(11)
    for factor in (1.0, 1e12, 1e-9):
        before, after = random.normal(0, 1, 500) * factor, random.normal(0.4, 1, 500) * factor
        found = distances.distance("x", before, after)
        assert found is not None and found.p_value == 1 / 1000
        assert found.distance == pytest.approx(0.4 * factor, rel=0.4)


def test_ties_and_unknown_numbers() -> None:
    found = distances.distance("fps", np.array([25.0] * 500), np.array([25.0] * 40 + [np.nan]))
    assert found is not None and (found.distance, found.p_value) == (0, 1)
    found = distances.distance("fps", np.array([25.0] * 500), np.array([30.0] * 500))
    assert found is not None and (found.distance, found.p_value) == (5, 1 / 1000)
    found = distances.distance("fps", np.array([25.0, 30] * 250), np.array([25.0, 30] * 40))
    assert found is not None and (found.distance, found.p_value) == (0, 1)
    found = distances.distance("fps", np.array([25.0, 1e308, np.inf]), np.array([26.0, -1e308]))
    assert found is not None and found.distance == 1, "impossible numbers are left out"
    assert distances.distance("fps", np.array([np.nan]), np.array([25.0])) is None
    assert distances.distance("fps", np.array([]), np.array([25.0])) is None


def test_facts_and_distances_are_named() -> None:
    def side(codecs: dict[str, int], fps: float) -> VideoSample:
        return sample({"a": 100}, numbers={"frames per second": [fps] * 100}, codecs=codecs)

    found: Drift = measure_drift(side({"h264": 90, "vp9": 10}, 25), side({"h264": 50, "hevc": 40, "av1": 2}, 30))
    assert [each.name for each in found.facts] == ["codec hevc", "codec h264", "codec vp9", "codec: others"]
    assert [each.of_after for each in found.facts] == [92] * 4
    assert [(each.name, each.distance) for each in found.distances] == [("frames per second", 5)]
    assert found.verdict == "no drift", "the verdict is about labels"
