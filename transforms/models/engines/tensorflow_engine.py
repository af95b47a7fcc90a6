"""Run a SavedModel unchanged with TensorFlow: on a GPU or TPU, and as the reference for other engines."""

from __future__ import annotations

import logging
import pathlib
import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import InferenceError, ModelError, OutOfMemoryError, SignatureError
from reelbeam.transforms.models.engines.graph_ops import require_harmless
from reelbeam.transforms.models.engines.signature import TensorInfo, check_frames, check_signature
from reelbeam.transforms.models.engines.tensorflow_embeddings import Function, SavedModel, Tensor, with_embeddings
from reelbeam.transforms.models.registry.catalog import OutputActivation, Preset
from reelbeam.transforms.models.registry.quiet import quiet_tensorflow
from reelbeam.transforms.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOGGER = logging.getLogger(__name__)
_SIGNATURE = "serving_default"


class TensorFlowEngine:
    """A SavedModel's `serving_default`, wrapped in a graph function that takes uint8."""

    name = "tensorflow"
    output_activation: OutputActivation = "logits"

    def __init__(self, run: Callable[[Tensor], Tensor], num_classes: int, preset: Preset) -> None:
        """Stores the results of `load`."""
        self.num_classes = num_classes
        self._preset = preset
        self._run: Callable[[Tensor], Tensor] | None = run
        self._frozen: Function = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: pathlib.Path, preset: Preset, num_threads: int) -> TensorFlowEngine:
        """Loads a SavedModel onto the first accelerator, or onto the CPU if there is none.

        Raises:
          SignatureError: its inputs and outputs are not a clip and logits.
          ModelError: TensorFlow cannot load it.
        """
        model = load_saved_model(folder, num_threads)
        signature = _signature(model, folder)
        inputs, outputs = _inputs(signature), _outputs(signature)
        check_signature(folder, preset, inputs, outputs)
        run = _with_uint8_input(model, signature, inputs[0].name, outputs[0].name, preset)
        num_classes = run.structured_outputs.shape[1]
        if num_classes is None:
            raise SignatureError(f"cannot run {folder}: the number of classes of {outputs[0]} is not fixed")
        return cls(run, int(num_classes), preset)

    def classify(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Runs the model, see `Engine`. Runs the whole batch at once, which is faster on an accelerator."""
        if self._run is None:
            raise ValueError("the engine is closed")
        if len(frames) == 0:
            check_frames(frames, self._preset)
            return np.empty((0, self.num_classes), np.float32)
        (logits,) = self._call(self._run, frames)
        return logits

    def embedding_size(self) -> int | None:
        """Returns the size of an embedding, see `Engine`."""
        function = self._with_embeddings()
        return None if function is None else int(function.outputs[1].shape[1])

    def classify_with_embeddings(
        self, frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Runs the model, see `Engine`, in a frozen copy of its graph."""
        function = self._with_embeddings()
        if function is None:
            raise ModelError("the model has no dense layer before its logits, so it has no embeddings")
        if len(frames) == 0:
            check_frames(frames, self._preset)
            sizes = (self.num_classes, int(function.outputs[1].shape[1]))
            return np.empty((0, sizes[0]), np.float32), np.empty((0, sizes[1]), np.float32)
        logits, embeddings = self._call(function, frames)
        return logits, embeddings

    def _with_embeddings(self) -> Function:
        with self._lock:
            if self._run is None:
                raise ValueError("the engine is closed")
            if self._frozen is None:
                self._frozen = with_embeddings(self._run, 0, self.num_classes) or False
            return self._frozen or None

    def _call(self, function: Function, frames: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        import tensorflow as tf

        check_frames(frames, self._preset)
        try:
            results = function(tf.constant(frames))
            return [result.numpy() for result in (results if isinstance(results, list | tuple) else [results])]
        except tf.errors.OpError as error:
            raise inference_error(counted(len(frames), "clip"), error) from error

    def close(self) -> None:
        """Frees the model after running calls have returned."""
        self._run = self._frozen = None


def load_saved_model(folder: pathlib.Path, num_threads: int) -> SavedModel:
    """Loads a SavedModel with TensorFlow.

    Raises:
      ModelError: TensorFlow cannot load it, or it is rejected, see `graph_ops`.
    """
    with quiet_tensorflow():
        import tensorflow as tf

        _configure(num_threads)
        require_harmless(folder)
    try:
        # Not a Keras loader: Keras 3 does not load these models.
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"TensorFlow cannot load {folder}: {error}") from error


def inference_error(batch: str, error: Exception) -> InferenceError:
    """Converts TensorFlow's error on a batch to an InferenceError."""
    import tensorflow as tf

    kind = OutOfMemoryError if isinstance(error, tf.errors.ResourceExhaustedError) else InferenceError
    message = getattr(error, "message", None) or error
    return kind(f"TensorFlow failed on a batch of {batch}: {message}")


def accelerators() -> list[str]:
    """Returns the GPUs and TPUs that this TensorFlow can use. Starts TensorFlow's device runtime."""
    with quiet_tensorflow():
        import tensorflow as tf

        return [device.name for kind in ("GPU", "TPU") for device in tf.config.list_physical_devices(kind)]


def _configure(num_threads: int) -> None:
    import tensorflow as tf

    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    except RuntimeError as error:  # the process has already used TensorFlow, whose settings are then fixed
        _LOGGER.debug("TensorFlow keeps its settings: %s", error)


def _signature(model: SavedModel, folder: pathlib.Path) -> Function:
    if _SIGNATURE not in model.signatures:
        found = ", ".join(sorted(model.signatures)) or "none"
        raise SignatureError(f"cannot run {folder}: it has no signature {_SIGNATURE}. Found: {found}")
    return model.signatures[_SIGNATURE]


def _with_uint8_input(model: SavedModel, signature: Function, image: str, output: str, preset: Preset) -> Function:
    import tensorflow as tf

    clips = tf.TensorSpec([None, preset.num_frames, preset.size, preset.size, 3], tf.uint8)

    def run(frames: Tensor) -> Tensor:
        return signature(**{image: tf.cast(frames, tf.float32) / 255.0})[output]

    concrete = tf.function(run, input_signature=[clips]).get_concrete_function()
    # The signature alone does not keep the loaded variables alive.
    concrete.reelbeam_model = model
    return concrete


def _inputs(signature: Function) -> list[TensorInfo]:
    return [_info(name, spec) for name, spec in _specs(signature.structured_input_signature[1])]


def _outputs(signature: Function) -> list[TensorInfo]:
    return [_info(name, spec) for name, spec in _specs(signature.structured_outputs)]


def _specs(tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    return sorted(tensors.items())


def _info(name: str, spec: Tensor) -> TensorInfo:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorInfo(name, spec.dtype.name, shape)
