"""Run clips through a Stream model in order, and carry the state of each segment from clip to clip.

A segment's state is created when the segment begins, is replaced with each clip, and is dropped after its last clip, so
memory does not grow with a video's length. A clip whose predecessor left no state (it was lost, or the model failed on
it) gets an error, never a result. So a result depends only on the frames of the segment up to the clip's end. It does
not depend on the batches.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from reelbeam.transforms.errors import InferenceError, PredecessorLostError
from reelbeam.transforms.models.batches import Answer, Bisection
from reelbeam.transforms.models.engines.stream import State, StreamEngine
from reelbeam.transforms.records import Clip

MAX_OPEN_SEGMENTS = 8
"""The maximum number of unfinished segments; the least recently used one is dropped. A decoder finishes one segment
before it begins the next, so there is one, plus those whose remaining clips were lost. A state of A0 takes 2.7 MB, one
of A3 18 MB."""

_Segment = tuple[str, int]


class _Turn(NamedTuple):
    """A clip, and the state before it."""

    position: int
    clip: Clip
    state: State


class StreamBatches:
    """Classifies clips of segments. For use by one thread, which passes the clips of each segment in order.

    Args:
      most_clips: the maximum number of clips per call of the engine, each of another segment.
      with_embeddings: whether results have embeddings.
    """

    def __init__(self, most_clips: int, with_embeddings: bool = False) -> None:
        self._halving = Bisection(most_clips)
        self._with_embeddings = with_embeddings
        # The last clip of each unfinished segment and the state after it; the most recently used at the end.
        self._open: collections.OrderedDict[_Segment, tuple[int, State]] = collections.OrderedDict()

    @property
    def num_open_segments(self) -> int:
        """The number of segments whose state is kept for a later clip."""
        return len(self._open)

    def classify(self, clips: Sequence[Clip], engine: StreamEngine) -> list[Answer | InferenceError]:
        """Returns a result or an error for each clip, in order."""
        results: dict[int, Answer | InferenceError] = {}
        for round_ in _rounds(clips):
            turns: dict[int, list[_Turn]] = collections.defaultdict(list)
            for position in round_:
                state = self._state_before(clips[position], engine)
                if isinstance(state, State):
                    turns[len(clips[position].frames)].append(_Turn(position, clips[position], state))
                else:
                    results[position] = state
            for group in turns.values():
                results.update(self._take(group, engine))
        return [results[position] for position in range(len(clips))]

    def _state_before(self, clip: Clip, engine: StreamEngine) -> State | PredecessorLostError:
        # Always removed: whatever happens to this clip, no other clip can use that state.
        index, state = self._open.pop(_segment(clip), (None, None))
        if not clip.span.continues:
            return engine.initial_state()
        before = clip.span.clip_index - 1
        if state is None or index != before:
            return PredecessorLostError(
                f"clip {before + 1} of {clip.video_uri} continues clip {before}, of which the model gave no answer: a "
                "Stream model has to see every frame before a clip; remove the cause of that one's failure"
            )
        return state

    def _take(self, turns: Sequence[_Turn], engine: StreamEngine) -> Iterator[tuple[int, Answer | InferenceError]]:
        """Feeds clips of equal length; yields (position, result or error) and keeps the new states."""
        results = self._halving.run(turns, lambda some: self._feed(some, engine), engine)
        for turn, result in zip(turns, results, strict=True):
            if isinstance(result, InferenceError):
                yield turn.position, result
                continue
            answer, state = result
            # A state that produced a non-finite output would spoil the next results.
            if turn.clip.span.is_continued and np.isfinite(answer.logits).all():
                self._keep(turn.clip, state)
            yield turn.position, answer

    def _keep(self, clip: Clip, state: State) -> None:
        self._open[_segment(clip)] = (clip.span.clip_index, state)
        if len(self._open) > MAX_OPEN_SEGMENTS:
            self._open.popitem(last=False)

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


def _segment(clip: Clip) -> _Segment:
    return clip.key, clip.segment_index


def _rounds(clips: Sequence[Clip]) -> list[list[int]]:
    """Returns positions of clips: first the first clip of each segment, then the second, and so on."""
    rounds: list[list[int]] = []
    seen: collections.Counter[_Segment] = collections.Counter()
    for position, clip in enumerate(clips):
        if seen[_segment(clip)] == len(rounds):
            rounds.append([])
        rounds[seen[_segment(clip)]].append(position)
        seen[_segment(clip)] += 1
    return rounds
