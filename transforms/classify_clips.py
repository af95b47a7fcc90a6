"""ClassifyClips: Clip -> ClipScores, with Beam's RunInference. Pixels end here."""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference

from reelbeam.transforms import metrics
from reelbeam.transforms.errors import InferenceError, PredecessorLostError
from reelbeam.transforms.models.batches import Answer, BaseBatches
from reelbeam.transforms.models.engine import Engine, EngineName, Precision, load_engine, load_stream_engine
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.registry.catalog import ModelSpec, OutputActivation
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.scores import entropy, log_sum_exp, may_be_softmax, to_logits, to_scores, top_labels
from reelbeam.transforms.models.stream_batches import StreamBatches
from reelbeam.transforms.records import Clip, ClipScores, Failure
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.stored_models import localized

_FAILURES = "failures"

MAX_BATCH_BYTES = 64 << 20
"""Pixels of one batch, which stands in memory twice: as clips and as the array that the model reads."""

CPU_BATCH_BYTES = 1 << 20
"""OpenVINO runs the clips of a batch one after the other, and larger batches save nothing (`benchmarks.inference
--batches`: 0.14 CPU-seconds a clip of A0 in batches of 1, 2, 4 and 8, but 30 MB more): small clips share a batch, to
spread Beam's own cost, and larger ones come alone."""

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

    A Stream model goes through the clips of a segment in order and carries its state along, see
    `reelbeam.transforms.models.stream_batches`; a clip whose predecessor is missing is a failure, `predecessor_lost`.

    Counters: clips_classified, clips_unclassified, videos_broken, models_loaded, and RunInference's own.

    Args:
      spec: the model.
      labels: the model's classes, [C], by class id.
      top_k: labels that a row names.
      min_score: labels below it are not named.
      engine: what runs the model.
      num_threads: threads that the engine may use; None: the machine's cores.
      precision: of the engine's arithmetic.
      max_batch_bytes: pixels of a batch; a single clip may have more.
      outputs: what is kept of a clip besides its scores: "logits", "embedding".
      clip_frames: most frames of a clip, warm-up included; None: as the model's preset says.
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
        max_batch_bytes: int = MAX_BATCH_BYTES,
        outputs: Collection[str] = (),
        clip_frames: int | None = None,
    ) -> None:
        super().__init__()
        self._handler = MoViNetModelHandler(
            spec,
            tuple(labels),
            top_k,
            min_score,
            engine,
            num_threads,
            precision,
            max_batch_bytes,
            tuple(outputs),
            clip_frames,
        )

    def expand(self, clips: beam.PCollection[Clip]) -> ClassifiedClips:
        """Wires the step."""
        results = (
            clips
            | "Classify" >> RunInference(self._handler, metrics_namespace=metrics.NAMESPACE)
            | "SplitFailures" >> beam.ParDo(_SplitFailuresFn()).with_outputs(_FAILURES, main="scores")
        )
        return ClassifiedClips(results["scores"], results[_FAILURES])


class MoViNetModelHandler(ModelHandler[Clip, ClipScores | Failure, Engine | StreamEngine]):
    """Loads an engine for RunInference, and classifies batches of clips. Threads may share it."""

    def __init__(
        self,
        spec: ModelSpec,
        labels: tuple[str, ...],
        top_k: int,
        min_score: float,
        engine: EngineName,
        num_threads: int | None,
        precision: Precision = "float32",
        max_batch_bytes: int = MAX_BATCH_BYTES,
        outputs: tuple[str, ...] = (),
        clip_frames: int | None = None,
    ) -> None:
        # A maximum always: RunInference's own default is 10,000 elements, which is 44 GB of clips.
        batch = max_batch_clips(spec, engine, max_batch_bytes, clip_frames)
        super().__init__(min_batch_size=batch, max_batch_size=batch)
        self._spec = spec
        self._labels = labels
        self._top_k = top_k
        self._min_score = min_score
        self._engine = engine
        self._num_threads = num_threads
        self._precision = precision
        self._outputs = outputs
        kind = StreamBatches if spec.kind == "stream" else BaseBatches
        self._batches: Any = kind(batch, with_embeddings="embedding" in outputs)

    def load_model(self) -> Engine | StreamEngine:
        """Loads the engine; RunInference calls it once per process and shares the result between threads.

        Raises:
          ModelError: it cannot be fetched or loaded, or has not as many classes as there are labels.
        """
        load = load_stream_engine if self._spec.kind == "stream" else load_engine
        engine = load(localized(self._spec), self._engine, self._num_threads, self._precision)
        LabelMap(self._labels, without_query(self._spec.labels)).check(engine.num_classes)
        return engine

    def run_inference(
        self, batch: Sequence[Clip], model: Engine | StreamEngine, inference_args: dict[str, object] | None = None
    ) -> list[ClipScores | Failure]:
        """Returns scores or a failure for each clip of the batch, in order. The pixels stay behind."""
        _count_load(model)
        answers = self._batches.classify(batch, model)
        activation = model.output_activation
        return [self._to_result(clip, answer, activation) for clip, answer in zip(batch, answers, strict=True)]

    def _to_result(
        self, clip: Clip, answer: Answer | InferenceError, activation: OutputActivation
    ) -> ClipScores | Failure:
        if isinstance(answer, InferenceError):
            return _failure(clip, answer)
        try:
            scores = to_scores(answer.logits[None], activation)[0]
        except InferenceError as error:
            return _failure(clip, error)
        if (self._spec.output_activation, activation) == ("auto", "logits") and may_be_softmax(answer.logits[None]):
            _warn_of_scores()
        logits = to_logits(answer.logits, activation)
        return ClipScores(
            clip.video_uri,
            clip.segment_index,
            clip.span,
            labels=top_labels(scores, self._labels, self._top_k, self._min_score),
            entropy=entropy(scores, activation),
            log_sum_exp=log_sum_exp(logits),
            scores=scores,
            logits=logits.astype(np.float16) if "logits" in self._outputs else None,
            embedding=answer.embedding.astype(np.float16) if answer.embedding is not None else None,
            time_range=clip.time_range,
        )

    def get_num_bytes(self, batch: Sequence[Clip]) -> int:
        """Returns the bytes of the batch's frames; the default pickles the batch to find out."""
        return sum(clip.frames.nbytes for clip in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of RunInference's own metrics."""
        return metrics.NAMESPACE


def max_batch_clips(
    spec: ModelSpec, engine: EngineName, max_batch_bytes: int = MAX_BATCH_BYTES, clip_frames: int | None = None
) -> int:
    """Returns how many clips a batch has at most."""
    if engine == "openvino":
        max_batch_bytes = min(max_batch_bytes, CPU_BATCH_BYTES)
    clip_bytes = (clip_frames or spec.preset.num_frames) * spec.preset.size**2 * 3
    return max(1, min(MAX_BATCH_CLIPS, max_batch_bytes // clip_bytes))


_counted_engines: weakref.WeakSet[Engine | StreamEngine] = weakref.WeakSet()
_counted_lock = threading.Lock()


def _count_load(engine: Engine | StreamEngine) -> None:
    """Counts an engine at its first batch: Beam drops what is counted while the model is loaded."""
    with _counted_lock:
        if engine in _counted_engines:
            return
        _counted_engines.add(engine)
    metrics.count(metrics.MODELS_LOADED)


@functools.cache
def _warn_of_scores() -> None:
    """Says, once in a process, that what is taken for logits seems to be scores: a softmax may be written out."""
    logging.getLogger(__name__).warning(
        "the model's outputs are not negative and sum to 1, as scores do, but its graph shows no softmax at its end: "
        "pass --output_activation softmax if they are scores, and --output_activation logits if not"
    )


class _SplitFailuresFn(beam.DoFn):
    def process(self, result: ClipScores | Failure) -> Iterator[ClipScores | beam.pvalue.TaggedOutput]:
        if isinstance(result, ClipScores):
            metrics.count(metrics.CLIPS_CLASSIFIED)
            yield result
        else:
            metrics.count(metrics.CLIPS_UNCLASSIFIED)
            metrics.count_broken(result.key)
            yield beam.pvalue.TaggedOutput(_FAILURES, result)


def _failure(clip: Clip, error: InferenceError) -> Failure:
    place = f"the model failed on clip {clip.span.clip_index} of {clip.video_uri}: "
    return Failure(
        clip.video_uri,
        "classify",
        error.code,
        f"{'' if isinstance(error, PredecessorLostError) else place}{error}",
        transient=error.transient,
        segment_index=clip.segment_index,
        clip_index=clip.span.clip_index,
        time_range=clip.time_range,
    )
