"""Check the inputs and outputs of a SavedModel, in the same way for every engine."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import SignatureError
from reelbeam.transforms.models.registry.catalog import Preset

_WANTED = "Wanted: one image input float32 [N, T, H, W, 3], one output [N, C]."


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output of a model.

    Attributes:
      name: its name in the signature.
      dtype: "float32", "int32", ...
      shape: the sizes, with None for an unknown size; None if the rank is unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sizes = "unknown rank" if self.shape is None else ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name}: {self.dtype} [{sizes}]"


def check_signature(
    folder: pathlib.Path, preset: Preset, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]
) -> None:
    """Checks that a model takes clips of the preset and returns logits.

    Raises:
      SignatureError: it does not; the message lists its inputs and outputs.
    """
    clip = (None, preset.num_frames, preset.size, preset.size, 3)
    problem = None
    if len(inputs) != 1 or inputs[0].shape is None or len(inputs[0].shape) != 5:
        problem = "it does not take one input of rank 5"
    elif len(outputs) != 1 or outputs[0].shape is None or len(outputs[0].shape) != 2:
        problem = "it does not give one output of rank 2"
    elif inputs[0].dtype != "float32":
        problem = f"its input is {inputs[0].dtype}, not float32"
    elif (inputs[0].shape[0] or 1) > 1:
        problem = f"it takes batches of exactly {inputs[0].shape[0]} clips"
    elif any(None not in (has, wants) and has != wants for has, wants in zip(inputs[0].shape, clip, strict=True)):
        problem = f"its input does not fit clips of {preset.num_frames} frames of {preset.size} x {preset.size} pixels"
    if problem:
        raise SignatureError(f"cannot run {folder}: {problem}. {_WANTED} Found: {describe(inputs, outputs)}")


def describe(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> str:
    """Returns one line for a message, with at most eight inputs and outputs each: a Stream model has dozens."""
    return f"inputs {_listed(inputs)}; outputs {_listed(outputs)}."


def check_frames(frames: npt.NDArray[np.uint8], preset: Preset) -> None:
    """Checks the argument of `Engine.classify`.

    Raises:
      ValueError: not uint8 [N, T, H, W, 3] with the preset's sizes, which is a bug of the caller.
    """
    wanted = (preset.num_frames, preset.size, preset.size, 3)
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[1:] != wanted:
        raise ValueError(
            f"frames must be uint8 [N, {', '.join(map(str, wanted))}], not {frames.dtype} {list(frames.shape)}"
        )


def _listed(tensors: Sequence[TensorInfo]) -> str:
    shown = ", ".join(str(tensor) for tensor in tensors[:8]) or "none"
    return f"({shown}{f' and {len(tensors) - 8} more' if len(tensors) > 8 else ''})"
