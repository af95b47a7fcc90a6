"""Run a Stream model on CPUs with OpenVINO: its two signatures, converted separately, and the states between calls.

As for Base models, sizes are fixed before the graph is compiled, including the number of frames. Two lengths suffice:
one chunk, and one frame for the rest of a segment that is not a multiple of it.
"""

from __future__ import annotations

import functools
import pathlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.engines import openvino_cache
from reelbeam.transforms.models.engines.compiled_cache import compile_model
from reelbeam.transforms.models.engines.embeddings import openvino_embedding
from reelbeam.transforms.models.engines.openvino_engine import cpu_config, inference_error, with_uint8_input
from reelbeam.transforms.models.engines.openvino_import import Compiled, Core, Graph, Port, import_openvino
from reelbeam.transforms.models.engines.stream import (
    State,
    StreamSignatures,
    Tensor,
    check_next,
    find_stream_signatures,
)
from reelbeam.transforms.models.registry.catalog import OutputActivation, Preset
from reelbeam.transforms.wording import counted

_T = TypeVar("_T")
_Tensors = dict[str, npt.NDArray[np.generic]]
_EMBEDDING = "embedding/"
"""The name of the output with the embedding; a tensor of a SavedModel cannot have this name."""


class OpenVinoStreamEngine:
    """A compiled model for each length, and its inference requests for each concurrent thread.

    Segments of a batch run in sequence, each chunk on one CPU; a CPU gains nothing from larger batches.
    """

    name = "openvino"
    output_activation: OutputActivation = "logits"

    def __init__(self, lengths: _Lengths, zeros: _Tensors, preset: Preset, num_threads: int) -> None:
        """Creates an empty set of requests for each thread. Use `load`."""
        self.num_classes = lengths.signatures.num_classes
        self.chunk_frames = lengths.chunk_frames
        self.state_bytes = sum(zero.nbytes for zero in zeros.values())
        self._embedding_size = lengths.embedding_size()
        self._preset = preset
        self._logits = lengths.signatures.logits
        self._lengths: _Lengths | None = lengths
        self._zeros = zeros
        self._idle: queue.LifoQueue[dict[int, _Request]] = queue.LifoQueue()
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
            source = _Source(core, folder, signatures)
            zeros = _make_states(source, preset)
            lengths = _Lengths(source, zeros, preset, cpu_config(num_threads, precision))
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
            raise ModelError("the model has no dense layer before its logits: there are no embeddings to save")
        logits = np.empty((len(frames), self.num_classes), np.float32)
        embeddings = np.empty((len(frames), self._embedding_size), np.float32)
        after = self._run(states, frames, {self._logits: logits, _EMBEDDING: embeddings})
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
                tensors = _run(lengths, requests, state.tensors, segment)
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


class _Source:
    """Compiles the two graphs of a model; reads them only if the cache of compiled models lacks one."""

    def __init__(self, core: Core, folder: pathlib.Path, signatures: StreamSignatures) -> None:
        self.signatures = signatures
        self._core = core
        self._folder = folder
        self._identity = openvino_cache.identity(folder, signatures)

    @functools.cached_property
    def graphs(self) -> dict[str, Graph]:
        """The converted graphs, with unknown sizes."""
        return openvino_cache.read_converted(self._core, self._folder, self.signatures)

    def compile(self, what: str, build: Callable[[], Graph], config: dict[str, object]) -> Compiled:
        """Compiles the result of `build`; `what` must describe all of its changes to the graphs."""
        return compile_model(self._core, f"{what} of {self._identity}", build, config)


class _Lengths:
    """The model, compiled for each number of frames on first use."""

    def __init__(self, source: _Source, zeros: _Tensors, preset: Preset, config: dict[str, object]) -> None:
        self.signatures = source.signatures
        self.chunk_frames = source.signatures.chunk_frames(preset.num_frames)
        self._source = source
        self._shapes = {name: zero.shape for name, zero in zeros.items()}
        self._size = preset.size
        self._config = config
        self._compiled: dict[int, Compiled] = {}
        self._lock = threading.Lock()

    def cut(self, num_frames: int) -> Iterator[tuple[int, int]]:
        """Yields start and length of the chunks of `num_frames` frames."""
        whole = num_frames // self.chunk_frames * self.chunk_frames
        yield from ((start, self.chunk_frames) for start in range(0, whole, self.chunk_frames))
        yield from ((start, 1) for start in range(whole, num_frames))

    def compiled(self, num_frames: int) -> Compiled:
        with self._lock:
            if num_frames not in self._compiled:
                self._compiled[num_frames] = self._compile(num_frames)
            return self._compiled[num_frames]

    def embedding_size(self) -> int | None:
        """Returns the size of the embedding output; None if the graph has none."""
        outputs = self.compiled(self.chunk_frames).outputs
        return next((int(np.prod(port.shape)) for port in outputs if _EMBEDDING in port.get_names()), None)

    def _compile(self, num_frames: int) -> Compiled:
        def fixed() -> Graph:
            model = self._source.graphs[openvino_cache.MODEL].clone()
            shapes = {**self._shapes, self.signatures.image.name: (1, num_frames, self._size, self._size, 3)}
            model.reshape({port: list(_by_name(shapes, port)) for port in model.inputs})
            _add_embedding(model, self.signatures)
            return with_uint8_input(model, self.signatures.image.name)

        # The key includes the states' sizes, because they may depend on the preset's number of frames.
        what = f"{num_frames} frames of {self._size} pixels after {sorted(self._shapes.items())}"
        return self._source.compile(what, fixed, self._config)


def _add_embedding(model: Graph, signatures: StreamSignatures) -> None:
    named = {name: port for port in model.outputs for name in port.get_names()}
    port = openvino_embedding(named[openvino_cache.NEXT_STATE + signatures.logits], signatures.num_classes)
    if port is not None:
        (output,) = model.add_outputs([port])
        output.add_names({_EMBEDDING})


class _Request:
    """One thread's request for a compiled model, with its tensors by name."""

    def __init__(self, compiled: Compiled, signatures: StreamSignatures) -> None:
        states = {name: name for name in signatures.states}
        nexts = {openvino_cache.NEXT_STATE + name: name for name in (*states, signatures.logits)}
        nexts[_EMBEDDING] = _EMBEDDING
        states[signatures.image.name] = signatures.image.name
        self._request = compiled.create_infer_request()
        self._inputs = [(_by_name(states, port), self._request.get_tensor(port)) for port in compiled.inputs]
        self._outputs = [(_by_name(nexts, port), port) for port in compiled.outputs]

    def run(self, tensors: Mapping[str, Tensor]) -> _Tensors:
        for name, tensor in self._inputs:
            tensor.data[...] = tensors[name]
        self._request.infer()
        return {name: self._request.get_tensor(port).data.copy() for name, port in self._outputs}


def _run(
    lengths: _Lengths, requests: dict[int, _Request], tensors: Mapping[str, Tensor], segment: npt.NDArray[np.uint8]
) -> _Tensors:
    """Returns all outputs by name after the segment's last frame."""
    signatures = lengths.signatures
    for start, length in lengths.cut(len(segment)):
        if length not in requests:
            requests[length] = _Request(lengths.compiled(length), signatures)
        tensors = requests[length].run({**tensors, signatures.image.name: segment[None, start : start + length]})
    return dict(tensors)


def _make_states(source: _Source, preset: Preset) -> _Tensors:
    signatures = source.signatures
    compiled = source.compile("states", lambda: source.graphs[openvino_cache.INIT], cpu_config(num_threads=1))
    shape = np.array([1, preset.num_frames, preset.size, preset.size, 3], np.int32)
    made = compiled({signatures.input_shape: shape})
    named = {name: value for port, value in made.items() for name in port.get_names()}
    return {name: _state(named.get(name), info.dtype, info.shape or ()) for name, info in signatures.states.items()}


def _state(made: npt.NDArray[np.generic] | None, dtype: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.generic]:
    # OpenVINO drops outputs that do not depend on an input: counters of fixed size. Their initial value is zero.
    state = np.zeros([size or 1 for size in shape], dtype) if made is None else made.copy()
    state.flags.writeable = False
    return state


def _by_name(values: Mapping[str, _T], port: Port) -> _T:
    return next(values[name] for name in port.get_names() if name in values)
