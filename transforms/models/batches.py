"""Run clips through a Base model. A bad clip costs only its own result, and a batch that is too large costs none."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import InferenceError, OutOfMemoryError
from reelbeam.transforms.models.engine import Engine
from reelbeam.transforms.records import Clip

MAX_BATCH_BYTES = 64 << 20
"""The default limit of a batch's pixels, which are in memory twice: as clips and as the array that the model reads."""

_LOGGER = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_found_limits: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()
"""The largest batch that an engine has memory for, if known. All threads of a process share the engine."""


class Answer(NamedTuple):
    """The model's result for one clip: logits, float32 [C], and its embedding, float32 [D], if requested."""

    logits: npt.NDArray[np.float32]
    embedding: npt.NDArray[np.float32] | None = None


class Bisection:
    """Runs a batch; if that fails, runs its halves, until the bad item is isolated (bisection).

    An out-of-memory error sets a limit for the engine's lifetime, because the next batch of that size would also fail
    and cost as much.

    Args:
      most: the maximum number of items per call.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    def run(
        self, items: Sequence[_Item], call: Callable[[Sequence[_Item]], Sequence[_Result]], engine: object
    ) -> list[_Result | InferenceError]:
        """Returns a result or an error for each item, in order."""
        if len(items) > min(self._most, _found_limits.get(engine, self._most)):
            return self._in_halves(items, call, engine)
        try:
            return list(call(items))
        except (InferenceError, MemoryError) as error:
            if len(items) == 1:
                return [error if isinstance(error, InferenceError) else OutOfMemoryError(str(error) or "MemoryError")]
            if isinstance(error, OutOfMemoryError | MemoryError):
                half = (len(items) + 1) // 2
                _found_limits[engine] = min(half, _found_limits.get(engine, half))
                _LOGGER.warning("Out of memory with %d clips: from now on at most %d", len(items), half)
            return self._in_halves(items, call, engine)

    def _in_halves(
        self, items: Sequence[_Item], call: Callable[[Sequence[_Item]], Sequence[_Result]], engine: object
    ) -> list[_Result | InferenceError]:
        middle = len(items) // 2
        return self.run(items[:middle], call, engine) + self.run(items[middle:], call, engine)


class BaseBatches:
    """Classifies clips that are independent of each other.

    Args:
      most_clips: the maximum number of clips per call of the engine.
      with_embeddings: whether results have embeddings.
    """

    def __init__(self, most_clips: int, with_embeddings: bool = False) -> None:
        self._bisection = Bisection(most_clips)
        self._with_embeddings = with_embeddings

    def classify(self, clips: Sequence[Clip], engine: Engine) -> list[Answer | InferenceError]:
        """Returns a result or an error for each clip, in order."""
        return self._bisection.run(clips, lambda some: self._call(some, engine), engine)

    def _call(self, clips: Sequence[Clip], engine: Engine) -> list[Answer]:
        frames = np.stack([clip.frames for clip in clips]) if len(clips) > 1 else clips[0].frames[None]
        if not self._with_embeddings:
            return [Answer(logits) for logits in engine.classify(frames)]
        return [Answer(*pair) for pair in zip(*engine.classify_with_embeddings(frames), strict=True)]
