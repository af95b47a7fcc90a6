"""ClassifyClips: Clip -> ClipScores, with Beam's RunInference. Pixels end here."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference

from transforms import metrics
from transforms.errors import InferenceError, OutOfMemoryError
from transforms.models.catalog import ModelSpec
from transforms.models.engine import Engine, EngineName, Precision, load_engine
from transforms.models.scores import entropy, softmax, top_labels
from transforms.records import Clip, ClipScores, Failure

_LOGGER = logging.getLogger(__name__)
_FAILURES = "failures"

MAX_BATCH_BYTES = 64 << 20
"""Pixels of one batch. CPU engines gain little from more than a few clips at once, and a batch stands in memory twice:
as clips and as the array that the model reads."""

MAX_BATCH_CLIPS = 8


class ClassifiedClips(NamedTuple):
    """What ClassifyClips gives: scores for each clip, or one failure."""

    scores: beam.PCollection[ClipScores]
    failures: beam.PCollection[Failure]


class ClassifyClips(beam.PTransform):
    """Classifies clips in batches with a model that is loaded once per worker process.

    Input: Clip, fused with the step that decoded it. Output: ClassifiedClips; every clip comes out once. A batch on
    which the model fails is halved until the bad clip stands alone: it becomes a failure (stage "classify",
    `inference_failed`), its neighbours keep their scores. Out of memory halves all later batches of the process too.

    Counters: clips_classified, clips_unclassified, videos_broken, models_loaded, and RunInference's own.

    Args:
      spec: the model.
      labels: the model's classes, [C], by class id.
      top_k: labels that a row names.
      min_score: labels below it are not named.
      engine: what runs the model.
      num_threads: threads that the engine may use; None: the machine's cores.
      precision: of the engine's arithmetic.
    """

    def __init__(
        self,
        spec: ModelSpec,
        labels: Sequence[str],
        top_k: int = 5,
        min_score: float = 0.0,
        engine: EngineName = "auto",
        num_threads: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self._handler = MoViNetModelHandler(spec, tuple(labels), top_k, min_score, engine, num_threads, precision)

    def expand(self, clips: beam.PCollection[Clip]) -> ClassifiedClips:
        """Wires the step."""
        results = (
            clips
            | "Classify" >> RunInference(self._handler, metrics_namespace=metrics.NAMESPACE)
            | "SplitFailures" >> beam.ParDo(_SplitFailuresFn()).with_outputs(_FAILURES, main="scores")
        )
        return ClassifiedClips(results["scores"], results[_FAILURES])


class MoViNetModelHandler(ModelHandler[Clip, ClipScores | Failure, Engine]):
    """Tells RunInference how to load an engine and how to classify a batch of clips. See ClassifyClips for the args."""

    def __init__(
        self,
        spec: ModelSpec,
        labels: tuple[str, ...],
        top_k: int,
        min_score: float,
        engine: EngineName,
        num_threads: int | None,
        precision: Precision = "float32",
    ) -> None:
        # A maximum always: RunInference's own default is 10,000 elements, which is 44 GB of clips.
        batch = max(1, min(MAX_BATCH_CLIPS, MAX_BATCH_BYTES // _clip_bytes(spec)))
        super().__init__(min_batch_size=batch, max_batch_size=batch)
        self._spec = spec
        self._labels = labels
        self._top_k = top_k
        self._min_score = min_score
        self._engine = engine
        self._num_threads = num_threads
        self._precision = precision
        self._most_clips = batch

    def load_model(self) -> Engine:
        """Loads the engine; RunInference calls it once per process and shares the result between threads."""
        return load_engine(self._spec, self._engine, self._num_threads, self._precision)

    def run_inference(
        self, batch: Sequence[Clip], model: Engine, inference_args: dict[str, Any] | None = None
    ) -> list[ClipScores | Failure]:
        """Returns scores or a failure for each clip of the batch, in order. The pixels stay behind."""
        _count_load(model)
        return list(self._classify(batch, model))

    def _classify(self, clips: Sequence[Clip], engine: Engine) -> Iterator[ClipScores | Failure]:
        if len(clips) > self._most_clips:
            yield from self._in_halves(clips, engine)
            return
        try:
            logits = engine.classify(np.stack([clip.frames for clip in clips]))
        except (InferenceError, MemoryError) as error:
            if len(clips) == 1:
                yield _failure(clips[0], error)
                return
            if isinstance(error, OutOfMemoryError | MemoryError):
                # Remembered: the next batch of this size would fail as this one did, for the price of a batch.
                self._most_clips = min(self._most_clips, (len(clips) + 1) // 2)
                _LOGGER.warning("Out of memory with %d clips: from now on at most %d", len(clips), self._most_clips)
            yield from self._in_halves(clips, engine)
            return
        for clip, clip_logits in zip(clips, logits, strict=True):
            yield self._to_scores(clip, clip_logits)

    def _in_halves(self, clips: Sequence[Clip], engine: Engine) -> Iterator[ClipScores | Failure]:
        middle = len(clips) // 2
        yield from self._classify(clips[:middle], engine)
        yield from self._classify(clips[middle:], engine)

    def _to_scores(self, clip: Clip, logits: np.ndarray) -> ClipScores | Failure:
        try:
            scores = softmax(logits[None])[0]
        except InferenceError as error:
            return _failure(clip, error)
        labels = top_labels(scores, self._labels, self._top_k, self._min_score)
        return ClipScores(clip.video_uri, clip.segment_index, clip.span, labels, entropy(scores), scores)

    def get_num_bytes(self, batch: Sequence[Clip]) -> int:
        """Returns the bytes of the batch's frames; the default pickles the batch to find out."""
        return sum(clip.frames.nbytes for clip in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of RunInference's own metrics."""
        return metrics.NAMESPACE


def _clip_bytes(spec: ModelSpec) -> int:
    return spec.preset.num_frames * spec.preset.size**2 * 3


_counted_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_counted_lock = threading.Lock()


def _count_load(engine: Engine) -> None:
    """Counts an engine at its first batch: Beam drops what is counted while the model is loaded."""
    with _counted_lock:
        if engine in _counted_engines:
            return
        _counted_engines.add(engine)
    metrics.count(metrics.MODELS_LOADED)


class _SplitFailuresFn(beam.DoFn):
    def process(self, result: ClipScores | Failure) -> Iterator[ClipScores | beam.pvalue.TaggedOutput]:
        if isinstance(result, ClipScores):
            metrics.count(metrics.CLIPS_CLASSIFIED)
            yield result
        else:
            metrics.count(metrics.CLIPS_UNCLASSIFIED)
            metrics.count_broken(result.video_uri)
            yield beam.pvalue.TaggedOutput(_FAILURES, result)


def _failure(clip: Clip, error: InferenceError | MemoryError) -> Failure:
    out_of_memory = isinstance(error, OutOfMemoryError | MemoryError)
    return Failure(
        clip.video_uri,
        "classify",
        OutOfMemoryError.code if out_of_memory else InferenceError.code,
        f"the model failed on clip {clip.span.clip_index} of {clip.video_uri}: {error or type(error).__name__}",
        transient=out_of_memory,
        segment_index=clip.segment_index,
        clip_index=clip.span.clip_index,
    )
