"""The statistics of numbers: distances and their p-values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reelbeam.transforms.output.comparison import distances


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
