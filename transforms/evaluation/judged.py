"""The labels of a video or a clip beside its truth."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Judged:
    """A video or a clip with known truth, and what the model said.

    Attributes:
      video_uri: the video. Items of one video are not independent.
      truth: the right labels, as in the label map; empty: none of the classes is in it.
      labels: the model's labels, best first; empty if it failed, or if no label passed.
      scores: their scores in [0, 1], descending.
      acceptable: further labels that are neither right nor wrong. For accuracy they are not right. Everything that is
        about the top labels, such as precision and thresholds, leaves out items whose top label is one of these.
      is_failed: whether there is no answer, because the video or the clip failed.
      clip_index: None for a video.
      start_ms, end_ms: of the clip, or of the labeled range of a video; None for a whole video.
      entropy, log_sum_exp: of the clip; None for a video.
    """

    video_uri: str
    truth: frozenset[str]
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    is_failed: bool = False
    clip_index: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    entropy: float | None = None
    log_sum_exp: float | None = None
    acceptable: frozenset[str] = frozenset()

    @property
    def is_hit(self) -> bool:
        """Whether the top label is right. False without an answer."""
        return self.rank == 1

    @property
    def is_undecided(self) -> bool:
        """Whether the top label is neither right nor wrong."""
        return self.labels[:1] != () and self.labels[0] in self.acceptable

    @property
    def rank(self) -> int | None:
        """The rank of the best right label, from 1; None if no label is right."""
        return next((rank for rank, label in enumerate(self.labels, 1) if label in self.truth), None)
