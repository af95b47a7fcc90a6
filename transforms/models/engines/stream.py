"""Stream models: what runs one, and how its two signatures are told among those of a SavedModel."""

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
    """What a Stream model remembers of a segment. Opaque, never changed: a call that failed can be made again.

    Attributes:
      num_frames: frames of the segment that it has seen.
      tensors: the model's own states by name, of the engine that made them.
    """

    num_frames: int
    tensors: Mapping[str, Tensor]


class StreamEngine(Protocol):
    """A loaded Stream model. Many threads may call `classify_next` of the same one at once, each for its own segments.

    Attributes:
      name: "openvino" or "tensorflow".
      num_classes: outputs of a clip.
      output_activation: what the outputs are; they are called logits here, whatever they are.
      chunk_frames: frames that are best given at once; multiples of it are as good.
      state_bytes: memory of one State.
    """

    name: str
    num_classes: int
    output_activation: OutputActivation
    chunk_frames: int
    state_bytes: int

    def initial_state(self) -> State:
        """Returns the state of a segment of which nothing was seen."""
        ...

    def classify_next(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[State]]:
        """Shows each segment its next frames. How a segment is cut into calls does not change the answers.

        Args:
          states: the state of each of the N segments, as `initial_state` or the last call gave it.
          frames: uint8 [N, T, H, W, 3], RGB; H and W as in the model's preset, T at least 1, another one in each call.

        Returns:
          The model's answer after these frames, logits float32 [N, C], and the states to go on with.

        Raises:
          InferenceError: the engine failed, out of memory for instance; the states given can still be used.
          ValueError: the array is of another type or shape, or there are not as many states as segments.
        """
        ...

    def embedding_size(self) -> int | None:
        """Returns how many activations the classifier's last layer takes; None where the graph has no such layer.

        TensorFlow prepares the graph for this at the first call, which takes seconds.
        """
        ...

    def classify_next_with_embeddings(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[State]]:
        """Does what `classify_next` does, and tells the activations before the classifier too.

        Returns:
          Logits, float32 [N, C], embeddings, float32 [N, D] with D = `embedding_size()`, and the next states.

        Raises:
          ModelError: the graph has none.
          InferenceError, ValueError: as `classify_next`.
        """
        ...

    def close(self) -> None:
        """Frees the model. The engine cannot be used afterwards; closing again does nothing."""
        ...


@dataclasses.dataclass(frozen=True)
class StreamSignatures:
    """The signatures of a Stream model, and the part that each tensor plays.

    Attributes:
      init: name of the signature that makes states.
      call: name of the signature that takes frames.
      input_shape: input of `init`: the shape of the frames, int32 [5].
      image: the input of `call` that takes frames, float32 of rank 5.
      logits: the output of `call` that is no state.
      states: the other inputs of `call`, by name.
      num_classes: logits of a clip.
    """

    init: str
    call: str
    input_shape: str
    image: TensorInfo
    logits: str
    states: Mapping[str, TensorInfo]
    num_classes: int

    def chunk_frames(self, clip_frames: int) -> int:
        """Returns how many frames to show at once: about ten, so that whole chunks make up a clip where they can.

        A0 takes 4.6 ms of CPU time for a frame alone, 2.8 in chunks of 2, 2.2 of 5, and 1.9 of 10, of 25 and of 50:
        longer chunks only take more memory.
        """
        assert self.image.shape is not None
        return self.image.shape[1] or clip_frames // -(-clip_frames // _MOST_CHUNK_FRAMES)

    @classmethod
    def from_json(cls, values: SignatureJson | None) -> StreamSignatures | None:
        """Returns what `dataclasses.asdict` gave, after a way through JSON; None for None."""
        if values is None:
            return None
        states = {name: _info(info) for name, info in values["states"].items()}
        return cls(**{**values, "image": _info(values["image"]), "states": states})


def _info(values: SignatureJson) -> TensorInfo:
    return TensorInfo(**{**values, "shape": None if values["shape"] is None else tuple(values["shape"])})


def find_stream_signatures(folder: pathlib.Path, preset: Preset) -> StreamSignatures:
    """Finds the signatures of a Stream model by what they take and give; their names do not matter.

    Raises:
      SignatureError: there are none, or they do not take pictures of the preset; the message lists what is there.
      NotASavedModelError: the graph file is missing or damaged.
    """
    if is_exported(folder):
        signatures, found = {}, StreamSignatures.from_json(read_manifest(folder).signatures)
    else:
        signatures = read_signatures(folder)
        found = _find(signatures)
    if found is None:
        problem = "it is no Stream model"
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
    """Returns the signature that classifies, and its output with the answers; None where it is not plain which."""
    stream = _find(signatures)
    if stream is not None:
        return stream.call, stream.logits
    outputs = list(signatures[SERVED].outputs) if SERVED in signatures else []
    return (SERVED, outputs[0]) if len(outputs) == 1 else None


def check_next(num_states: int, frames: npt.NDArray[np.uint8], preset: Preset) -> None:
    """Checks what `StreamEngine.classify_next` was given.

    Raises:
      ValueError: not uint8 [N, T, H, W, 3] with the preset's sizes and at least one frame, or another number of states.
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
        return f"its {image} is no image"
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
