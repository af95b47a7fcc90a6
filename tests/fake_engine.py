"""An engine whose answers can be foretold: it tells what a clip's first pixel says, and fails where it is asked to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError, OutOfMemoryError

BAD_VALUE = 255
"""A clip that begins with this pixel makes the whole batch fail."""
NAN_VALUE = 254
"""A clip that begins with this pixel gets logits that are no numbers."""


class FakeEngine:
    """Class 0 for dark clips, class 2 for bright ones, and a record of the batches that it saw."""

    name = "fake"
    num_classes = 3

    def __init__(self, memory_clips: int = 1000) -> None:
        self.batch_sizes: list[int] = []
        self.memory_clips = memory_clips

    def classify(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.batch_sizes.append(len(frames))
        if len(frames) > self.memory_clips:
            raise OutOfMemoryError("no room")
        values = frames[:, 0, 0, 0, 0]
        if (values == BAD_VALUE).any():
            raise InferenceError("cannot look at that")
        logits = np.zeros((len(frames), self.num_classes), np.float32)
        logits[np.arange(len(frames)), np.where(values > 99, 2, 0)] = values
        logits[values == NAN_VALUE] = np.nan
        return logits

    def close(self) -> None:
        pass
