"""The statistics of numbers: the Wasserstein distance of two samples, tested by permutation of videos."""

from __future__ import annotations

import numpy as np
from scipy import stats

from reelbeam.transforms.output.arrays import Floats, Numbers
from reelbeam.transforms.output.comparison.changes import Distance
from reelbeam.transforms.output.comparison.shares import SEED, draws, p_value

_BINS = 256
_LARGEST = 1e100
"""No measured number is larger. Rows are not trusted, and sums of such numbers would be infinite."""


def distance(name: str, before: Floats, after: Floats) -> Distance | None:
    """Returns the distance of two samples; None if one has no number.

    The p-value is that of the distance between two histograms with 256 bins of equal size, so that a permutation costs
    256 draws instead of one for each video.

    Args:
      name: of the number, with its unit.
      before, after: a number for each video; NaN if it is unknown.
    """
    before, after = before[np.abs(before) <= _LARGEST], after[np.abs(after) <= _LARGEST]
    if not len(before) or not len(after):
        return None
    places, first, pooled = _histograms(before, after)
    size = len(before)
    found = _bin_distances(first[np.newaxis], pooled, size, places)[0]
    random = np.random.default_rng(SEED)
    drawn = [_bin_distances(draw, pooled, size, places) for draw in draws(random, pooled, size)]
    exact = float(stats.wasserstein_distance(before, after))
    # A distance grows with the unit of the number, and so do its rounding errors.
    scale = float(places[-1] - places[0]) or 1.0
    return Distance(name, exact, p_value(found / scale, np.concatenate(drawn) / scale))


def _histograms(before: Floats, after: Floats) -> tuple[Floats, Numbers, Numbers]:
    """Returns the mean of each bin, and the counts of the first sample and of both together."""
    together = np.concatenate([before, after])
    edges = np.unique(np.quantile(together, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    bins = np.searchsorted(edges, together, side="left")  # equal numbers are in one bin
    pooled = np.bincount(bins, minlength=len(edges) + 1)
    is_used = pooled > 0
    first = np.bincount(bins[: len(before)], minlength=len(pooled))
    means = np.bincount(bins, weights=together, minlength=len(pooled))[is_used] / pooled[is_used]
    return means, first[is_used].astype(np.int64), pooled[is_used].astype(np.int64)


def _bin_distances(first: Numbers, pooled: Numbers, size: int, places: Floats) -> Floats:
    """Returns the distance of each row of counts from the rest of the pooled counts."""
    shares, others = first / size, (pooled - first) / (pooled.sum() - size)
    distances: Floats = np.abs(np.cumsum(others - shares, axis=1)[:, :-1]) @ np.diff(places)
    return distances
