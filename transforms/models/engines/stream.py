"""Stream models: the interface of their engines, and how to find their two signatures in a SavedModel."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import SignatureError
from reelbeam.transforms.models.engines.signature import TensorInfo
from reelbeam.transforms.models.engines.signature_defs import SERVED, Signature, read_signatures
from reelbeam.transforms.models.registry.catalog import OutputActivation, Preset
from reelbeam.transforms.models.registry.manifest import SignatureJson, is_exported, read_manifest

_WANTED = (
    "Wanted: a signature that takes an input shape int32 [5] and gives states, and one that takes one image float32 "
    "[N, T, H, W, 3] with those states and gives logits [N, C] with the next ones."
)
_MOST_CHUNK_FRAMES = 10

Tensor: TypeAlias = Any
"""An array of numpy's, or a tensor of TensorFlow's: only the engine that made it knows."""


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """A Stream model's state for a segment. Opaque and immutable, so a failed call can be repeated.

    Attributes:
      num_frames: the number of frames of the segment that the model has seen.
      tensors: the model's states by name, as tensors of the engine that created them.
    """

    num_frames: int
    tensors: Mapping[str, Tensor]


class StreamEngine(Protocol):
    """A loaded Stream model. Threads may call `classify_next` concurrently, each for its own segments.

    Attributes:
      name: "openvino" or "tensorflow".
      num_classes: the number of outputs per clip.
      output_activation: the kind of the outputs; this interface calls them logits in any case.
      chunk_frames: the best number of frames per call; multiples of it are equally good.
      state_bytes: the memory of one State.
    """

    name: str
    num_classes: int
    output_activation: OutputActivation
    chunk_frames: int
    state_bytes: int

    def initial_state(self) -> State:
        """Returns the state before the first frame of a segment."""
        ...

    def classify_next(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[State]]:
        """Runs the model on the next frames of each segment. The results do not depend on the size of the calls.

        Args:
          states: the state of each of the N segments, from `initial_state` or from the previous call.
          frames: uint8 [N, T, H, W, 3], RGB; H and W as in the model's preset. T is at least 1 and may vary.

        Returns:
          The model's logits after these frames, float32 [N, C], and the next states.

        Raises:
          InferenceError: the engine failed, for example out of memory; the given states remain valid.
          ValueError: the array has another type or shape, or the number of states is not the number of segments.
        """
        ...

    def embedding_size(self) -> int | None:
        """Returns the number of inputs of the classifier's last layer; None if the graph has no such layer.

        TensorFlow prepares the graph for this at the first call, which takes seconds.
        """
        ...

    def classify_next_with_embeddings(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[State]]:
        """Runs `classify_next`, and also returns the activations before the classifier.

        Returns:
          Logits, float32 [N, C], embeddings, float32 [N, D] with D = `embedding_size()`, and the next states.

        Raises:
          ModelError: the graph has no embeddings.
          InferenceError, ValueError: as in `classify_next`.
        """
        ...

    def close(self) -> None:
        """Frees the model. The engine cannot be used afterwards; closing it again does nothing."""
        ...


@dataclasses.dataclass(frozen=True)
class StreamSignatures:
    """The signatures of a Stream model, and the role of each tensor.

    Attributes:
      init: the name of the signature that creates states.
      call: the name of the signature that takes frames.
      input_shape: the input of `init`: the shape of the frames, int32 [5].
      image: the input of `call` that takes frames, float32 of rank 5.
      logits: the output of `call` that is not a state.
      states: the other inputs of `call`, by name.
      num_classes: the number of logits per clip.
    """

    init: str
    call: str
    input_shape: str
    image: TensorInfo
    logits: str
    states: Mapping[str, TensorInfo]
    num_classes: int

    def chunk_frames(self, clip_frames: int) -> int:
        """Returns the number of frames per call: about ten, and a divisor of the clip's frames if possible.

        A0 takes 4.6 ms of CPU time for a single frame, 2.8 ms per frame in chunks of 2, 2.2 of 5, and 1.9 of 10, 25 and
        50. Longer chunks only take more memory.
        """
        assert self.image.shape is not None
        return self.image.shape[1] or clip_frames // -(-clip_frames // _MOST_CHUNK_FRAMES)

    @classmethod
    def from_json(cls, values: SignatureJson | None) -> StreamSignatures | None:
        """Returns the signatures from the JSON form of `dataclasses.asdict`; None for None."""
        if values is None:
            return None
        states = {name: _info(info) for name, info in values["states"].items()}
        return cls(**{**values, "image": _info(values["image"]), "states": states})


def _info(values: SignatureJson) -> TensorInfo:
    return TensorInfo(**{**values, "shape": None if values["shape"] is None else tuple(values["shape"])})


def find_stream_signatures(folder: pathlib.Path, preset: Preset) -> StreamSignatures:
    """Finds the signatures of a Stream model by their inputs and outputs; their names do not matter.

    Raises:
      SignatureError: there are none, or they do not take pictures of the preset; the message lists the signatures.
      NotASavedModelError: the graph file is missing or damaged.
    """
    if is_exported(folder):
        signatures, found = {}, StreamSignatures.from_json(read_manifest(folder).signatures)
    else:
        signatures = read_signatures(folder)
        found = _find(signatures)
    if found is None:
        problem = "it is not a Stream model"
    elif fault := _image_fault(found.image, preset):
        problem = fault
    else:
        return found
    raise SignatureError(f"cannot run {folder}: {problem}. {_WANTED} Found: {_described(signatures)}")


def is_stream_model(folder: pathlib.Path) -> bool:
    """Returns whether a SavedModel is a Stream model.

    Raises:
      NotASavedModelError: the graph file is missing or damaged.
    """
    return _find(read_signatures(folder)) is not None


def answer_of(signatures: Mapping[str, Signature]) -> tuple[str, str] | None:
    """Returns the signature that classifies, and its output with the logits; None if it is ambiguous."""
    stream = _find(signatures)
    if stream is not None:
        return stream.call, stream.logits
    outputs = list(signatures[SERVED].outputs) if SERVED in signatures else []
    return (SERVED, outputs[0]) if len(outputs) == 1 else None


def check_next(num_states: int, frames: npt.NDArray[np.uint8], preset: Preset) -> None:
    """Checks the arguments of `StreamEngine.classify_next`.

    Raises:
      ValueError: not uint8 [N, T, H, W, 3] with the preset's sizes and at least one frame, or a wrong number of states.
    """
    size = preset.size
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[2:] != (size, size, 3) or not frames.shape[1]:
        raise ValueError(f"frames must be uint8 [N, T, {size}, {size}, 3], not {frames.dtype} {list(frames.shape)}")
    if num_states != len(frames):
        raise ValueError(f"{num_states} states for {len(frames)} segments")


def _find(signatures: Mapping[str, Signature]) -> StreamSignatures | None:
    for call, signature in signatures.items():
        states = {name: info for name, info in signature.inputs.items() if name in signature.outputs}
        images = [name for name in signature.inputs if name not in states]
        answers = [name for name in signature.outputs if name not in states]
        if not states or len(images) != 1 or len(answers) != 1:
            continue
        logits = signature.outputs[answers[0]].shape
        if logits is None or len(logits) != 2 or logits[1] is None:
            continue
        image = signature.inputs[images[0]]
        for init, maker in signatures.items():
            takes_shape = [(info.dtype, info.shape) for info in maker.inputs.values()] == [("int32", (5,))]
            if takes_shape and set(maker.outputs) == set(states):
                (input_shape,) = maker.inputs
                return StreamSignatures(init, call, input_shape, image, answers[0], states, logits[1])
    return None


def _image_fault(image: TensorInfo, preset: Preset) -> str | None:
    wanted = (None, None, preset.size, preset.size, 3)
    if image.dtype != "float32" or image.shape is None or len(image.shape) != 5:
        return f"its {image} is not an image"
    if image.shape[1] not in (None, 1):
        return f"its {image} takes neither any number of frames nor one"
    if any(None not in (has, wants) and has != wants for has, wants in zip(image.shape, wanted, strict=True)):
        return f"its {image} does not fit pictures of {preset.size} x {preset.size} pixels"
    return None


def _described(signatures: Mapping[str, Signature]) -> str:
    shown = [
        f"{name}({_listed(signature.inputs)}) -> ({_listed(signature.outputs)})"
        for name, signature in signatures.items()
    ]
    return "; ".join(shown) or "no signature."


def _listed(tensors: Mapping[str, TensorInfo]) -> str:
    shown = ", ".join(str(info) for info in list(tensors.values())[:4])
    return f"{shown} and {len(tensors) - 4} more" if len(tensors) > 4 else shown
