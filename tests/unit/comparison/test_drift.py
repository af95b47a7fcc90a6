"""The statistics of drift: exact where a formula is known, and simulated where a rate is promised."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from drawn_labels import NAMES, drawn, moved
from scipy import stats

from reelbeam.transforms.output.comparison import shares
from reelbeam.transforms.output.comparison.changes import Drift
from reelbeam.transforms.output.comparison.drift import RARE_LABELS, VideoSample, measure_drift


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


def verdicts(pairs: list[tuple[int, int]], repetitions: int, share: float = 0) -> collections.Counter[str]:
    random = np.random.default_rng(7)
    return collections.Counter(
        measure_drift(sample(drawn(random, size)), sample(drawn(random, other, moved(share)))).verdict
        for size, other in pairs * repetitions
    )


def test_no_drift_raises_few_alarms() -> None:
    sizes = [(100, 100), (100, 3000), (300, 200), (1000, 1000), (3000, 800)]
    random = np.random.default_rng(1)
    found = [shares.shift(drawn(random, n), drawn(random, m)) for n, m in sizes * 50]
    p_values = np.array([each.p_value for each in found])
    # 5 % are expected. A correct test exceeds this bound, or is below the other, with a probability of 0.001 each.
    low, high = stats.binom.ppf([0.001, 0.999], len(found), 0.05)
    assert low <= np.count_nonzero(p_values <= 0.05) <= high
    assert stats.kstest(p_values, "uniform").pvalue > 0.001, "the p-values of equal distributions are uniform"
    is_large = np.array([each.moved > 0.1 for each in found])
    assert np.mean(is_large & (p_values <= 0.05)) <= 0.05


def test_many_videos_without_drift_raise_no_alarm() -> None:
    assert verdicts([(20_000, 30_000)], 10) == {"no drift": 10}


@pytest.mark.parametrize(("share", "size"), [(0.2, 300), (0.15, 1000), (0.13, 10_000)])
def test_drift_is_found_with_enough_videos(share: float, size: int) -> None:
    assert verdicts([(size, size), (size, 3 * size)], 10, share)["drift"] >= 19


def test_a_small_significant_change_is_no_drift() -> None:
    random = np.random.default_rng(3)
    found = measure_drift(sample(drawn(random, 20_000)), sample(drawn(random, 20_000, moved(0.03))))
    assert found.verdict == "no drift" and found.p_value == 1 / 1000
    assert found.moved == pytest.approx(0.03, abs=0.01)
    assert (
        measure_drift(sample(drawn(random, 20_000)), sample(drawn(random, 20_000, moved(0.03))), min_drift=0.02).verdict
        == "drift"
    )


def test_identical_sides_have_no_drift() -> None:
    side = sample(drawn(np.random.default_rng(2), 3000))
    found = measure_drift(side, side)
    assert (found.verdict, found.p_value, found.moved) == ("no drift", 1, 0)
    assert not any(change.is_significant for change in found.labels)
    assert all(change.low <= 0 <= change.high for change in found.labels)


def test_one_label_for_all_videos() -> None:
    found = measure_drift(sample({"a": 40}), sample({"a": 4000}))
    assert (found.verdict, found.p_value, found.moved, found.divergence_bits) == ("no drift", 1, 0, 0)


def test_two_labels_that_swap() -> None:
    found = measure_drift(sample({"a": 500}), sample({"b": 500}))
    assert (found.verdict, found.p_value) == ("drift", 1 / 1000)
    assert found.moved == pytest.approx(1, abs=0.01) and found.divergence_bits == pytest.approx(1, abs=0.01)
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
    assert (found.verdict, found.p_value, found.moved, found.labels) == ("too few videos", 1, 0, ())
    (failure,) = found.failures
    assert (failure.name, failure.videos_before, failure.videos_after) == ("corrupt_video", 100, 0)
    assert failure.is_significant and failure.share_before == 1 and failure.difference == -1
    nothing = measure_drift(sample({}), sample({}))
    assert (nothing.verdict, nothing.labels, nothing.failures) == ("too few videos", (), ())


def test_other_settings_are_not_comparable() -> None:
    found = measure_drift(sample({"a": 500}), sample({"b": 500}), is_comparable=False)
    assert found.verdict == "not comparable" and found.moved > 0.9
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
    before, after = sample(drawn(random, 500)), sample(drawn(random, 700))
    turned = sample(dict(sorted(before.labels.items(), reverse=True)))
    assert measure_drift(before, after) == measure_drift(turned, after)


def test_few_labels_are_significant_without_drift() -> None:
    random = np.random.default_rng(8)
    found = [measure_drift(sample(drawn(random, 2000)), sample(drawn(random, 2000))) for _ in range(40)]
    with_false_ones = sum(any(change.is_significant for change in each.labels) for each in found)
    assert with_false_ones <= stats.binom.ppf(0.999, len(found), shares.FALSE_DISCOVERIES)


def test_the_label_that_moved_is_significant() -> None:
    random = np.random.default_rng(9)
    found = measure_drift(sample(drawn(random, 3000)), sample(drawn(random, 3000, moved(0.1))))
    first = found.labels[0]
    assert (first.name, first.is_significant) == (NAMES[400], True) and first.low < 0.1 < first.high


def test_facts_and_distances_are_named() -> None:
    def side(codecs: dict[str, int], fps: float) -> VideoSample:
        return sample({"a": 100}, numbers={"frames per second": [fps] * 100}, codecs=codecs)

    found: Drift = measure_drift(side({"h264": 90, "vp9": 10}, 25), side({"h264": 50, "hevc": 40, "av1": 2}, 30))
    assert [each.name for each in found.facts] == ["codec hevc", "codec h264", "codec vp9", "codec: others"]
    assert [each.of_after for each in found.facts] == [92] * 4
    assert [(each.name, each.distance) for each in found.distances] == [("frames per second", 5)]
    assert found.verdict == "no drift", "the verdict is about labels"
