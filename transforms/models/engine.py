"""The interface of engines, and how one is chosen."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.models.engines.stream import StreamEngine, is_stream_model
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec, OutputActivation
from reelbeam.transforms.models.registry.manifest import is_exported, read_manifest

_LOGGER = logging.getLogger(__name__)
_DEVICES = pathlib.Path("/dev")

EngineName = Literal["auto", "openvino", "tensorflow"]
Precision = Literal["float32", "bfloat16"]


class Engine(Protocol):
    """A loaded model. Threads may call `classify` concurrently.

    Attributes:
      name: "openvino" or "tensorflow".
      num_classes: the number of outputs per clip.
      output_activation: the kind of the outputs; this interface calls them logits in any case.
    """

    name: str
    num_classes: int
    output_activation: OutputActivation

    def classify(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Runs the model.

        Args:
          frames: uint8 [N, T, H, W, 3], RGB; T, H and W as in the model's preset.

        Returns:
          Logits, float32 [N, C].

        Raises:
          InferenceError: the engine failed on these clips, for example out of memory.
          ValueError: the array has another type or shape.
        """
        ...

    def embedding_size(self) -> int | None:
        """Returns the number of inputs of the classifier's last layer, or None. The first call may take seconds."""
        ...

    def classify_with_embeddings(
        self, frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Runs `classify`, and also returns the activations before the classifier.

        Returns:
          Logits, float32 [N, C], and embeddings, float32 [N, D] with D = `embedding_size()`.

        Raises:
          ModelError: the graph has no embeddings.
          InferenceError, ValueError: as in `classify`.
        """
        ...

    def close(self) -> None:
        """Frees the model. The engine cannot be used afterwards; closing it again does nothing."""
        ...


def accelerator_visible(devices: pathlib.Path = _DEVICES) -> bool:
    """Returns whether there seems to be a GPU or TPU. Checks device files only: importing TensorFlow takes seconds."""
    if any(devices.glob("accel[0-9]*")):
        return True
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return not hidden and any(devices.glob("nvidia[0-9]*"))


def choose_engine(
    wanted: EngineName, spec: ModelSpec | None = None, runs_here: bool = True, devices: pathlib.Path = _DEVICES
) -> EngineName:
    """Resolves "auto" to an engine for this model; returns any other name unchanged.

    On this machine the choice depends on its devices. The devices of a cluster's workers are unknown, so the choice
    for them is OpenVINO, which all of them can run.

    Args:
      wanted: the engine; "auto" chooses.
      spec: the model, if it is known.
      runs_here: whether the model runs on this machine.
      devices: the folder of this machine's device files.

    Raises:
      ConfigError: the engine does not exist, or it cannot run the model.
    """
    if wanted not in ("auto", "openvino", "tensorflow"):
        raise ConfigError(f"--engine {wanted!r} does not exist: pass auto, openvino or tensorflow")
    if spec is not None and _is_exported(spec):
        if wanted == "tensorflow":
            raise ConfigError(f"{spec.name} is an exported model, which only --engine openvino runs")
        return "openvino"
    if wanted != "auto":
        return wanted
    if not runs_here or not accelerator_visible(devices):
        return "openvino"
    from reelbeam.transforms.models.engines.tensorflow_engine import accelerators

    if accelerators():
        return "tensorflow"
    _LOGGER.warning(
        "this TensorFlow cannot use the accelerator of this machine (install tensorflow[and-cuda] for NVIDIA GPUs): "
        "models run on the CPU with OpenVINO"
    )
    return "openvino"


def _is_exported(spec: ModelSpec) -> bool:
    folder = resolver.local_path(spec.handle)
    return folder is not None and is_exported(folder)


def with_found_kind(spec: ModelSpec) -> ModelSpec:
    """Returns the spec with the kind found in the graph if the model is at a URL, after fetching it.

    Other specs are returned unchanged: the kind of a catalog model is known, and the kind of a folder, local or in a
    store, was determined when the flags were read.

    Raises:
      ModelError: the model cannot be fetched.
    """
    if "://" not in spec.handle or resolver.is_stored(spec.handle) or spec.name in CATALOG:
        return spec
    folder = resolver.resolve(spec.handle)
    if is_exported(folder):
        return dataclasses.replace(spec, kind=read_manifest(folder).kind)
    return dataclasses.replace(spec, kind="stream" if is_stream_model(folder) else "base")


def check_embeddings(engine: Engine | StreamEngine, spec: ModelSpec) -> int:
    """Returns the size of a model's embeddings.

    Raises:
      ConfigError: the model has none.
    """
    size = engine.embedding_size()
    if size is None:
        raise ConfigError(
            f"--save_embeddings: {spec.name} has no dense layer before its logits, so it has no embeddings"
        )
    return size


def require_precision(precision: Precision, engine: EngineName) -> None:
    """Raises ConfigError if an engine does not support that precision."""
    if precision not in ("float32", "bfloat16"):
        raise ConfigError(f"--precision {precision} does not exist: pass float32 or bfloat16")
    if precision != "float32" and engine != "openvino":
        raise ConfigError(f"--precision {precision} needs --engine openvino: TensorFlow runs a SavedModel as it is")
