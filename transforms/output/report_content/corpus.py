"""What is in the corpus: shares and histograms. Quartiles are exact, with linear interpolation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.output.report_content.clip_table import NO_LABEL, ClipTable
from reelbeam.transforms.output.report_content.shares import Corpus, Histogram, Share, Shares
from reelbeam.transforms.output.report_content.video_facts import VideoFacts

_NUM_BINS = 20
_NUM_LARGEST = 12
_ENTROPY_BIN = 0.01
"""The edges of the bins of entropies are multiples of it, in nats, so that two digits show them exactly."""
_FIRST_SECONDS = 2.0**-3
"""The lowest edge of the bins of durations. Shorter videos are in the first bin."""

_Values = npt.NDArray[np.floating]


def corpus(videos: VideoFacts, clips: ClipTable, num_labels: int) -> Corpus:
    """Returns what is in the corpus.

    Args:
      videos: the sums over the videos.
      clips: the clips.
      num_labels: the number of labels that are not summed up as others.
    """
    labels = label_shares(videos, clips)
    return Corpus(
        labels=largest(labels, num_labels),
        labels_by_time=largest(labels, num_labels, by_time=True),
        scores=histogram(clips.scores, np.arange(_NUM_BINS + 1) / _NUM_BINS),
        entropies=histogram(clips.entropies, _entropy_edges(clips.entropies)),
        durations=_durations(videos.durations_ms / 1000),
        picture_sizes=largest(videos.picture_sizes.shares()),
        codecs=largest(videos.codecs.shares()),
        containers=largest(videos.containers.shares()),
    )


def label_shares(videos: VideoFacts, clips: ClipTable) -> list[Share]:
    """Returns the share of each label, the most frequent first. Where clips overlap, each instant counts once."""
    is_labeled = clips.labels != NO_LABEL
    lengths = (clips.until_ms - clips.from_ms)[is_labeled]
    sums = np.zeros(len(clips.label_names), np.int64)
    np.add.at(sums, clips.labels[is_labeled], lengths)
    clip_ms = dict(zip(clips.label_names, sums.tolist(), strict=True))
    names = videos.labels.videos.keys() | clip_ms.keys()
    return _most_frequent_first([Share(name, videos.labels.videos[name], clip_ms.get(name, 0)) for name in names])


def largest(shares: Sequence[Share], most: int = _NUM_LARGEST, by_time: bool = False) -> Shares:
    """Returns the largest shares, and the sum of the others.

    Args:
      shares: the parts of the corpus.
      most: the number of shares that are not summed up.
      by_time: whether the duration orders them, and then the number of videos, instead of the other way around. Names
        order equal ones.
    """
    ordered = _most_frequent_first(shares)
    if by_time:
        ordered.sort(key=lambda share: -share.video_ms)
    others = ordered[most:]
    total = Share("", sum(share.videos for share in others), sum(share.video_ms for share in others))
    return Shares(tuple(ordered[:most]), len(others), total if others else None)


def _most_frequent_first(shares: Sequence[Share]) -> list[Share]:
    return sorted(shares, key=lambda share: (-share.videos, -share.video_ms, share.name))


def histogram(values: _Values, edges: _Values) -> Histogram:
    """Returns the distribution of the finite values. Values outside the edges are in the first or the last bin."""
    values = values[np.isfinite(values)].astype(np.float64)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    found = np.quantile(values, (0.25, 0.5, 0.75)).tolist() if len(values) else None
    quartiles = None if found is None else (found[0], found[1], found[2])
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()), quartiles)


def _entropy_edges(entropies: _Values) -> _Values:
    """Returns equal bins from 0 to at least the greatest entropy."""
    finite = entropies[np.isfinite(entropies)]
    most = float(finite.max()) if len(finite) else 0.0
    num_units = max(1, math.ceil(round(most / _NUM_BINS / _ENTROPY_BIN, 3)))
    return np.arange(_NUM_BINS + 1) * float(num_units) * _ENTROPY_BIN


def _durations(seconds: _Values) -> Histogram:
    """Returns the distribution of durations. The edges are powers of two seconds."""
    known = np.maximum(seconds, _FIRST_SECONDS)
    low = math.floor(math.log2(known.min())) if len(known) else 0
    high = math.floor(math.log2(known.max())) + 1 if len(known) else 1
    return histogram(seconds, 2.0 ** np.arange(low, high + 1))
