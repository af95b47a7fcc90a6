"""Compile the graphs of a Stream model with OpenVINO: its two signatures, converted separately.

As for Base models, sizes are fixed before the graph is compiled, including the number of frames. Two lengths suffice:
one chunk, and one frame for the rest of a segment that is not a multiple of it.
"""

from __future__ import annotations

import functools
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.models.engines import openvino_cache
from reelbeam.transforms.models.engines.compiled_cache import compile_model
from reelbeam.transforms.models.engines.embeddings import openvino_embedding
from reelbeam.transforms.models.engines.openvino_engine import cpu_config, with_uint8_input
from reelbeam.transforms.models.engines.openvino_import import Compiled, Core, Graph, Port
from reelbeam.transforms.models.engines.stream import StreamSignatures, Tensor
from reelbeam.transforms.models.registry.catalog import Preset

_T = TypeVar("_T")
Tensors = dict[str, npt.NDArray[np.generic]]
EMBEDDING = "embedding/"
"""The name of the output with the embedding; a tensor of a SavedModel cannot have this name."""


class Source:
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


class CompiledLengths:
    """The model, compiled for each number of frames on first use."""

    def __init__(self, source: Source, zeros: Tensors, preset: Preset, config: dict[str, object]) -> None:
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
        """Returns the model compiled for a number of frames."""
        with self._lock:
            if num_frames not in self._compiled:
                self._compiled[num_frames] = self._compile(num_frames)
            return self._compiled[num_frames]

    def embedding_size(self) -> int | None:
        """Returns the size of the embedding output; None if the graph has none."""
        outputs = self.compiled(self.chunk_frames).outputs
        return next((int(np.prod(port.shape)) for port in outputs if EMBEDDING in port.get_names()), None)

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
        output.add_names({EMBEDDING})


class SegmentRequest:
    """One thread's request for a compiled model, with its tensors by name."""

    def __init__(self, compiled: Compiled, signatures: StreamSignatures) -> None:
        states = {name: name for name in signatures.states}
        nexts = {openvino_cache.NEXT_STATE + name: name for name in (*states, signatures.logits)}
        nexts[EMBEDDING] = EMBEDDING
        states[signatures.image.name] = signatures.image.name
        self._request = compiled.create_infer_request()
        self._inputs = [(_by_name(states, port), self._request.get_tensor(port)) for port in compiled.inputs]
        self._outputs = [(_by_name(nexts, port), port) for port in compiled.outputs]

    def run(self, tensors: Mapping[str, Tensor]) -> Tensors:
        """Returns all outputs by name."""
        for name, tensor in self._inputs:
            tensor.data[...] = tensors[name]
        self._request.infer()
        return {name: self._request.get_tensor(port).data.copy() for name, port in self._outputs}


def run_segment(
    lengths: CompiledLengths,
    requests: dict[int, SegmentRequest],
    tensors: Mapping[str, Tensor],
    segment: npt.NDArray[np.uint8],
) -> Tensors:
    """Returns all outputs by name after the segment's last frame."""
    signatures = lengths.signatures
    for start, length in lengths.cut(len(segment)):
        if length not in requests:
            requests[length] = SegmentRequest(lengths.compiled(length), signatures)
        tensors = requests[length].run({**tensors, signatures.image.name: segment[None, start : start + length]})
    return dict(tensors)


def make_states(source: Source, preset: Preset) -> Tensors:
    """Returns the initial states by name."""
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
