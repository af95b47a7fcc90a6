"""Run a SavedModel on CPUs with OpenVINO. TensorFlow is a hundred times slower on MoViNet's grouped 3-D convolutions.

The preparation of the model matters more than any tuning: it is read with unknown sizes, saved, read back, and only
then fixed to one clip. A model converted with fixed sizes is several times slower; one run with unknown sizes, twice.
"""

from __future__ import annotations

import logging
import pathlib
import queue

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import InferenceError, ModelError, OutOfMemoryError
from reelbeam.transforms.models.engines import openvino_cache
from reelbeam.transforms.models.engines.compiled_cache import compile_model
from reelbeam.transforms.models.engines.embeddings import openvino_embedding
from reelbeam.transforms.models.engines.openvino_import import Compiled, Graph, Port, Request, import_openvino
from reelbeam.transforms.models.engines.signature import TensorInfo, check_frames, check_signature
from reelbeam.transforms.models.registry.catalog import OutputActivation, Preset
from reelbeam.transforms.wording import counted

_LOGGER = logging.getLogger(__name__)


class OpenVinoEngine:
    """One compiled model, and one inference request for each concurrent thread.

    Each thread runs its clips on one CPU. N threads use N CPUs without waiting for each other, which costs less in
    total than N CPUs that share each clip. Clips of a batch run in sequence; a CPU gains nothing from larger batches.
    """

    name = "openvino"
    output_activation: OutputActivation = "logits"

    def __init__(self, compiled: Compiled, preset: Preset, num_threads: int) -> None:
        """Creates the inference requests. Use `load`."""
        self.num_classes = int(compiled.output(0).shape[1])
        self._embedding_size = int(np.prod(compiled.output(1).shape)) if len(compiled.outputs) > 1 else None
        self._preset = preset
        self._compiled: Compiled = compiled
        self._idle: queue.LifoQueue[Request] = queue.LifoQueue()
        for _ in range(num_threads):
            request = compiled.create_infer_request()
            # OpenVINO sets up its bridge to NumPy on first use. Two threads that do so at once may deadlock, one with
            # Python's lock and one with the bridge's lock.
            assert request.get_input_tensor(0).data is not None
            self._idle.put(request)

    @classmethod
    def load(cls, folder: pathlib.Path, preset: Preset, num_threads: int, precision: str = "float32") -> OpenVinoEngine:
        """Loads a SavedModel; converts it on first use on this machine.

        Raises:
          SignatureError: its inputs and outputs are not a clip and logits.
          ModelError: OpenVINO cannot read or run it.
        """
        openvino = import_openvino()
        core = openvino.Core()
        shape = [1, preset.num_frames, preset.size, preset.size, 3]

        def prepared() -> Graph:
            model = openvino_cache.read_converted(core, folder)[openvino_cache.MODEL]
            check_signature(folder, preset, _infos(model.inputs), _infos(model.outputs))
            model.reshape(shape)
            _add_embedding(model)
            return with_uint8_input(model)

        try:
            key = f"clip {shape} of {openvino_cache.identity(folder)}"
            compiled = compile_model(core, key, prepared, cpu_config(num_threads, precision))
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run {folder}: {error}; try --engine tensorflow") from error
        except OSError as error:
            raise ModelError(f"{folder} cannot be read: {error}") from error
        return cls(compiled, preset, num_threads)

    def classify(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Runs the model, see `Engine`."""
        logits = np.empty((len(frames), self.num_classes), np.float32)
        self._run(frames, [logits])
        return logits

    def embedding_size(self) -> int | None:
        """Returns the size of an embedding, see `Engine`."""
        return self._embedding_size

    def classify_with_embeddings(
        self, frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Runs the model, see `Engine`. The embeddings have no extra cost, because they are computed anyway."""
        if self._embedding_size is None:
            raise ModelError("the model has no dense layer before its logits, so it has no embeddings")
        logits = np.empty((len(frames), self.num_classes), np.float32)
        embeddings = np.empty((len(frames), self._embedding_size), np.float32)
        self._run(frames, [logits, embeddings])
        return logits, embeddings

    def _run(self, frames: npt.NDArray[np.uint8], results: list[npt.NDArray[np.float32]]) -> None:
        """Writes the model's first outputs for each clip into a row of each array of `results`."""
        check_frames(frames, self._preset)
        if self._compiled is None:
            raise ValueError("the engine is closed")
        idle = self._idle
        request = idle.get()
        try:
            for k, clip in enumerate(frames):
                # Copied, not shared: a request keeps its input alive and would write its next input into it.
                request.get_input_tensor(0).data[0] = clip
                request.infer()
                for port, rows in enumerate(results):
                    rows[k] = request.get_output_tensor(port).data.reshape(-1)
        except RuntimeError as error:
            raise inference_error(counted(len(frames), "clip"), error) from error
        finally:
            idle.put(request)

    def close(self) -> None:
        """Frees the model after running calls have returned."""
        self._compiled = None
        self._idle = queue.LifoQueue()


def _add_embedding(model: Graph) -> None:
    num_classes = model.output(0).get_partial_shape()[1]
    if num_classes.is_static:
        port = openvino_embedding(model.output(0), num_classes.get_length())
        if port is not None:
            model.add_outputs([port])


def inference_error(batch: str, error: RuntimeError) -> InferenceError:
    """Converts OpenVINO's error on a batch. It has one type for all errors; only the text shows a lack of memory."""
    text = str(error)
    no_memory = any(sign in text.lower() for sign in ("bad_alloc", "out of memory", "cannot allocate", "not allocate"))
    kind = OutOfMemoryError if no_memory else InferenceError
    return kind(f"OpenVINO failed on a batch of {batch}: {text}")


def with_uint8_input(model: Graph, image: str | int = 0) -> Graph:
    """Returns a model whose input `image` (a name or a position) takes uint8 and is divided by 255.

    The conversion is in the graph, so that pixels stay uint8 up to the first convolution: a quarter of the memory
    traffic.
    """
    openvino = import_openvino()

    prepared = openvino.preprocess.PrePostProcessor(model)
    prepared.input(image).tensor().set_element_type(openvino.Type.u8)
    prepared.input(image).preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return prepared.build()


_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


def cpu_config(num_threads: int, precision: str = "float32") -> dict[str, object]:
    """Returns the compile options for `num_threads` threads that each run their own clip."""
    return {
        # The default is bf16 or f16 if the CPU has them: scores would differ between machines, and f16 even overflows.
        "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
        "NUM_STREAMS": num_threads,
        "INFERENCE_NUM_THREADS": num_threads,
        # Decoders share the machine; pinned threads would wait for them.
        "ENABLE_CPU_PINNING": False,
    }


def _infos(ports: list[Port]) -> list[TensorInfo]:
    return [TensorInfo(_name(port), port.get_element_type().to_dtype().name, _shape(port)) for port in ports]


def _name(port: Port) -> str:
    return min(port.get_names(), default="unnamed", key=len)


def _shape(port: Port) -> tuple[int | None, ...] | None:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    return tuple(size.get_length() if size.is_static else None for size in shape)
