"""Fake engines with predictable outputs: logits depend on a clip's first pixel; some values make the engine fail."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import InferenceError, OutOfMemoryError
from reelbeam.transforms.models.engines.stream import State
from reelbeam.transforms.models.registry.catalog import ModelSpec, OutputActivation

BAD_VALUE = 255
"""A clip that begins with this pixel makes the whole batch fail."""
NAN_VALUE = 254
"""A clip that begins with this pixel gets logits that are NaN."""


class FakeEngine:
    """Class 0 for dark clips, class 2 for bright ones, and a record of the batches that it saw."""

    name = "fake"
    num_classes = 3
    output_activation: OutputActivation = "logits"

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

    def embedding_size(self) -> None:
        """The model has no embedding."""

    def classify_with_embeddings(
        self, frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        raise NotImplementedError("the model has no embedding")

    def close(self) -> None:
        pass


class FakeStreamEngine:
    """Reports what it saw: logits are the sum of the first pixels so far, the last of them, and the number of frames.

    Keeps no state itself. `live_states` counts the states that are still referenced.
    """

    name = "fake"
    num_classes = 3
    output_activation: OutputActivation = "logits"
    state_bytes = 16

    def __init__(self, chunk_frames: int = 2, memory_segments: int = 1000) -> None:
        self.chunk_frames = chunk_frames
        self.memory_segments = memory_segments
        self.calls: list[tuple[int, ...]] = []
        self._states: weakref.WeakSet[_Memory] = weakref.WeakSet()

    @property
    def live_states(self) -> int:
        return len(self._states)

    def initial_state(self) -> State:
        return self._state(0, 0)

    def classify_next(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[State]]:
        self.calls.append(frames.shape[:2])
        if len(frames) > self.memory_segments:
            raise OutOfMemoryError("no room")
        values = frames[:, :, 0, 0, 0].astype(int)
        if (values == BAD_VALUE).any():
            raise InferenceError("cannot look at that")
        sums = [state.tensors["memory"].total + int(row.sum()) for state, row in zip(states, values, strict=True)]
        counts = [state.num_frames + frames.shape[1] for state in states]
        logits = np.stack([sums, values[:, -1], counts], axis=1).astype(np.float32)
        logits[(values == NAN_VALUE).any(axis=1)] = np.nan
        return logits, [self._state(*each) for each in zip(sums, counts, strict=True)]

    def embedding_size(self) -> int:
        return 2

    def classify_next_with_embeddings(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[State]]:
        logits, after = self.classify_next(states, frames)
        return logits, logits[:, :2] * 10, after

    def close(self) -> None:
        pass

    def _state(self, total: int, num_frames: int) -> State:
        memory = _Memory(total)
        self._states.add(memory)
        return State(num_frames, {"memory": memory})


class _Memory:
    def __init__(self, total: int) -> None:
        self.total = total


LOADED: list[FakeEngine | FakeStreamEngine] = []
"""Every engine that `load` gave, in the order of loading."""


def load(spec: ModelSpec, *_: object) -> Any:
    """Loads a fake engine for a model, as `load_any_engine` loads a real one; a new one each time."""
    LOADED.append(FakeStreamEngine(chunk_frames=2) if spec.kind == "stream" else FakeEngine())
    return LOADED[-1]
