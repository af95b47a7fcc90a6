"""The statistics of shares: how far two distributions over names differ, and which shares changed. Pure functions.

The unit is the video, because the clips of one video resemble each other. A permutation assigns all videos at random
to two sides of the given sizes. So the counts of one side are a draw from a multivariate hypergeometric distribution,
and the count of one name is hypergeometric: Fisher's exact test is the permutation test of one share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from reelbeam.transforms.output.arrays import Floats, Mask, Numbers
from reelbeam.transforms.output.comparison.changes import ShareChange

NUM_PERMUTATIONS = 999
SEED = 20260101
FALSE_DISCOVERIES = 0.1
"""The expected part of false ones among the significant shares, at most."""
RARE = 5
"""A name that fewer videos have, on both sides together, is pooled with the other rare ones."""

_ROUNDING = 1e-12
_CELLS = 2_000_000
"""The maximum number of counts that are drawn at once."""
_MAX_NAMES = 5_000
_QUANTILE = 1.959963984540054
"""Of the normal distribution, for intervals of 95 %."""


class Shift(NamedTuple):
    """How far two distributions differ.

    Attributes:
      observed_variation: the part of the videos that would need another name to make the shares equal, in [0, 1]: the
        total variation of the shares as they are.
      chance_variation: its mean under permutation: what chance alone gives.
      moved: an estimate of it for the two corpora of which the sides are samples.
      divergence_bits: the Jensen-Shannon divergence minus its mean under permutation.
      p_value: of the divergence.
    """

    observed_variation: float
    chance_variation: float
    moved: float
    divergence_bits: float
    p_value: float


NO_SHIFT = Shift(0.0, 0.0, 0.0, 0.0, 1.0)


def shift(before: Mapping[str, int], after: Mapping[str, int]) -> Shift:
    """Returns how far two distributions differ; `NO_SHIFT` if a side has no videos.

    The total variation of two samples is larger than that of their corpora if there are many names: 0.57 for two
    samples of 100 videos of one corpus with 600 names. So `moved` is the larger of two estimates:

    - The part of the way from chance to 1 that the observed variation went. It is 1 for sides without a common name,
      and too low if shares of many names change by little.
    - The sum of the differences without their variance under permutation, minus the mean of that sum under permutation,
      both as squares. It finds more of small changes in large samples.

    Beyond 5,000 names, the rarest are pooled.

    Args:
      before, after: the numbers of videos by name.
    """
    first, second = _counts(sorted(before.keys() | after.keys()), before, after)
    size, other_size = int(first.sum()), int(second.sum())
    if not size or not other_size:
        return NO_SHIFT
    pooled = first + second
    if len(pooled) > _MAX_NAMES:
        is_rare = pooled <= np.sort(pooled)[-_MAX_NAMES - 1]  # equally rare names are pooled together
        first, pooled = (_pooled(counts, is_rare) for counts in (first, pooled))
    variation, surplus, divergence = _measures(first[np.newaxis], pooled, size)[:, 0].tolist()
    random = np.random.default_rng(SEED)
    drawn = np.concatenate([_measures(draw, pooled, size) for draw in draws(random, pooled, size)], axis=1)
    by_chance, surplus_by_chance, divergence_by_chance = drawn.mean(axis=1).tolist()
    way = (variation - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0
    moved = max(way, math.sqrt(max(surplus**2 - surplus_by_chance**2, 0.0)))
    p = p_value(divergence, drawn[2])
    return Shift(variation, by_chance, moved, divergence - divergence_by_chance, p)


def _pooled(counts: Numbers, is_rare: Mask) -> Numbers:
    """Returns the counts of the other names, and last the sum of the rare ones."""
    return np.append(counts[~is_rare], counts[is_rare].sum())


def draws(random: np.random.Generator, pooled: Numbers, size: int) -> list[Numbers]:
    """Returns the counts of the first side under `NUM_PERMUTATIONS` permutations, in arrays of bounded size.

    Args:
      random: the generator.
      pooled: the counts of both sides together.
      size: the number of videos of the first side.
    """
    at_once = max(1, _CELLS // max(len(pooled), 1))
    sizes = [min(at_once, NUM_PERMUTATIONS - done) for done in range(0, NUM_PERMUTATIONS, at_once)]
    return [random.multivariate_hypergeometric(pooled, size, number, method="marginals") for number in sizes]


def p_value(found: float, drawn: Floats) -> float:
    """Returns the p-value of a statistic from its values under permutation. Equal values count against it."""
    return float((1 + np.count_nonzero(drawn >= found - _ROUNDING)) / (1 + len(drawn)))


def _measures(first: Numbers, pooled: Numbers, size: int) -> Floats:
    """Returns the total variation, the same without variance, and the divergence in bits, of each row of counts."""
    number = int(pooled.sum())
    other_size = number - size
    shares, others = first / size, (pooled - first) / other_size
    rate = pooled / number
    variance = rate * (1 - rate) * number**2 / (max(number - 1, 1) * size * other_size)
    differences = others - shares
    variation = np.abs(differences).sum(axis=1) / 2
    surplus = np.sqrt(np.maximum(differences**2 - variance, 0)).sum(axis=1) / 2
    divergence = _entropy((shares + others) / 2) - (_entropy(shares) + _entropy(others)) / 2
    return np.stack([variation, surplus, np.maximum(divergence, 0)])


def _entropy(shares: Floats) -> Floats:
    """Returns the entropy of each row in bits."""
    entropy: Floats = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)
    return entropy


def share_changes(
    before: Mapping[str, int], after: Mapping[str, int], sizes: tuple[int, int], rest: str = ""
) -> tuple[ShareChange, ...]:
    """Returns the changes of shares, the largest first.

    Args:
      before, after: the numbers of videos by name.
      sizes: the numbers of all videos, before and after, which may include videos without a name.
      rest: the name of the pooled rare names, which come last; "" if they are not pooled.
    """
    names = sorted(before.keys() | after.keys())
    first, second = _counts(names, before, after)
    if not names or not all(sizes):
        return ()
    is_rare = first + second < RARE
    if rest and is_rare.any():
        names = [name for name, rare in zip(names, is_rare, strict=True) if not rare] + [rest]
        first, second = (_pooled(counts, is_rare) for counts in (first, second))
    low, high = newcombe_interval(first, second, *sizes)
    found = stats.false_discovery_control(exact_p_values(first, second, *sizes)) <= FALSE_DISCOVERIES
    changes = [
        ShareChange(name, int(n), int(m), float(lowest), float(highest), bool(significant), *sizes)
        for name, n, m, lowest, highest, significant in zip(names, first, second, low, high, found, strict=True)
    ]
    return tuple(sorted(changes, key=lambda each: (each.name == rest, -abs(each.difference), each.name)))


def _counts(names: list[str], before: Mapping[str, int], after: Mapping[str, int]) -> tuple[Numbers, Numbers]:
    first, second = (np.array([side.get(name, 0) for name in names], np.int64) for side in (before, after))
    return first, second


def exact_p_values(first: Numbers, second: Numbers, size: int, other_size: int) -> Floats:
    """Returns the p-values of Fisher's exact test, twice the smaller tail, for each pair of counts.

    A Monte Carlo permutation test with 999 permutations has no p-value below 0.001, which is too large for the
    correction for 600 labels. The exact test is its limit.

    Args:
      first, second: the counts.
      size, other_size: the numbers of videos of both sides.
    """
    number, pooled = size + other_size, first + second
    at_most = stats.hypergeom.cdf(first, number, pooled, size)
    at_least = stats.hypergeom.sf(first - 1, number, pooled, size)
    p_values: Floats = np.clip(2 * np.minimum(at_most, at_least), 0, 1)
    return p_values


def newcombe_interval(first: Numbers, second: Numbers, size: int, other_size: int) -> tuple[Floats, Floats]:
    """Returns the 95 % intervals of differences of shares, second - first (Newcombe 1998, method 10).

    Args:
      first, second: the counts.
      size, other_size: the numbers of videos of both sides, at least 1.
    """
    share, other_share = first / size, second / other_size
    (low, high), (other_low, other_high) = wilson_interval(first, size), wilson_interval(second, other_size)
    difference = other_share - share
    below = np.hypot(other_share - other_low, high - share)
    above = np.hypot(other_high - other_share, share - low)
    return np.maximum(difference - below, -1), np.minimum(difference + above, 1)


def wilson_interval(counts: Numbers, size: int) -> tuple[Floats, Floats]:
    """Returns the 95 % intervals of shares.

    Args:
      counts: the numbers of videos.
      size: the number of all videos, at least 1.
    """
    share, square = counts / size, _QUANTILE**2
    middle = (share + square / (2 * size)) / (1 + square / size)
    width = _QUANTILE / (1 + square / size) * np.sqrt(share * (1 - share) / size + square / (4 * size**2))
    return np.clip(middle - width, 0, 1), np.clip(middle + width, 0, 1)
