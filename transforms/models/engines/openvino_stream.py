"""Run a Stream model on CPUs with OpenVINO, and carry the states between calls. See `openvino_stream_graphs.py`."""

from __future__ import annotations

import pathlib
import queue
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.engines.openvino_engine import cpu_config, inference_error
from reelbeam.transforms.models.engines.openvino_import import import_openvino
from reelbeam.transforms.models.engines.openvino_stream_graphs import (
    EMBEDDING,
    CompiledLengths,
    SegmentRequest,
    Source,
    Tensors,
    make_states,
    run_segment,
)
from reelbeam.transforms.models.engines.stream import State, check_next, find_stream_signatures
from reelbeam.transforms.models.registry.catalog import OutputActivation, Preset
from reelbeam.transforms.wording import counted


class OpenVinoStreamEngine:
    """A compiled model for each length, and its inference requests for each concurrent thread.

    Segments of a batch run in sequence, each chunk on one CPU; a CPU gains nothing from larger batches.
    """

    name = "openvino"
    output_activation: OutputActivation = "logits"

    def __init__(self, lengths: CompiledLengths, zeros: Tensors, preset: Preset, num_threads: int) -> None:
        """Creates an empty set of requests for each thread. Use `load`."""
        self.num_classes = lengths.signatures.num_classes
        self.chunk_frames = lengths.chunk_frames
        self.state_bytes = sum(zero.nbytes for zero in zeros.values())
        self._embedding_size = lengths.embedding_size()
        self._preset = preset
        self._logits = lengths.signatures.logits
        self._lengths: CompiledLengths | None = lengths
        self._zeros = zeros
        self._idle: queue.LifoQueue[dict[int, SegmentRequest]] = queue.LifoQueue()
        for _ in range(num_threads):
            self._idle.put({})

    @classmethod
    def load(
        cls, folder: pathlib.Path, preset: Preset, num_threads: int, precision: str = "float32"
    ) -> OpenVinoStreamEngine:
        """Loads a SavedModel; converts it on first use on this machine.

        Raises:
          SignatureError: it is not a Stream model, or not for pictures of that size.
          ModelError: OpenVINO cannot read or run it.
        """
        openvino = import_openvino()
        signatures = find_stream_signatures(folder, preset)
        core = openvino.Core()
        try:
            source = Source(core, folder, signatures)
            zeros = make_states(source, preset)
            lengths = CompiledLengths(source, zeros, preset, cpu_config(num_threads, precision))
            lengths.compiled(lengths.chunk_frames)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run {folder}: {error}; try --engine tensorflow") from error
        except OSError as error:
            raise ModelError(f"{folder} cannot be read: {error}") from error
        return cls(lengths, zeros, preset, num_threads)

    def initial_state(self) -> State:
        """Returns the state before the first frame, see `StreamEngine`."""
        return State(0, self._zeros)

    def classify_next(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[State]]:
        """Runs the model, see `StreamEngine`."""
        logits = np.empty((len(frames), self.num_classes), np.float32)
        return logits, self._run(states, frames, {self._logits: logits})

    def embedding_size(self) -> int | None:
        """Returns the size of an embedding, see `StreamEngine`."""
        return self._embedding_size

    def classify_next_with_embeddings(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[State]]:
        """Runs the model, see `StreamEngine`. The embeddings have no extra cost, because they are computed anyway."""
        if self._embedding_size is None:
            raise ModelError("the model has no dense layer before its logits, so it has no embeddings")
        logits = np.empty((len(frames), self.num_classes), np.float32)
        embeddings = np.empty((len(frames), self._embedding_size), np.float32)
        after = self._run(states, frames, {self._logits: logits, EMBEDDING: embeddings})
        return logits, embeddings, after

    def _run(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8], results: dict[str, npt.NDArray[np.float32]]
    ) -> list[State]:
        """Writes the outputs after each segment's last frame into rows of `results`; returns the next states."""
        check_next(len(states), frames, self._preset)
        lengths, idle = self._lengths, self._idle
        if lengths is None:
            raise ValueError("the engine is closed")
        after: list[State] = []
        requests = idle.get()
        try:
            for k, (state, segment) in enumerate(zip(states, frames, strict=True)):
                tensors = run_segment(lengths, requests, state.tensors, segment)
                for name, rows in results.items():
                    rows[k] = tensors[name].reshape(-1)
                after.append(State(state.num_frames + len(segment), {name: tensors[name] for name in self._zeros}))
        except RuntimeError as error:
            raise inference_error(counted(len(frames), "segment"), error) from error
        finally:
            idle.put(requests)
        return after

    def close(self) -> None:
        """Frees the model after running calls have returned."""
        self._lengths = None
        self._idle = queue.LifoQueue()
