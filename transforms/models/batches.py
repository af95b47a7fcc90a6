"""Runs clips through a Base model so that one bad clip costs one answer, and too large a batch none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError, OutOfMemoryError
from transforms.models.engine import Engine
from transforms.records import Clip

_LOGGER = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Answer(NamedTuple):
    """What the model said of one clip: logits float32 [C], and its embedding float32 [D] where that was asked for."""

    logits: npt.NDArray[np.float32]
    embedding: npt.NDArray[np.float32] | None = None


class Halving:
    """Calls something with a batch; where that fails, with its halves, until the bad item stands alone.

    Out of memory lowers `most` for good: the next batch of that size would fail as this one did, for the price of a
    batch.

    Args:
      most: items that are given at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most

    def run(
        self, items: Sequence[_Item], call: Callable[[Sequence[_Item]], Sequence[_Result]]
    ) -> list[_Result | InferenceError]:
        """Returns a result or an error for each item, in order."""
        if len(items) > self.most:
            return self._in_halves(items, call)
        try:
            return list(call(items))
        except (InferenceError, MemoryError) as error:
            if len(items) == 1:
                return [error if isinstance(error, InferenceError) else OutOfMemoryError(str(error) or "MemoryError")]
            if isinstance(error, OutOfMemoryError | MemoryError):
                self.most = min(self.most, (len(items) + 1) // 2)
                _LOGGER.warning("Out of memory with %d clips: from now on at most %d", len(items), self.most)
            return self._in_halves(items, call)

    def _in_halves(
        self, items: Sequence[_Item], call: Callable[[Sequence[_Item]], Sequence[_Result]]
    ) -> list[_Result | InferenceError]:
        middle = len(items) // 2
        return self.run(items[:middle], call) + self.run(items[middle:], call)


class BaseBatches:
    """Classifies clips that have nothing to do with each other.

    Args:
      most_clips: clips that the engine gets at once.
      with_embeddings: whether answers bear them.
    """

    def __init__(self, most_clips: int, with_embeddings: bool = False) -> None:
        self._halving = Halving(most_clips)
        self._with_embeddings = with_embeddings

    def classify(self, clips: Sequence[Clip], engine: Engine) -> list[Answer | InferenceError]:
        """Returns an answer or an error for each clip, in order."""
        return self._halving.run(clips, lambda some: self._call(some, engine))

    def _call(self, clips: Sequence[Clip], engine: Engine) -> list[Answer]:
        frames = np.stack([clip.frames for clip in clips]) if len(clips) > 1 else clips[0].frames[None]
        if not self._with_embeddings:
            return [Answer(logits) for logits in engine.classify(frames)]
        return [Answer(*pair) for pair in zip(*engine.classify_with_embeddings(frames), strict=True)]
