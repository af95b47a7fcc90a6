"""Shares and means with 95 % intervals. Videos are independent; the clips of one video are not.

An interval over videos is Wilson's. An interval over clips is a bootstrap of whole videos: a binomial interval over 20
clips a video covers the true share in 64 % of cases instead of 95 %.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.output.comparison.shares import wilson_interval

Floats: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

RESAMPLES = 1000
MIN_VIDEOS = 20
"""Fewer videos have no bootstrap interval."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Proportion:
    """A share of items.

    Attributes:
      hits, total: the items that count, and all items.
      value: hits / total; None if there are no items.
      low, high: its 95 % interval; None if there are too few items for one.
      method: of the interval: over independent videos, or by a bootstrap of the videos with their clips.
    """

    hits: int
    total: int
    value: float | None
    low: float | None
    high: float | None
    method: Literal["wilson", "bootstrap of videos", "none"]


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean over items, with the interval of a bootstrap of videos.

    Attributes:
      total: the number of items.
      value: None if there are no items.
      low, high: its 95 % interval; None for fewer than 20 videos, or if all values are equal, so that samples do not
        vary.
    """

    total: int
    value: float | None
    low: float | None
    high: float | None


def wilson(hits: int, total: int) -> Interval:
    """Returns Wilson's interval of a share of independent items; `total` is at least 1."""
    low, high = wilson_interval(np.array([hits], np.int64), total)
    return Interval(0.0 if hits == 0 else float(low[0]), 1.0 if hits == total else float(high[0]))


def video_numbers(items: Sequence[Judged]) -> Counts:
    """Returns a number from 0 for the video of each item."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(item.video_uri, len(numbers)) for item in items], np.int64)


def split_videos(items: Sequence[Judged], share: float, seed: int) -> tuple[tuple[Judged, ...], tuple[Judged, ...]]:
    """Returns the items of about a share of the videos, chosen by a hash of their URIs, and those of the others."""
    is_first = [_hash(seed, item.video_uri) < share * 2**64 for item in items]
    pairs = list(zip(items, is_first, strict=True))
    return tuple(item for item, first in pairs if first), tuple(item for item, first in pairs if not first)


def one_per_video(items: Sequence[Judged], seed: int) -> tuple[Judged, ...]:
    """Returns one item of each video, chosen by a hash: a sample whose items are independent."""
    chosen: dict[str, tuple[int, Judged]] = {}
    for item in items:
        hashed = _hash(seed, f"{item.clip_index} {item.start_ms} {item.end_ms} {item.video_uri}")
        if item.video_uri not in chosen or hashed < chosen[item.video_uri][0]:
            chosen[item.video_uri] = (hashed, item)
    return tuple(item for _, item in chosen.values())


def _hash(seed: int, text: str) -> int:
    """Returns an unsigned 64-bit hash."""
    key = f"{seed} {text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8, person=b"evaluate").digest(), "big")


def proportion(hits: Sequence[bool] | Mask, videos: Counts, seed: int) -> Proportion:
    """Returns the share of items that are hits.

    Args:
      hits: whether each item is one.
      videos: the number of the video of each item.
      seed: of the bootstrap.
    """
    values = np.asarray(hits, bool)
    found, total = int(values.sum()), len(values)
    if not total:
        return Proportion(0, 0, None, None, None, "none")
    share = found / total
    num_videos = len(np.unique(videos))
    if num_videos == total:
        bounds = wilson(found, total)
        return Proportion(found, total, share, bounds.low, bounds.high, "wilson")
    if num_videos < MIN_VIDEOS:
        return Proportion(found, total, share, None, None, "none")
    if found in (0, total):  # resamples do not vary; each video is at least one independent item
        bounds = wilson(num_videos if found else 0, num_videos)
        return Proportion(found, total, share, bounds.low, bounds.high, "wilson")
    mean = mean_of(values.astype(np.float64), videos, seed)
    return Proportion(found, total, share, mean.low, mean.high, "bootstrap of videos")


def mean_of(values: Floats, videos: Counts, seed: int) -> Mean:
    """Returns the mean of a value of items; the arguments are those of `proportion`."""
    total = len(values)
    if not total:
        return Mean(0, None, None, None)
    _, videos = np.unique(videos, return_inverse=True)
    sums, sizes = np.bincount(videos, values), np.bincount(videos).astype(np.float64)
    if values.min() == values.max():
        return Mean(total, float(values[0]), None, None)
    bounds = bootstrap(lambda drawn: float((drawn * sums).sum() / (drawn * sizes).sum()), len(sizes), seed)
    low, high = (bounds.low, bounds.high) if bounds else (None, None)
    return Mean(total, float(np.mean(values)), low, high)


def bootstrap(statistic: Callable[[Floats], float], num_videos: int, seed: int) -> Interval | None:
    """Returns the percentile interval of a statistic.

    A statistic is a sum of products. `@` would be slower here, because its threads wait for each other at each of 1,000
    samples, and its last digit would depend on their number.

    Args:
      statistic: returns the statistic, or NaN, of a sample; its argument says how often each video is in the sample.
      num_videos: the number of videos.
      seed: of the samples.

    Returns:
      None for fewer than 20 videos, or if the statistic is undefined for most samples.
    """
    if num_videos < MIN_VIDEOS:
        return None
    found = np.array([statistic(drawn) for drawn in _samples(num_videos, seed)])
    found = found[np.isfinite(found)]
    if len(found) < RESAMPLES / 2:
        return None
    low, high = np.quantile(found, [0.025, 0.975]).tolist()
    return Interval(low, high)


def _samples(num_videos: int, seed: int) -> Iterator[Floats]:
    random = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = random.integers(num_videos, size=num_videos)
        yield np.bincount(drawn, minlength=num_videos).astype(np.float64)
