"""Which labels a row keeps: one rule for clips and videos."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.records.thresholds import LabelThresholds


@dataclasses.dataclass(frozen=True)
class LabelFilter:
    """The labels that a row keeps: the best ones of those that pass.

    Attributes:
      top_k: the maximum number of labels, of those that pass.
      min_score: labels with a lower score are omitted.
      thresholds: labels that do not pass them are omitted; None: there are none.

    Raises:
      ValueError: `top_k` is below 1.
    """

    top_k: int = 5
    min_score: float = 0.0
    thresholds: LabelThresholds | None = None

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {self.top_k}")

    def select(
        self,
        labels: Sequence[str],
        scores: npt.NDArray[np.float32],
        highest: npt.NDArray[np.float32] | None = None,
    ) -> list[int]:
        """Returns the ids of the classes that a row keeps, best first; classes with equal scores by their ids.

        The thresholds of the ranking "max" compare and rank a video by its best clip. `min_score` compares `scores`.

        Args:
          labels: C names.
          scores: float32 [C], of a clip, or the means over the clips of a video.
          highest: float32 [C], the highest score of each class in a clip of the video; None for a clip.
        """
        thresholds = self.thresholds
        by_best_clip = highest is not None and thresholds is not None and thresholds.score_column == "max_score"
        compared = highest if highest is not None and by_best_clip else scores
        order = np.argsort(-compared, kind="stable")
        places = order[scores[order] >= self.min_score].tolist()
        if thresholds is None:
            return places[: self.top_k]
        passed = (place for place in places if thresholds.passes(labels[place], float(compared[place])))
        return list(itertools.islice(passed, self.top_k))
