"""Give the model several crops of a clip, and join its results for them.

Each crop goes through the model as a clip of its own; with a Stream model, it has its own state. The result for the
clip is the mean of the scores:

- outputs: those whose scores are the mean of the crops' scores. If the model's outputs are logits, their log-sum-exp is
  the mean of that of the crops.
- embedding: the mean of the crops' embeddings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.errors import InferenceError
from reelbeam.transforms.models.batches import Answer
from reelbeam.transforms.models.registry.catalog import OutputActivation
from reelbeam.transforms.models.scores import to_scores
from reelbeam.transforms.records import Clip


def crops_of(clips: Sequence[Clip], num_crops: int) -> list[Clip]:
    """Returns the crops of each clip as clips, those of a clip next to each other.

    Args:
      clips: with frames uint8 [T, S, num_crops * S, 3].
      num_crops: the number of crops in a frame.
    """
    if num_crops == 1:
        return list(clips)
    return [
        dataclasses.replace(clip, frames=np.ascontiguousarray(crop), state_slot=slot)
        for clip in clips
        for crop, slot in zip(
            np.split(clip.frames, num_crops, axis=2), clip.state_slot.of_crops(num_crops), strict=True
        )
    ]


def joined(
    answers: Sequence[Answer | InferenceError], num_crops: int, activation: OutputActivation
) -> list[Answer | InferenceError]:
    """Returns one result for each clip from those of its crops; an error if the model failed on a crop.

    Args:
      answers: as many for each clip as it has crops.
      num_crops: the number of crops in a frame.
      activation: the kind of the model's outputs.
    """
    if num_crops == 1:
        return list(answers)
    starts = range(0, len(answers), num_crops)
    return [_joined(answers[start : start + num_crops], activation) for start in starts]


def _joined(answers: Sequence[Answer | InferenceError], activation: OutputActivation) -> Answer | InferenceError:
    found: list[Answer] = []
    for answer in answers:
        if isinstance(answer, InferenceError):
            return answer
        found.append(answer)
    try:
        outputs = mean_outputs(np.stack([answer.logits for answer in found]), activation)
    except InferenceError as error:
        return error
    embeddings = [answer.embedding for answer in found if answer.embedding is not None]
    return Answer(outputs, np.mean(embeddings, axis=0) if embeddings else None)


def mean_outputs(outputs: npt.NDArray[np.float32], activation: OutputActivation) -> npt.NDArray[np.float32]:
    """Returns the outputs whose scores are the mean of the scores of some outputs.

    Args:
      outputs: of each crop, float32 [K, C].
      activation: the kind of the outputs.

    Returns:
      float32 [C].

    Raises:
      InferenceError: an output is NaN, infinite, or not a score.
    """
    scores = to_scores(outputs, activation)  # checks the outputs of each crop
    if activation != "logits":
        mean: npt.NDArray[np.float32] = scores.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean
    # With logarithms, because a score may be too small for a float.
    log_sums = np.logaddexp.reduce(outputs.astype(np.float64), axis=1, keepdims=True)
    log_scores = np.logaddexp.reduce(outputs - log_sums, axis=0) - np.log(len(outputs))
    logits: npt.NDArray[np.float32] = (log_scores + log_sums.mean()).astype(np.float32)
    return logits
