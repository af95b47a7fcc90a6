"""States of segments: a result depends only on the segment's frames, and no state outlives its segment."""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import gc
import itertools
import pickle
import random
import threading
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from fake_engine import BAD_VALUE, NAN_VALUE, FakeStreamEngine

from reelbeam.transforms.decode_clips import ClipCoder
from reelbeam.transforms.errors import InferenceError, OutOfMemoryError, PredecessorLostError
from reelbeam.transforms.models.batches import Answer
from reelbeam.transforms.models.engines.stream import State
from reelbeam.transforms.models.stream_batches import StreamBatches
from reelbeam.transforms.records import Clip, ClipSpan, StateSlot

LENGTHS = (4, 4, 4, 3)


def segment(uri: str = "a.mp4", index: int = 0, seed: int = 0, lengths: Sequence[int] = LENGTHS) -> list[Clip]:
    """The clips of a segment that begins at clip 10 * index, with three frames of warm-up where that is not 0."""
    pixels = np.random.default_rng([seed, index]).integers(0, 200, 100).astype(np.uint8)
    clips, start, slot = [], 0, StateSlot()
    for position, length in enumerate(lengths):
        warm_up = 3 if index and not position else 0
        span = ClipSpan(
            clip_index=10 * index + position,
            start_seconds=Fraction(start + warm_up),
            end_seconds=Fraction(start + warm_up + length),
            interval_seconds=Fraction(1),
            sample_steps=tuple(range(-warm_up, length)),
            num_real_frames=length,
            num_warm_up_frames=warm_up,
            continues=position > 0,
            is_continued=position < len(lengths) - 1,
        )
        values = pixels[start : start + warm_up + length]
        frames = np.broadcast_to(values[:, None, None, None], (len(values), 2, 2, 3)).copy()
        clips.append(Clip(uri, index, span, frames, state_slot=slot))
        start += warm_up + length
    return clips


def wanted(clips: Sequence[Clip]) -> list[list[float]]:
    """What FakeStreamEngine has to say of a segment."""
    values: list[int] = []
    answers = []
    for clip in clips:
        values += clip.frames[:, 0, 0, 0].tolist()
        answers.append([float(sum(values)), float(values[-1]), float(len(values))])
    return answers


def logits(results: Sequence[Answer | InferenceError]) -> list[list[float]]:
    assert all(isinstance(result, Answer) for result in results), results
    return [result.logits.tolist() for result in results if isinstance(result, Answer)]


def run(clips: Sequence[Clip], cuts: Sequence[int], batches: StreamBatches, engine: FakeStreamEngine) -> list:
    results = []
    for start, stop in zip([0, *cuts], [*cuts, len(clips)], strict=True):
        results += batches.classify(clips[start:stop], engine)
    return results


@pytest.mark.parametrize("cut", range(1, 8))
@pytest.mark.parametrize("other", [1, 3, 5, 7])
def test_answers_do_not_depend_on_where_batches_are_cut(cut: int, other: int) -> None:
    clips = segment() + segment(index=1)
    batches, engine = StreamBatches(8), FakeStreamEngine()
    results = run(clips, sorted({cut, other}), batches, engine)
    assert logits(results) == wanted(clips[:4]) + wanted(clips[4:])
    assert engine.live_states == 0


@pytest.mark.parametrize("chunk_frames", [1, 2, 3, 4, 50])
def test_frames_go_one_at_a_time_in_chunks_or_all_at_once(chunk_frames: int) -> None:
    engine = FakeStreamEngine(chunk_frames)
    clips = segment(index=2)
    assert logits(StreamBatches(8).classify(clips, engine)) == wanted(clips)
    assert {length for _, length in engine.calls} <= {chunk_frames, 7 % chunk_frames, 4 % chunk_frames, 3, 4, 7}
    assert max(length for _, length in engine.calls) <= chunk_frames


@pytest.mark.parametrize("seed", range(20))
def test_interleaved_segments_do_not_mix(seed: int) -> None:
    chance = random.Random(seed)
    segments = [segment(f"{k}.mp4", k % 3, seed=k, lengths=[4] * chance.randint(1, 5)) for k in range(6)]
    waiting = [list(clips) for clips in segments]
    order = []
    while any(waiting):
        order.append(chance.choice([clips for clips in waiting if clips]).pop(0))
    cuts = sorted(chance.sample(range(1, len(order)), min(5, len(order) - 1)))
    batches, engine = StreamBatches(chance.choice([1, 2, 8])), FakeStreamEngine()
    results = dict(zip(map(id, order), run(order, cuts, batches, engine), strict=True))
    for clips in segments:
        assert logits([results[id(clip)] for clip in clips]) == wanted(clips)
    assert engine.live_states == 0


def test_segments_share_a_call_where_their_frame_counts_agree() -> None:
    engine = FakeStreamEngine(chunk_frames=4)
    clips = segment("a.mp4", lengths=[4, 4]) + segment("b.mp4", lengths=[4, 3]) + segment("c.mp4", lengths=[4, 4])
    assert logits(StreamBatches(8).classify(clips, engine)) == wanted(clips[:2]) + wanted(clips[2:4]) + wanted(
        clips[4:]
    )
    assert engine.calls == [(3, 4), (2, 4), (1, 3)]


def kinds(results: Sequence[object]) -> list[type]:
    return [type(result) for result in results]


@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2]])
def test_a_clip_whose_predecessor_is_missing_is_an_error_and_so_are_those_after_it(cuts: list[int]) -> None:
    clips = segment()
    del clips[1]
    batches, engine = StreamBatches(8), FakeStreamEngine()
    results = run(clips, cuts, batches, engine)
    assert kinds(results) == [Answer, PredecessorLostError, PredecessorLostError]
    assert "clip 2 of a.mp4 continues clip 1, of which the model gave no answer" in str(results[1])


@pytest.mark.parametrize(("value", "kind"), [(BAD_VALUE, InferenceError), (NAN_VALUE, Answer)])
def test_after_a_clip_on_which_the_model_failed_nothing_is_made_up(value: int, kind: type) -> None:
    good, bad = segment("good.mp4"), segment("bad.mp4", seed=1)
    bad[1].frames[2] = value
    mixed = [clip for pair in zip(good, bad, strict=True) for clip in pair]
    results = StreamBatches(8).classify(mixed, FakeStreamEngine())
    assert logits(results[::2]) == wanted(good)
    assert kinds(results[1::2]) == [Answer, kind, PredecessorLostError, PredecessorLostError]


def test_a_segment_of_another_video_or_place_is_not_a_predecessor() -> None:
    clips = segment()
    other = dataclasses.replace(clips[1], video_uri="b.mp4")
    later = dataclasses.replace(clips[1], segment_index=1)
    assert kinds(StreamBatches(8).classify([clips[0], other, later], FakeStreamEngine())) == [
        Answer,
        PredecessorLostError,
        PredecessorLostError,
    ]


@pytest.mark.parametrize("broke_after", [1, 2, 3])
def test_a_retried_bundle_restarts_the_segment(broke_after: int) -> None:
    clips = segment(index=1)
    batches, engine = StreamBatches(8), FakeStreamEngine()
    batches.classify(clips[:broke_after], engine)
    assert logits(batches.classify(clips, engine)) == wanted(clips)
    assert engine.live_states == 0


def test_no_state_outlives_its_segment() -> None:
    batches, engine = StreamBatches(8), FakeStreamEngine()
    for k in range(50):
        clips = segment(f"{k}.mp4", seed=k)
        for clip in clips:
            batches.classify([clip], engine)
            assert engine.live_states == int(clip.span.is_continued)


def test_the_state_of_a_segment_that_broke_off_goes_with_its_clips() -> None:
    batches, engine = StreamBatches(8), FakeStreamEngine()
    for k in range(50):
        batches.classify(segment(f"{k}.mp4", seed=k)[:2], engine)
        gc.collect()
        assert engine.live_states == 0


@pytest.mark.parametrize("order", itertools.permutations(range(4)))
def test_the_order_inside_a_batch_does_not_matter(order: Sequence[int]) -> None:
    clips = segment(index=1)
    results = StreamBatches(8).classify([clips[k] for k in order], FakeStreamEngine())
    assert logits(results) == [wanted(clips)[k] for k in order]


@pytest.mark.parametrize("order", itertools.permutations(range(4)))
def test_a_batch_that_comes_too_early_is_an_error_and_harms_only_later_clips(order: Sequence[int]) -> None:
    clips, engine = segment(), FakeStreamEngine()
    results = [StreamBatches(8).classify([clips[k]], engine)[0] for k in order]
    known: set[int] = set()
    for k, result in zip(order, results, strict=True):
        if k == 0 or k - 1 in known:
            known.add(k)
            assert logits([result]) == [wanted(clips)[k]]
        else:
            assert isinstance(result, PredecessorLostError)


@pytest.mark.parametrize("seed", range(5))
def test_any_thread_and_any_handler_may_get_the_next_clip(seed: int) -> None:
    chance = random.Random(seed)
    handlers, engine = [StreamBatches(chance.choice([1, 2, 8])) for _ in range(4)], FakeStreamEngine()
    segments = [segment(f"{k}.mp4", seed=k, lengths=[4] * 6) for k in range(8)]
    found: dict[int, Answer | InferenceError] = {}

    def classify(handler: StreamBatches, clips: Sequence[Clip]) -> None:
        for clip, result in zip(clips, handler.classify(clips, engine), strict=True):
            found[id(clip)] = result

    with concurrent.futures.ThreadPoolExecutor(len(handlers)) as pool:
        for first in range(0, 6, 2):
            chance.shuffle(segments)
            pairs = zip(segments[::2], segments[1::2], strict=True)
            batches = [chance.sample(a[first : first + 2] + b[first : first + 2], 4) for a, b in pairs]
            list(pool.map(classify, chance.sample(handlers, 4), batches))
    for clips in segments:
        assert logits([found[id(clip)] for clip in clips]) == wanted(clips)
    assert engine.live_states == 0


def test_batches_of_one_segment_wait_for_each_other() -> None:
    clips, engine, others = segment(), _SlowEngine(), segment("b.mp4", seed=1)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(StreamBatches(8).classify, [clips[0], others[0], clips[1]], engine)
        assert engine.is_called.wait(10)
        second = pool.submit(StreamBatches(8).classify, [others[1], clips[2]], engine)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        engine.may_answer.set()
        assert logits(first.result(10)) == [
            wanted(clips)[0],
            wanted(others)[0],
            wanted(clips)[1],
        ]
        assert logits(second.result(10)) == [wanted(others)[1], wanted(clips)[2]]


class _SlowEngine(FakeStreamEngine):
    """Waits in each call until it may answer."""

    def __init__(self) -> None:
        super().__init__()
        self.is_called, self.may_answer = threading.Event(), threading.Event()

    def classify_next(
        self, states: Sequence[State], frames: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[State]]:
        self.is_called.set()
        assert self.may_answer.wait(10)
        return super().classify_next(states, frames)


def test_two_decodings_of_a_segment_do_not_mix() -> None:
    once, again = segment(), segment()
    mixed = [once[0], again[0], once[1], again[1], again[2], once[2]]
    assert logits(StreamBatches(8).classify(mixed, FakeStreamEngine())) == [wanted(once)[k] for k in (0, 0, 1, 1, 2, 2)]
    started, engine = segment(), FakeStreamEngine()
    StreamBatches(8).classify(started[:1], engine)
    assert kinds(StreamBatches(8).classify(segment()[1:2], engine)) == [PredecessorLostError]


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda clip: pickle.loads(pickle.dumps(clip)),
        lambda clip: ClipCoder().decode(ClipCoder().encode(clip)),
    ],
    ids=["copied", "pickled", "encoded"],
)
def test_a_copied_clip_never_gets_a_state(copied: Callable[[Clip], Clip]) -> None:
    clips, engine = segment(), FakeStreamEngine()
    StreamBatches(8).classify(clips[:1], engine)
    assert kinds(StreamBatches(8).classify([copied(clips[1])], engine)) == [PredecessorLostError]
    assert logits(StreamBatches(8).classify(clips[1:2], engine)) == wanted(clips)[1:2]


def test_out_of_memory_halves_the_batch_for_good() -> None:
    batches, engine = StreamBatches(8), FakeStreamEngine(chunk_frames=4, memory_segments=2)
    firsts = [segment(f"{k}.mp4", seed=k, lengths=[4]) for k in range(4)]
    for _ in range(2):
        results = batches.classify([clips[0] for clips in firsts], engine)
        assert logits(results) == [answer for clips in firsts for answer in wanted(clips)]
    assert engine.calls == [(4, 4), (2, 4), (2, 4), (2, 4), (2, 4)]
    (alone,) = batches.classify(firsts[0], FakeStreamEngine(memory_segments=0))
    assert isinstance(alone, OutOfMemoryError)


def test_embeddings_are_those_of_the_clips_end() -> None:
    clips = segment()
    results = StreamBatches(8, with_embeddings=True).classify(clips, FakeStreamEngine())
    assert logits(results) == wanted(clips)
    embeddings = [result.embedding for result in results if isinstance(result, Answer)]
    assert [found.tolist() for found in embeddings if found is not None] == [
        [10 * a, 10 * b] for a, b, _ in wanted(clips)
    ]
