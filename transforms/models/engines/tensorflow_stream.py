"""Run a Stream model unchanged with TensorFlow: on a GPU or TPU, and as the reference for other engines."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.engines.stream import (
    State,
    StreamSignatures,
    Tensor,
    check_next,
    find_stream_signatures,
)
from reelbeam.transforms.models.engines.tensorflow_embeddings import Function, SavedModel, with_embeddings
from reelbeam.transforms.models.engines.tensorflow_engine import inference_error, load_saved_model
from reelbeam.transforms.models.registry.catalog import OutputActivation, Preset
from reelbeam.transforms.wording import counted

_Run = Callable[[Tensor, Mapping[str, Tensor]], Mapping[str, Tensor]]
_EMBEDDING = "embedding/"
"""The name of the embeddings next to the model's outputs; a tensor of a SavedModel cannot have this name."""


class TensorFlowStreamEngine:
    """A SavedModel's two signatures. States stay on TensorFlow's device, for example the accelerator.

    Segments share a batch if the model allows it: states without a batch dimension, such as MoViNet's frame counters,
    must be equal for all segments of a batch.
    """

    name = "tensorflow"
    output_activation: OutputActivation = "logits"

    def __init__(
        self, run: Function, zeros: Mapping[str, Tensor], signatures: StreamSignatures, preset: Preset
    ) -> None:
        """Stores the results of `load`."""
        self.num_classes = signatures.num_classes
        self.chunk_frames = signatures.chunk_frames(preset.num_frames)
        self.state_bytes = sum(zero.numpy().nbytes for zero in zeros.values())
        self._signatures = signatures
        self._preset = preset
        self._zeros = zeros
        self._batched = [name for name, info in signatures.states.items() if info.shape and info.shape[0] is None]
        self._run: Function = run
        self._frozen: tuple[_Run | None, int | None] | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: pathlib.Path, preset: Preset, num_threads: int) -> TensorFlowStreamEngine:
        """Loads a SavedModel onto the first accelerator, or onto the CPU if there is none.

        Raises:
          SignatureError: it is not a Stream model, or not for pictures of that size.
          ModelError: TensorFlow cannot load it.
        """
        import tensorflow as tf

        signatures = find_stream_signatures(folder, preset)
        model = load_saved_model(folder, num_threads)
        shape = tf.constant([1, preset.num_frames, preset.size, preset.size, 3])
        zeros = model.signatures[signatures.init](**{signatures.input_shape: shape})
        return cls(_with_uint8_input(model, signatures), zeros, signatures, preset)

    def initial_state(self) -> State:
        """Returns the state before the first frame, see `StreamEngine`."""
        return State(0, self._zeros)

    def classify_next(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[State]]:
        """Runs the model, see `StreamEngine`."""
        if self._run is None:
            raise ValueError("the engine is closed")
        logits = np.empty((len(frames), self.num_classes), np.float32)
        return logits, self._classify(self._run, states, frames, {self._signatures.logits: logits})

    def embedding_size(self) -> int | None:
        """Returns the size of an embedding, see `StreamEngine`."""
        return self._with_embeddings()[1]

    def classify_next_with_embeddings(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[State]]:
        """Runs the model, see `StreamEngine`, in a frozen copy of its graph."""
        run, size = self._with_embeddings()
        if run is None or size is None:
            raise ModelError("the model has no dense layer before its logits, so it has no embeddings")
        logits = np.empty((len(frames), self.num_classes), np.float32)
        embeddings = np.empty((len(frames), size), np.float32)
        rows = {self._signatures.logits: logits, _EMBEDDING: embeddings}
        return logits, embeddings, self._classify(run, states, frames, rows)

    def _with_embeddings(self) -> tuple[_Run | None, int | None]:
        with self._lock:
            if self._run is None:
                raise ValueError("the engine is closed")
            if self._frozen is None:
                self._frozen = _run_with_embeddings(self._run, self._signatures)
            return self._frozen

    def _classify(
        self,
        run: _Run,
        states: Sequence[State],
        frames: npt.NDArray[np.uint8],
        rows: Mapping[str, npt.NDArray[np.float32]],
    ) -> list[State]:
        """Writes the outputs after each segment's last frame into rows of `rows`; returns the next states."""
        import tensorflow as tf

        check_next(len(states), frames, self._preset)
        after = list(states)
        try:
            for members in self._groups(states):
                joined = self._joined([states[k].tensors for k in members])
                for start, length in self._pieces(frames.shape[1]):
                    joined = dict(run(tf.constant(frames[members, start : start + length]), joined))
                    answers = {name: joined.pop(name) for name in rows}
                for name, answer in answers.items():
                    rows[name][members] = answer.numpy()
                for row, k in enumerate(members):
                    after[k] = State(states[k].num_frames + frames.shape[1], self._row(joined, row))
        except tf.errors.OpError as error:
            raise inference_error(counted(len(frames), "segment"), error) from error
        return after

    def close(self) -> None:
        """Frees the model after running calls have returned."""
        self._run = self._frozen = None

    def _groups(self, states: Sequence[State]) -> list[list[int]]:
        """Returns the positions of the segments that may share a batch, in groups."""
        groups: dict[object, list[int]] = {}
        one_by_one = not self._batched or (self._signatures.image.shape or (None,))[0] == 1
        shared = sorted(set(self._zeros) - set(self._batched))
        for k, state in enumerate(states):
            key = k if one_by_one else tuple(state.tensors[name].numpy().tobytes() for name in shared)
            groups.setdefault(key, []).append(k)
        return list(groups.values())

    def _pieces(self, num_frames: int) -> list[tuple[int, int]]:
        length = num_frames if (self._signatures.image.shape or (None, None))[1] is None else 1
        return [(start, length) for start in range(0, num_frames, length)]

    def _joined(self, tensors: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        import tensorflow as tf

        joined = dict(tensors[0])
        if len(tensors) > 1:
            for name in self._batched:
                joined[name] = tf.concat([each[name] for each in tensors], axis=0)
        return joined

    def _row(self, joined: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
        return {name: value[row : row + 1] if name in self._batched else value for name, value in joined.items()}


def _run_with_embeddings(run: Function, signatures: StreamSignatures) -> tuple[_Run | None, int | None]:
    """Returns a function that also returns embeddings, and their size; (None, None) if the graph has none."""
    concrete = run.get_concrete_function()
    # TensorFlow sorts the values of a dictionary by name.
    takes, gives = sorted(signatures.states), sorted(concrete.structured_outputs)
    frozen = with_embeddings(concrete, gives.index(signatures.logits), signatures.num_classes)
    if frozen is None:
        return None, None

    def with_names(frames: Tensor, states: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return dict(zip([*gives, _EMBEDDING], frozen(frames, *(states[name] for name in takes)), strict=True))

    return with_names, int(frozen.outputs[-1].shape[1])


def _with_uint8_input(model: SavedModel, signatures: StreamSignatures) -> Function:
    import tensorflow as tf

    call = model.signatures[signatures.call]
    takes = call.structured_input_signature[1]
    image = signatures.image.name

    def run(frames: Tensor, states: Mapping[str, Tensor]) -> Tensor:
        return call(**{image: tf.cast(frames, tf.float32) / 255.0}, **states)

    specs = [tf.TensorSpec(takes[image].shape, tf.uint8), {name: takes[name] for name in signatures.states}]
    concrete = tf.function(run, input_signature=specs)
    # The signature alone does not keep the loaded variables alive.
    concrete.reelbeam_model = model
    return concrete
