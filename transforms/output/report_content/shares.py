"""Parts of the corpus and distributions, as dataclasses."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Share:
    """A part of the corpus: a label, a codec, a picture size.

    Attributes:
      videos: the number of videos. For labels: of videos whose top label it is.
      video_ms: the duration of those videos; for labels: of the clips whose top label it is. Where clips overlap, each
        instant counts once.
    """

    name: str
    videos: int
    video_ms: int


@dataclasses.dataclass(frozen=True)
class Shares:
    """The largest parts of the corpus, largest first, and the sum of all others.

    Attributes:
      num_others: the number of parts in `others`.
      others: None if there are no other parts.
    """

    largest: tuple[Share, ...]
    num_others: int = 0
    others: Share | None = None


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A distribution.

    Attributes:
      edges: the n + 1 limits of the bins, ascending.
      counts: the n numbers of values.
      quartiles: the 25th, 50th and 75th percentile; None if there are no values.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    quartiles: tuple[float, float, float] | None


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What is in the corpus.

    Attributes:
      labels: the labels of most videos.
      labels_by_time: the labels of the longest duration.
      scores: of the top label of each clip.
      entropies: of each clip, in nats.
      durations: of each video, in seconds; the bins are logarithmic.
      picture_sizes: by the short side of the picture: "240p", "1080p".
    """

    labels: Shares
    scores: Histogram
    entropies: Histogram
    durations: Histogram
    picture_sizes: Shares
    codecs: Shares
    containers: Shares
    labels_by_time: Shares
