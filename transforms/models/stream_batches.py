"""Run clips through a Stream model, and hand the state from each clip to the clip that continues it, if there is one.

The state after a clip is in the slot that the clip shares with those that continue it (`StateSlot`). It does not belong
to a thread, a process or a model handler, so it does not matter which of them gets the next clip:

- A batch may hold clips of any segments in any order. Those that do not continue each other run in one call.
- Batches may come in any thread. Two batches with clips of one slot wait for each other.
- A clip whose predecessor left no state gets `PredecessorLostError`, never a result: the predecessor was lost, the
  model failed on it, or it comes in a later batch. The state is checked against the clip's video, segment and number.

So a result depends only on the frames of the clip and of those that it continues. A state is freed with the last clip
of its slot, so memory does not grow with a video's length.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from reelbeam.transforms.errors import InferenceError, PredecessorLostError
from reelbeam.transforms.models.batches import Answer, Bisection
from reelbeam.transforms.models.engines.stream import State, StreamEngine
from reelbeam.transforms.records import Clip, StateSlot


class _Turn(NamedTuple):
    """A clip, and the state before it."""

    position: int
    clip: Clip
    state: State


class StreamBatches:
    """Classifies clips of segments. Threads may share it.

    Args:
      most_clips: the maximum number of clips per call of the engine, each of another slot.
      with_embeddings: whether results have embeddings.
    """

    def __init__(self, most_clips: int, with_embeddings: bool = False) -> None:
        self._bisection = Bisection(most_clips)
        self._with_embeddings = with_embeddings

    def classify(self, clips: Sequence[Clip], engine: StreamEngine) -> list[Answer | InferenceError]:
        """Returns a result or an error for each clip, in the order of `clips`."""
        results: dict[int, Answer | InferenceError] = {}
        with _locked([clip.state_slot for clip in clips]):
            for round_ in _rounds(clips):
                turns: dict[int, list[_Turn]] = collections.defaultdict(list)
                for position in round_:
                    state = _state_before(clips[position], engine)
                    if isinstance(state, State):
                        turns[len(clips[position].frames)].append(_Turn(position, clips[position], state))
                    else:
                        results[position] = state
                for group in turns.values():
                    results.update(self._take(group, engine))
        return [results[position] for position in range(len(clips))]

    def _take(self, turns: Sequence[_Turn], engine: StreamEngine) -> Iterator[tuple[int, Answer | InferenceError]]:
        """Feeds clips of equal length; yields (position, result or error) and keeps the new states."""
        results = self._bisection.run(turns, lambda some: self._feed(some, engine), engine)
        for turn, result in zip(turns, results, strict=True):
            if isinstance(result, InferenceError):
                yield turn.position, result
                continue
            answer, state = result
            # A state that produced a non-finite output would spoil the next results.
            if turn.clip.span.is_continued and np.isfinite(answer.logits).all():
                turn.clip.state_slot.put_after(turn.clip.place, state)
            yield turn.position, answer

    def _feed(self, turns: Sequence[_Turn], engine: StreamEngine) -> list[tuple[Answer, State]]:
        states = [turn.state for turn in turns]
        num_frames, length = len(turns[0].clip.frames), engine.chunk_frames
        for start in range(0, num_frames, length):
            frames = np.stack([turn.clip.frames[start : start + length] for turn in turns])
            if self._with_embeddings and start + length >= num_frames:
                logits, embeddings, states = engine.classify_next_with_embeddings(states, frames)
                return list(zip(map(Answer, logits, embeddings), states, strict=True))
            logits, states = engine.classify_next(states, frames)
        return list(zip(map(Answer, logits), states, strict=True))


def _state_before(clip: Clip, engine: StreamEngine) -> State | PredecessorLostError:
    """Takes the state before a clip out of its slot: whatever happens to the clip, no other clip can use that state."""
    if not clip.span.continues:
        return engine.initial_state()
    state = clip.state_slot.take_before(clip.place)
    if isinstance(state, State):
        return state
    before = clip.span.clip_index - 1
    return PredecessorLostError(
        f"clip {before + 1} of {clip.video_uri} continues clip {before}, of which the model gave no answer: with "
        "--carry_state, a Stream model has to see every frame before a clip; remove the cause of that one's failure"
    )


@contextlib.contextmanager
def _locked(slots: Sequence[StateSlot]) -> Iterator[None]:
    """Locks slots for a block. All threads lock them in the same order, so that none waits for another in a circle."""
    with contextlib.ExitStack() as stack:
        for _, slot in sorted({id(slot): slot for slot in slots}.items()):
            stack.enter_context(slot.lock)
        yield


def _rounds(clips: Sequence[Clip]) -> list[list[int]]:
    """Returns positions of clips: first the first clip of each slot, then the second, and so on."""
    slots: dict[int, list[int]] = collections.defaultdict(list)
    for position, clip in sorted(enumerate(clips), key=lambda each: each[1].span.clip_index):
        slots[id(clip.state_slot)].append(position)
    longest = max(map(len, slots.values()), default=0)
    return [[each[round_] for each in slots.values() if round_ < len(each)] for round_ in range(longest)]
