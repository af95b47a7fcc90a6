"""Runs a Stream model with TensorFlow as it is: on a GPU or TPU, and as the reference for other engines."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.errors import ConfigError
from transforms.models.catalog import Preset
from transforms.models.stream import State, StreamSignatures, check_next, find_stream_signatures
from transforms.models.tensorflow_engine import inference_error, load_saved_model

_Run = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]


class TensorFlowStreamEngine:
    """A SavedModel's two signatures; states stay where TensorFlow has them, on the accelerator if there is one.

    Segments share a batch where the model can tell them apart: states without a batch dimension, such as MoViNet's
    frame counters, must be the same for all segments of a batch.
    """

    name = "tensorflow"

    def __init__(self, run: _Run, zeros: Mapping[str, Any], signatures: StreamSignatures, preset: Preset) -> None:
        """Keeps what `load` made."""
        self.num_classes = signatures.num_classes
        self.chunk_frames = signatures.chunk_frames(preset.num_frames)
        self.state_bytes = sum(zero.numpy().nbytes for zero in zeros.values())
        self._signatures = signatures
        self._preset = preset
        self._zeros = zeros
        self._batched = [name for name, info in signatures.states.items() if info.shape and info.shape[0] is None]
        self._run: _Run | None = run

    @classmethod
    def load(cls, folder: pathlib.Path, preset: Preset, num_threads: int) -> TensorFlowStreamEngine:
        """Loads a SavedModel onto the first accelerator, or the CPU where there is none.

        Raises:
          SignatureError: it is no Stream model, or not for pictures of that size.
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
        import tensorflow as tf

        check_next(len(states), frames, self._preset)
        run = self._run
        if run is None:
            raise ValueError("the engine is closed")
        logits = np.empty((len(frames), self.num_classes), np.float32)
        after = list(states)
        try:
            for members in self._groups(states):
                joined = self._joined([states[k].tensors for k in members])
                for start, length in self._pieces(frames.shape[1]):
                    joined = dict(run(tf.constant(frames[members, start : start + length]), joined))
                    answers = joined.pop(self._signatures.logits)
                logits[members] = answers.numpy()
                for row, k in enumerate(members):
                    after[k] = State(states[k].num_frames + frames.shape[1], self._row(joined, row))
        except tf.errors.OpError as error:
            raise inference_error(f"{len(frames)} segments", error) from error
        return logits, after

    def embedding_size(self) -> int | None:
        """Refuses, see `StreamEngine`: the last layer is looked for in OpenVINO's graph only."""
        raise ConfigError("--save_embeddings of a Stream model needs --engine openvino")

    def classify_next_with_embeddings(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[State]]:
        """Refuses, as `embedding_size`."""
        raise ConfigError("--save_embeddings of a Stream model needs --engine openvino")

    def close(self) -> None:
        """Frees the model once running calls have returned."""
        self._run = None

    def _groups(self, states: Sequence[State]) -> list[list[int]]:
        """Returns the positions of the segments that may share a batch."""
        groups: dict[Any, list[int]] = {}
        one_by_one = not self._batched or (self._signatures.image.shape or (None,))[0] == 1
        shared = sorted(set(self._zeros) - set(self._batched))
        for k, state in enumerate(states):
            key = k if one_by_one else tuple(state.tensors[name].numpy().tobytes() for name in shared)
            groups.setdefault(key, []).append(k)
        return list(groups.values())

    def _pieces(self, num_frames: int) -> list[tuple[int, int]]:
        length = num_frames if (self._signatures.image.shape or (None, None))[1] is None else 1
        return [(start, length) for start in range(0, num_frames, length)]

    def _joined(self, tensors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        import tensorflow as tf

        joined = dict(tensors[0])
        if len(tensors) > 1:
            for name in self._batched:
                joined[name] = tf.concat([each[name] for each in tensors], axis=0)
        return joined

    def _row(self, joined: Mapping[str, Any], row: int) -> dict[str, Any]:
        return {name: value[row : row + 1] if name in self._batched else value for name, value in joined.items()}


def _with_uint8_input(model: Any, signatures: StreamSignatures) -> _Run:
    import tensorflow as tf

    call = model.signatures[signatures.call]
    takes = call.structured_input_signature[1]
    image = signatures.image.name

    def run(frames: Any, states: Mapping[str, Any]) -> Any:
        return call(**{image: tf.cast(frames, tf.float32) / 255.0}, **states)

    specs = [tf.TensorSpec(takes[image].shape, tf.uint8), {name: takes[name] for name in signatures.states}]
    concrete = tf.function(run, input_signature=specs)
    # The signature alone does not keep the loaded variables alive.
    concrete.reelbeam_model = model
    return concrete
