"""Intervals of shares: they are the published ones, and they cover the true share as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest
from judged_factory import judged
from scipy.stats import binom, binomtest

from reelbeam.transforms.evaluation import intervals
from reelbeam.transforms.evaluation.intervals import (
    bootstrap,
    mean_of,
    one_per_video,
    proportion,
    split_videos,
    video_numbers,
    wilson,
)


@pytest.mark.parametrize(("hits", "total"), [(0, 1), (1, 1), (2, 2), (0, 7), (45, 50), (166, 231), (9999, 10_000)])
def test_wilson_is_that_of_scipy(hits: int, total: int) -> None:
    expected = binomtest(hits, total).proportion_ci(0.95, "wilson")
    found = wilson(hits, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_has_the_published_values() -> None:
    assert [round(wilson(166, 231).low, 2), round(wilson(166, 231).high, 2)] == [0.66, 0.77]
    assert [round(wilson(2, 2).low, 2), wilson(2, 2).high] == [0.34, 1.0]


@pytest.mark.parametrize("total", [10, 50, 231])
def test_wilson_covers_the_true_share_in_about_95_percent(total: int) -> None:
    found = [wilson(hits, total) for hits in range(total + 1)]
    coverages = []
    for share in np.linspace(0.05, 0.95, 91):
        chances = binom.pmf(np.arange(total + 1), total, share)
        is_covered = np.array([each.low <= share <= each.high for each in found])
        coverages.append(float(chances @ is_covered))
    assert 0.94 <= np.mean(coverages) <= 0.965
    assert min(coverages) > 0.85


def test_a_bootstrap_of_videos_covers_the_true_share_and_an_interval_over_clips_does_not() -> None:
    random = np.random.default_rng(1)
    videos = np.repeat(np.arange(100), 20)
    trials, covered, covered_by_clips = 150, 0, 0
    for trial in range(trials):
        of_video = random.beta(1.4, 0.6, 100)  # the mean is 0.7; clips of a video are alike
        hits = random.random(2000) < of_video[videos]
        found = proportion(hits, videos, trial)
        assert found.low is not None and found.high is not None
        over_clips = wilson(found.hits, found.total)
        covered += found.low <= 0.7 <= found.high
        covered_by_clips += over_clips.low <= 0.7 <= over_clips.high
    assert covered >= binom.ppf(0.01, trials, 0.94)
    assert covered_by_clips / trials < 0.75


def test_videos_have_wilson_and_clips_have_a_bootstrap() -> None:
    hits = np.arange(60) % 3 > 0
    assert proportion(hits, np.arange(60), 0).method == "wilson"
    clips = proportion(hits, np.arange(60) // 2, 0)
    assert (clips.hits, clips.total, clips.method) == (40, 60, "bootstrap of videos")
    assert clips == proportion(hits, np.arange(60) // 2, 0)


def test_few_videos_have_no_interval_over_clips() -> None:
    found = proportion(np.arange(190) % 2 > 0, np.arange(190) // 10, 0)
    assert (found.value, found.low, found.high, found.method) == (0.5, None, None, "none")
    assert mean_of(np.arange(19.0), np.arange(19), 0).low is None
    assert mean_of(np.ones(50), np.arange(50), 0).low is None  # samples do not vary
    assert mean_of(np.arange(20.0), np.arange(20), 0).low is not None


def test_all_clips_right_is_no_proof_of_1() -> None:
    found = proportion(np.ones(200, bool), np.arange(200) // 4, 0)
    assert (found.low, found.high) == (wilson(50, 50).low, 1.0)
    assert proportion(np.zeros(200, bool), np.arange(200) // 4, 0).high == wilson(0, 50).high


def test_nothing_is_not_0() -> None:
    assert proportion([], np.array([], np.int64), 0).value is None
    assert mean_of(np.array([]), np.array([], np.int64), 0).value is None
    one = proportion([True], np.array([0]), 0)
    assert (one.value, one.low, one.high) == (1.0, wilson(1, 1).low, 1.0)


def test_an_undefined_statistic_has_no_interval() -> None:
    assert bootstrap(lambda drawn: float("nan"), 30, 0) is None
    assert bootstrap(lambda drawn: 1.0, intervals.MIN_VIDEOS - 1, 0) is None


def test_a_sample_has_one_clip_of_each_video_and_a_split_has_whole_videos() -> None:
    clips = [judged(f"{n % 30}.mp4", "a", ("a", 0.5), clip=n // 30) for n in range(300)]
    found = one_per_video(clips, 0)
    assert [item.video_uri for item in found] == [f"{n}.mp4" for n in range(30)]
    assert set(one_per_video(clips[::-1], 0)) == set(found)
    assert set(one_per_video(clips, 1)) != set(found)
    assert len({item.clip_index for item in found}) > 5
    first, others = split_videos(clips, 0.3, 0)
    assert {item.video_uri for item in first}.isdisjoint(item.video_uri for item in others)
    assert len(first) + len(others) == 300
    assert 30 <= len(first) <= 150
    assert split_videos(clips, 0.0, 0)[0] == ()
    assert video_numbers(clips[:31]).tolist() == [*range(30), 0]
